//! The loops of the Cortex-M0 and M0+ in assembly, a row at a time: compilers take more than the eight registers that most
//! instructions reach, and what they put on the stack and fetch again took as long as the products.
//!
//! The sum is in one of the other registers, to which one can still add. A word of int8 is shifted right by 8, 16 and 24 bits
//! without masks: as `b + 128` in all bytes but the highest, which has the sign, what is left above a byte is 256 times the
//! next, and the factors take that off, as those of int4 do.
#![allow(unsafe_code, reason = "functions written in assembly, and calls of them")]

use super::stream::{STRETCH, UNIT, Unit};
use crate::tensor::{LANES, Row};
use core::arch::naked_asm;
use core::ops::Range;

/// Four columns of int8 of the row at r0 with the factors at r1; the sum in r8, in r2 what offsets the lower bytes.
macro_rules! step_i8 {
    ($offset:literal) => {
        concat!(
            "ldr r3, [r0, #",
            $offset,
            "]
             ldmia r1!, {{r4-r7}}
             eors r3, r2
             muls r4, r3, r4
             add r8, r4
             asrs r3, r3, #8
             muls r5, r3, r5
             add r8, r5
             asrs r3, r3, #8
             muls r6, r3, r6
             add r8, r6
             asrs r3, r3, #8
             muls r7, r3, r7
             add r8, r7"
        )
    };
}

/// Eight columns of int4 of the row at r0 with the factors at r1; the sum in r8, the mask in r2.
macro_rules! step_i4 {
    ($offset:literal) => {
        concat!(
            "ldr r3, [r0, #",
            $offset,
            "]
             ldmia r1!, {{r5-r7}}
             lsrs r4, r3, #4
             ands r4, r2
             muls r4, r5, r4
             add r8, r4
             lsrs r4, r3, #8
             ands r4, r2
             muls r4, r6, r4
             add r8, r4
             lsrs r4, r3, #12
             ands r4, r2
             muls r4, r7, r4
             add r8, r4
             ldmia r1!, {{r5}}
             muls r5, r3, r5
             add r8, r5"
        )
    };
}

/// Saves what a function must not change, its four arguments last, and begins to count 16 rows in r11.
macro_rules! enter {
    () => {
        "push {{r4-r7, lr}}
         mov r4, r8
         mov r5, r9
         mov r6, r10
         mov r7, r11
         push {{r4-r7}}
         push {{r0-r3}}
         movs r4, #16
         mov r11, r4"
    };
}

