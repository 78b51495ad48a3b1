//! The loops in assembly: 16 rows × the columns of a stream, four rows at a time, because with eight the sums and the
//! widened activations do not fit the 14 registers that there are.
//!
//! `SMLAD` adds two products of 16 bits to a sum. Weights become pairs of 16 bits on the way: int8 by `SXTB16`, bytes 0 and 2
//! of a word, or 1 and 3, 5 instructions for 4 products; int4 by one `AND` of 0x000f_000f with the word shifted right, columns 0
//! and 2, 4 and 6, 1 and 3, 5 and 7, as q + 8, 9 instructions for 8 products with the load. Whole functions, because compilers
//! neither pair the loads nor keep the operands in registers: with one-instruction wrappers and the highest optimization, whole
//! products of 512 × 128 took 1.9 instructions each for int8 where these take 1.4, and for int4 in groups of 32 3.2 where these
//! take 1.5.
//!
//! No sum sets the Q flag: 256 columns of unsigned nibbles or signed bytes stay far below 2³¹, and what they are added to is
//! a row's sum so far (int8; bounded in `ARITHMETIC.md`) or multiplied by a scale first, in an instruction that wraps.

use super::Step;
use crate::tensor::LANES;
use core::arch::naked_asm;

/// Steps of a whole unit, the body of the faster loop of each encoding.
pub(super) const UNIT: usize = 4;

/// The assembler takes a function in assembly for one of the plain architecture, of Armv8-M without the extension.
#[cfg(whit_armv8m)]
macro_rules! architecture {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(whit_armv8m))]
macro_rules! architecture {
    () => {
        ""
    };
}