/// Stores the sum in r4, goes on to the next row at 1, and returns after the last.
macro_rules! next_row {
    () => {
        "ldr r3, [sp, #12]
         stmia r3!, {{r4}}
         str r3, [sp, #12]
         ldr r0, [sp]
         adds r0, #4
         str r0, [sp]
         mov r4, r11
         subs r4, #1
         mov r11, r4
         bne 1b
         add sp, #16
         pop {{r4-r7}}
         mov r8, r4
         mov r9, r5
         mov r10, r6
         mov r11, r7
         pop {{r4-r7, pc}}"
    };
}

/// The loop of int8 around the steps given; on the stack: weights, factors, their end, sums.
macro_rules! loop_i8 {
    ($($code:expr),+) => {
        naked_asm!(
            enter!(),
            "mov r9, r2
             movs r2, #0x80
             lsls r4, r2, #8
             orrs r2, r4
             lsls r4, r4, #8
             orrs r2, r4
             1: ldr r1, [sp, #4]
             ldr r4, [sp, #12]
             ldr r4, [r4]
             mov r8, r4
             2:",
            $($code,)+
            "cmp r1, r9
             bne 2b
             mov r4, r8",
            next_row!(),
        )
    };
}

/// The loop of int4 around the steps given; on the stack: weights, units, scales, sums.
macro_rules! loop_i4 {
    ($($code:expr),+) => {
        naked_asm!(
            enter!(),
            "movs r2, #15
             lsls r4, r2, #16
             orrs r2, r4
             1: ldr r1, [sp, #4]
             ldr r4, [sp, #8]
             mov r10, r4
             adds r4, #1
             str r4, [sp, #8]
             ldr r4, [sp, #12]
             ldr r4, [r4]
             mov r9, r4
             2: ldmia r1!, {{r4}}
             mov r8, r4",
            $($code,)+
            "mov r3, r8
             asrs r3, r3, #16
             mov r4, r10
             movs r5, #0
             ldrsb r4, [r4, r5]
             muls r3, r4, r3
             add r9, r3
             ldmia r1!, {{r4}}
             add r10, r4
             cmp r4, #0
             bge 2b
             mov r4, r9",
            next_row!(),
        )
    };
}

/// Adds the products of units of four steps of int8 to the 16 `sums`.
///
/// # Safety
/// - From `factors` to `end` there are four words for each of at least one unit's steps, and as many steps of `weights`.
#[unsafe(naked)]
unsafe extern "C" fn units_i8(
    weights: *const [u32; LANES],
    factors: *const [i32; 4],
    end: *const [i32; 4],
    sums: *mut i32,
) {
    loop_i8!(step_i8!(0), step_i8!(64), "adds r0, #128", step_i8!(0), step_i8!(64), "adds r0, #128")
}

/// As [`units_i8`], of one step each.
///
/// # Safety
/// - As of [`units_i8`].
#[unsafe(naked)]
unsafe extern "C" fn steps_i8(
    weights: *const [u32; LANES],
    factors: *const [i32; 4],
    end: *const [i32; 4],
    sums: *mut i32,
) {
    loop_i8!(step_i8!(0), "adds r0, #64")
}

/// Adds the products of units of int4 times their scales to the 16 `sums`.
///
/// # Safety
/// - There is at least one unit, the last says so, there are as many steps of `weights`, and 16 `scales` for each group.
#[unsafe(naked)]
unsafe extern "C" fn units_i4(
    weights: *const [u32; LANES],
    units: *const Unit<UNIT>,
    scales: *const [i8; LANES],
    sums: *mut i32,
) {
    loop_i4!(step_i4!(0), step_i4!(64), "adds r0, #128", step_i4!(0), step_i4!(64), "adds r0, #128")
}

/// As [`units_i4`], of one step each.
///
/// # Safety
/// - As of [`units_i4`].
#[unsafe(naked)]
unsafe extern "C" fn steps_i4(
    weights: *const [u32; LANES],
    units: *const Unit<1>,
    scales: *const [i8; LANES],
    sums: *mut i32,
) {
    loop_i4!(step_i4!(0), "adds r0, #64")
}

/// Factors of some columns of int8: for each step those of its word as it is and shifted right by 8, 16 and 24.
pub(super) struct Int8 {
    factors: [[i32; 4]; Self::MOST / 4],
    steps: usize,
    /// What the offsets of the weights make too much: 128 Σ x, without every fourth.
    excess: i32,
}

impl Int8 {
    /// Most columns: for each, four bytes of the stack.
    pub(super) const MOST: usize = STRETCH;

    /// A stream of no columns.
    pub(super) fn new() -> Self {
        Self { factors: [[0; 4]; Self::MOST / 4], steps: 0, excess: 0 }
    }

    /// Makes it one of some columns of `x`.
    pub(super) fn write(&mut self, x: &Row<'_>, columns: Range<usize>) {
        let x = &x.data.as_chunks().0[columns.start / 4..columns.end.div_ceil(4)];
        (self.steps, self.excess) = (x.len(), 0);
        for (factors, x) in self.factors.iter_mut().zip(x) {
            let [x0, x1, x2, x3] = x.map(i32::from);
            *factors = [x0, x1 - (x0 << 8), x2 - (x1 << 8), x3 - (x2 << 8)];
            self.excess += (x0 + x1 + x2) << 7;
        }
    }

    /// Adds the products with the weights of these columns.
    pub(super) fn add_products(&self, weights: &[[u32; LANES]], sums: &mut [i32; LANES]) {
        for sum in &mut *sums {
            *sum -= self.excess;
        }
        let (factors, sums) = (&self.factors[..self.steps], sums.as_mut_ptr());
        let whole = self.steps / UNIT * UNIT;
        let ([factors, rest], [weights, rest_weights]) =
            ([&factors[..whole], &factors[whole..]], [&weights[..whole], &weights[whole..self.steps]]);
        if !factors.is_empty() {
            // SAFETY: there are as many steps of both, in whole units.
            unsafe { units_i8(weights.as_ptr(), factors.as_ptr(), factors.as_ptr_range().end, sums) }
        }
        if !rest.is_empty() {
            // SAFETY: there are as many steps of both.
            unsafe { steps_i8(rest_weights.as_ptr(), rest.as_ptr(), rest.as_ptr_range().end, sums) }
        }
    }
}

/// As of `plain`.
pub(super) fn add_units<const STEPS: usize>(
    weights: &[[u32; LANES]],
    units: &[Unit<STEPS>],
    scales: &[[i8; LANES]],
    sums: &mut [i32; LANES],
) {
    const { assert!(STEPS == UNIT || STEPS == 1) }
    if units.is_empty() {
        return;
    }
    assert!(
        weights.len() >= STEPS * units.len()
            && scales.len() > units.iter().filter(|unit| unit.next > 0).count()
    );
    let (weights, units, scales, sums) =
        (weights.as_ptr(), units.as_ptr(), scales.as_ptr(), sums.as_mut_ptr());
    // SAFETY: there are as many steps of both and a scale for each group; [`Int4`](super::stream::Int4) marks the last unit.
    unsafe {
        if STEPS == UNIT {
            units_i4(weights, units.cast(), scales, sums);
        } else {
            steps_i4(weights, units.cast(), scales, sums);
        }
    }
}