/// Four columns of int8 of the rows at r0: sums in r4–r7.
macro_rules! step_i8 {
    () => {
        "ldrd r8, r9, [r1], #8
         ldrd r10, r11, [r0, #8]
         sxtb16 r12, r10
         smlad r6, r12, r8, r6
         sxtb16 r10, r10, ror #8
         smlad r6, r10, r9, r6
         sxtb16 r12, r11
         smlad r7, r12, r8, r7
         sxtb16 r11, r11, ror #8
         smlad r7, r11, r9, r7
         ldrd r10, r11, [r0], #64
         sxtb16 r12, r10
         smlad r4, r12, r8, r4
         sxtb16 r10, r10, ror #8
         smlad r4, r10, r9, r4
         sxtb16 r12, r11
         smlad r5, r12, r8, r5
         sxtb16 r11, r11, ror #8
         smlad r5, r11, r9, r5"
    };
}

/// Eight columns of int4 of the rows at r0: sums in r4–r7, the mask in r3.
macro_rules! step_i4 {
    () => {
        "ldrd r8, r9, [r1], #8
         ldrd r10, r11, [r1], #8
         ldrd r12, lr, [r0, #8]
         and r2, r3, r12
         smlad r6, r2, r8, r6
         and r2, r3, r12, lsr #4
         smlad r6, r2, r9, r6
         and r2, r3, r12, lsr #8
         smlad r6, r2, r10, r6
         and r2, r3, r12, lsr #12
         smlad r6, r2, r11, r6
         and r2, r3, lr
         smlad r7, r2, r8, r7
         and r2, r3, lr, lsr #4
         smlad r7, r2, r9, r7
         and r2, r3, lr, lsr #8
         smlad r7, r2, r10, r7
         and r2, r3, lr, lsr #12
         smlad r7, r2, r11, r7
         ldrd r12, lr, [r0], #64
         and r2, r3, r12
         smlad r4, r2, r8, r4
         and r2, r3, r12, lsr #4
         smlad r4, r2, r9, r4
         and r2, r3, r12, lsr #8
         smlad r4, r2, r10, r4
         and r2, r3, r12, lsr #12
         smlad r4, r2, r11, r4
         and r2, r3, lr
         smlad r5, r2, r8, r5
         and r2, r3, lr, lsr #4
         smlad r5, r2, r9, r5
         and r2, r3, lr, lsr #8
         smlad r5, r2, r10, r5
         and r2, r3, lr, lsr #12
         smlad r5, r2, r11, r5"
    };
}

/// The loop of int8 around a unit of the steps given. On the stack: weights, x, units.
macro_rules! loop_i8 {
    ($($step:expr),+) => {
        naked_asm!(
            architecture!(),
            "push {{r0-r2, r4-r11, lr}}
             mov lr, #4
             1: ldrd r4, r5, [r3]
             ldrd r6, r7, [r3, #8]
             2:",
            $($step,)+
            "subs r2, r2, #1
             bne 2b
             strd r4, r5, [r3], #8
             strd r6, r7, [r3], #8
             ldr r0, [sp]
             add r0, r0, #16
             str r0, [sp]
             ldrd r1, r2, [sp, #4]
             subs lr, lr, #1
             bne 1b
             add sp, sp, #12
             pop {{r4-r11, pc}}",
        )
    };
}

/// The loop of int4 around a unit of the steps given. On the stack: the first group's scales, how many times four rows are
/// left, weights, x, this group's scales, sums.
macro_rules! loop_i4 {
    ($($step:expr),+) => {
        naked_asm!(
            architecture!(),
            "push {{r0-r11, lr}}
             mov r12, #4
             push {{r2, r12}}
             mov r3, #0x000f000f
             1: ldr r4, [r1], #4
             mov r5, r4
             mov r6, r4
             mov r7, r4
             2:",
            $($step,)+
            "ldr r2, [r1], #4
             cmp r2, #0
             bgt 2b
             ldrd r12, r3, [sp, #16]
             ldrd r8, r9, [r3]
             ldrd r10, r11, [r3, #8]
             ldrsb lr, [r12, #1]
             mla r9, r5, lr, r9
             ldrsb lr, [r12, #2]
             mla r10, r6, lr, r10
             ldrsb lr, [r12, #3]
             mla r11, r7, lr, r11
             ldrsb lr, [r12], #16
             mla r8, r4, lr, r8
             strd r8, r9, [r3]
             strd r10, r11, [r3, #8]
             str r12, [sp, #16]
             add r12, r3, #16
             mov r3, #0x000f000f
             beq 1b
             str r12, [sp, #20]
             ldrd r2, r12, [sp]
             ldrd r0, r1, [sp, #8]
             add r2, r2, #4
             add r0, r0, #16
             subs r12, r12, #1
             strd r2, r12, [sp]
             str r0, [sp, #8]
             str r2, [sp, #16]
             bne 1b
             add sp, sp, #24
             pop {{r4-r11, pc}}",
        )
    };
}

/// Adds the products of `units` × [`UNIT`] steps of int8 to the 16 `sums`.
///
/// # Safety
/// - `units` is not 0, and there are so many of them: of `weights` 16 words for every step, of `x` two.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn units_i8(weights: *const Step, x: *const u32, units: usize, sums: *mut i32) {
    loop_i8!(step_i8!(), step_i8!(), step_i8!(), step_i8!())
}

/// As [`units_i8`], with units of one step.
///
/// # Safety
/// - As of [`units_i8`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn steps_i8(weights: *const Step, x: *const u32, units: usize, sums: *mut i32) {
    loop_i8!(step_i8!())
}

/// Adds the products of groups of int4, made of units of [`UNIT`] steps, times their scales to the 16 `sums`.
///
/// # Safety
/// - `x` are the words of at least one group as [`Int4`](super::stream::Int4) writes them; there are 16 words of `weights` for
///   each of its steps, and 16 `scales` for each group.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn units_i4(
    weights: *const Step,
    x: *const u32,
    scales: *const [i8; LANES],
    sums: *mut i32,
) {
    loop_i4!(step_i4!(), step_i4!(), step_i4!(), step_i4!())
}

/// As [`units_i4`], with units of one step.
///
/// # Safety
/// - As of [`units_i4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn steps_i4(
    weights: *const Step,
    x: *const u32,
    scales: *const [i8; LANES],
    sums: *mut i32,
) {
    loop_i4!(step_i4!())
}
