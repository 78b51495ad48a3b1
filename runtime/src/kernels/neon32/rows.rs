//! The loops in assembly: one token × the row blocks of a matrix, from packed weights to results.
//!
//! Whole functions, because stable Rust has neither the intrinsics nor, for this target, the registers of NEON. `s16` to `s31`
//! (`q4` to `q7`) are the caller's; nothing is read beyond the last step.

use super::Neon32;
use super::units::Units;
use crate::tensor::{LANES, Row, RowsI4, RowsI8};
use core::arch::naked_asm;

/// Adds the products of four rows' halves of 32 bytes each: weights of two steps in d0–d3 and d4–d7, their activations in d8
/// and d9, two i32 for each of eight rows in the registers given.
macro_rules! two_steps_i8 {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vmull.s8 q5, d0, d8
             vmull.s8 q6, d1, d8
             vmull.s8 q7, d2, d8
             vmlal.s8 q5, d4, d9
             vmlal.s8 q6, d5, d9
             vmlal.s8 q7, d6, d9
             vpadal.s16 ",
            $a,
            ", q5
             vmull.s8 q5, d3, d8
             vpadal.s16 ",
            $b,
            ", q6
             vpadal.s16 ",
            $c,
            ", q7
             vmlal.s8 q5, d7, d9
             vpadal.s16 ",
            $d,
            ", q5\n"
        )
    };
}

/// Eight columns of 16 rows at r1 with those at r10; the distances between halves of two steps in r8 and r9.
macro_rules! pair_i8 {
    () => {
        concat!(
            "vld1.32 {{d8[]}}, [r10]!
             vld1.32 {{d9[]}}, [r10]!
             vld1.8 {{d0-d3}}, [r1], r8
             vld1.8 {{d4-d7}}, [r1], r9\n",
            two_steps_i8!("q8", "q9", "q10", "q11"),
            "vld1.8 {{d0-d3}}, [r1], r8
             vld1.8 {{d4-d7}}, [r1]!\n",
            two_steps_i8!("q12", "q13", "q14", "q15"),
        )
    };
}

/// Four columns.
macro_rules! step_i8 {
    () => {
        "vld1.32 {{d8[]}}, [r10]!
         vld1.8 {{d0-d3}}, [r1]!
         vld1.8 {{d4-d7}}, [r1]!
         vmull.s8 q5, d0, d8
         vmull.s8 q6, d1, d8
         vmull.s8 q7, d2, d8
         vpadal.s16 q8, q5
         vpadal.s16 q9, q6
         vpadal.s16 q10, q7
         vmull.s8 q5, d3, d8
         vmull.s8 q6, d4, d8
         vmull.s8 q7, d5, d8
         vpadal.s16 q11, q5
         vpadal.s16 q12, q6
         vpadal.s16 q13, q7
         vmull.s8 q5, d6, d8
         vmull.s8 q6, d7, d8
         vpadal.s16 q14, q5
         vpadal.s16 q15, q6\n"
    };
}

/// Eight columns of eight rows of int4 at r1, of which the lower nibbles meet the first register given, the upper ones the
/// second; the mask in q3; adds to four i16 for each row in q8–q11, to which `$first` writes.
macro_rules! step_i4 {
    ($next:literal, $low:literal, $high:literal, $first:literal) => {
        concat!(
            "vld1.8 {{d0-d3}}, [r1]",
            $next,
            "
             vand q2, q0, q3
             vshr.u8 q0, q0, #4\n",
            $first,
            " q8, d4, ",
            $low,
            "\n",
            $first,
            " q9, d5, ",
            $low,
            "
             vand q2, q1, q3
             vshr.u8 q1, q1, #4
             vmlal.s8 q8, d0, ",
            $high,
            "
             vmlal.s8 q9, d1, ",
            $high,
            "\n",
            $first,
            " q10, d4, ",
            $low,
            "\n",
            $first,
            " q11, d5, ",
            $low,
            "
             vmlal.s8 q10, d2, ",
            $high,
            "
             vmlal.s8 q11, d3, ",
            $high,
            "\n"
        )
    };
}

/// Adds eight rows' sums in q8–q11 and the offset in r12, times the scales at r2, to the i32 in the registers given.
macro_rules! scale_i4 {
    ($a:literal, $b:literal) => {
        concat!(
            "vld1.8 {{d0}}, [r2]!
             vpadd.i16 d16, d16, d17
             vpadd.i16 d17, d18, d19
             vpadd.i16 d18, d20, d21
             vpadd.i16 d19, d22, d23
             vdup.16 q1, r12
             vmovl.s8 q0, d0
             vpadd.i16 d16, d16, d17
             vpadd.i16 d17, d18, d19
             vadd.i16 q8, q8, q1
             vmlal.s16 ",
            $a,
            ", d16, d0
             vmlal.s16 ",
            $b,
            ", d17, d1\n"
        )
    };
}

/// A unit of int4: its word from r11, its columns from r10, then both halves of its rows.
macro_rules! unit_i4 {
    ([$($x:literal)+] $($first_half:expr),+; $($second_half:expr),+) => {
        concat!(
            "ldr r12, [r11], #4\n",
            $("vld1.32 {{", $x, "[]}}, [r10]!\n",)+
            $($first_half,)+
            scale_i4!("q12", "q13"),
            $($second_half,)+
            scale_i4!("q14", "q15"),
            "add r2, r2, r12, asr #16\n",
        )
    };
}

/// Results of eight rows from the exact sums given: scales from r6, that of the token in s16, to r7.
macro_rules! finish {
    ($a:literal, $b:literal) => {
        concat!(
            "vcvt.f32.s32 q0, ",
            $a,
            "
             vcvt.f32.s32 q1, ",
            $b,
            "
             vld1.32 {{d4-d7}}, [r6]!
             vmul.f32 s8, s8, s16
             vmul.f32 s9, s9, s16
             vmul.f32 s10, s10, s16
             vmul.f32 s11, s11, s16
             vmul.f32 s12, s12, s16
             vmul.f32 s13, s13, s16
             vmul.f32 s14, s14, s16
             vmul.f32 s15, s15, s16
             vmul.f32 s0, s0, s8
             vmul.f32 s1, s1, s9
             vmul.f32 s2, s2, s10
             vmul.f32 s3, s3, s11
             vmul.f32 s4, s4, s12
             vmul.f32 s5, s5, s13
             vmul.f32 s6, s6, s14
             vmul.f32 s7, s7, s15
             vst1.32 {{d0-d3}}, [r7]!\n"
        )
    };
}

/// The operands of [`blocks_i8`], in the order of its registers from r1 on.
#[repr(C)]
struct Int8 {
    weights: *const i8,
    x: *const i8,
    steps: usize,
    blocks: usize,
    /// Bytes from the end of a row block to the beginning of the next.
    gap: usize,
    scale: *const f32,
    out: *mut f32,
    token_scale: f32,
}

/// Four steps at a time, then single ones.
///
/// # Safety
/// - The CPU has NEON; there is at least one row block; all operands are there.
#[unsafe(naked)]
unsafe extern "C" fn blocks_i8(operands: &Int8) {
    naked_asm!(
        ".fpu neon
         push {{r4-r10, lr}}
         vpush {{d8-d15}}
         ldm r0, {{r1-r7}}
         mov r8, #64
         mvn r9, #31
         1: mov r10, r2
         vmov.i32 q8, #0
         vmov.i32 q9, #0
         vmov.i32 q10, #0
         vmov.i32 q11, #0
         vmov.i32 q12, #0
         vmov.i32 q13, #0
         vmov.i32 q14, #0
         vmov.i32 q15, #0
         lsrs lr, r3, #2
         beq 3f
         2:",
        pair_i8!(),
        pair_i8!(),
        "subs lr, lr, #1
         bne 2b
         3: ands lr, r3, #3
         beq 5f
         4:",
        step_i8!(),
        "subs lr, lr, #1
         bne 4b
         5: vldr s16, [r0, #28]
         vpadd.i32 d0, d16, d17
         vpadd.i32 d1, d18, d19
         vpadd.i32 d2, d20, d21
         vpadd.i32 d3, d22, d23",
        finish!("q0", "q1"),
        "vpadd.i32 d0, d24, d25
         vpadd.i32 d1, d26, d27
         vpadd.i32 d2, d28, d29
         vpadd.i32 d3, d30, d31",
        finish!("q0", "q1"),
        "add r1, r1, r5
         subs r4, r4, #1
         bne 1b
         vpop {{d8-d15}}
         pop {{r4-r10, pc}}",
    )
}

/// The operands of [`blocks_i4`], in the order of its registers from r1 on, as far as they are in some.
#[repr(C)]
struct Int4 {
    weights: *const u8,
    group_scale: *const i8,
    whole: usize,
    single: usize,
    blocks: usize,
    scale: *const f32,
    out: *mut f32,
    x: *const i8,
    units: *const u32,
    token_scale: f32,
}

/// The loop of int4 around a whole unit; `$back` is one less than the bytes from the last step's second half to the first step's
/// next half.
macro_rules! loop_i4 {
    ($back:literal, $unit:expr) => {
        naked_asm!(
            ".fpu neon
             push {{r4-r11, lr}}
             vpush {{d8-d15}}
             ldm r0, {{r1-r7}}
             mov r8, #64",
            concat!("mvn r9, #", $back),
            "1: ldrd r10, r11, [r0, #28]
             vmov.i8 q3, #15
             vmov.i32 q12, #0
             vmov.i32 q13, #0
             vmov.i32 q14, #0
             vmov.i32 q15, #0
             movs lr, r3
             beq 3f
             2:",
            $unit,
            "subs lr, lr, #1
             bne 2b
             3: movs lr, r4
             beq 5f
             4:",
            unit_i4!(["d8" "d9"] step_i4!("!", "d8", "d9", "vmull.s8"); step_i4!("!", "d8", "d9", "vmull.s8")),
            "subs lr, lr, #1
             bne 4b
             5: vldr s16, [r0, #36]",
            finish!("q12", "q13"),
            finish!("q14", "q15"),
            "subs r5, r5, #1
             bne 1b
             vpop {{d8-d15}}
             pop {{r4-r11, pc}}",
        )
    };
}

/// Whole units of four steps.
///
/// # Safety
/// - As of [`blocks_i8`]; each unit's word says where the next one's group scales are.
#[unsafe(naked)]
unsafe extern "C" fn blocks_i4(operands: &Int4) {
    loop_i4!(
        "159",
        unit_i4!(
            ["d8" "d9" "d10" "d11" "d12" "d13" "d14" "d15"]
            step_i4!(", r8", "d8", "d9", "vmull.s8"),
            step_i4!(", r8", "d10", "d11", "vmlal.s8"),
            step_i4!(", r8", "d12", "d13", "vmlal.s8"),
            step_i4!(", r9", "d14", "d15", "vmlal.s8");
            step_i4!(", r8", "d8", "d9", "vmull.s8"),
            step_i4!(", r8", "d10", "d11", "vmlal.s8"),
            step_i4!(", r8", "d12", "d13", "vmlal.s8"),
            step_i4!("!", "d14", "d15", "vmlal.s8")
        )
    )
}

/// Whole units of two steps.
///
/// # Safety
/// - As of [`blocks_i4`].
#[unsafe(naked)]
unsafe extern "C" fn blocks_i4_in_pairs(operands: &Int4) {
    loop_i4!(
        "31",
        unit_i4!(
            ["d8" "d9" "d10" "d11"]
            step_i4!(", r8", "d8", "d9", "vmull.s8"),
            step_i4!(", r9", "d10", "d11", "vmlal.s8");
            step_i4!(", r8", "d8", "d9", "vmull.s8"),
            step_i4!("!", "d10", "d11", "vmlal.s8")
        )
    )
}

/// Multiplies registers without memory, `turns` (not 0) times.
///
/// # Safety
/// - The CPU has NEON.
#[cfg(any(feature = "peak", test))]
#[unsafe(naked)]
unsafe extern "C" fn multiply(turns: usize) {
    naked_asm!(
        ".fpu neon
         vpush {{d8-d15}}
         1:",
        two_steps_i8!("q8", "q9", "q10", "q11"),
        two_steps_i8!("q12", "q13", "q14", "q15"),
        "subs r0, r0, #1
         bne 1b
         vpop {{d8-d15}}
         bx lr",
    )
}

#[cfg(any(feature = "peak", test))]
impl Neon32 {
    /// Products of bytes in a turn of `multiply_registers`.
    pub(in crate::kernels) const PRODUCTS: usize = 2 * 8 * 8;

    /// Multiplies registers without memory.
    pub(in crate::kernels) fn multiply_registers(self, turns: usize) {
        if turns > 0 {
            // SAFETY: `self` proves NEON.
            unsafe { multiply(turns) }
        }
    }
}

/// Results of some rows of int8 × one vector.
pub(super) fn int8(_: Neon32, rows: &RowsI8<'_>, x: &Row<'_>, out: &mut [f32]) {
    let &RowsI8 { data, gap, steps, scale } = rows;
    let blocks = scale.len() / LANES;
    assert!(out.len() == scale.len() && x.data.len() >= 4 * steps);
    if blocks == 0 {
        return;
    }
    let (weights, x, token_scale) = (data.as_ptr(), x.data.as_ptr(), x.scale);
    let (scale, out) = (scale.as_ptr(), out.as_mut_ptr());
    // SAFETY: a `Neon32` proves NEON; the rows are all there, as many as results, and four columns of the vector for every step.
    unsafe { blocks_i8(&Int8 { weights, x, steps, blocks, gap, scale, out, token_scale }) }
}

/// Results of some rows of int4 × the vector of these units.
pub(super) fn int4(_: Neon32, rows: &RowsI4<'_>, units: &Units, x: &Row<'_>, out: &mut [f32]) {
    let &RowsI4 { data, steps, group_scale, scale } = rows;
    let &Units { whole, single, width, .. } = units;
    let blocks = scale.len() / LANES;
    assert!(out.len() == scale.len() && x.data.len() >= 8 * steps && width * whole + single == steps);
    if blocks == 0 {
        return;
    }
    let (weights, x, units, token_scale) = (data.as_ptr(), x.data.as_ptr(), units.as_ptr(), x.scale);
    // All units of rows without scales stay at the first one's.
    let group_scale = if group_scale.is_empty() { ONES.as_ptr() } else { group_scale.as_ptr() };
    let (scale, out) = (scale.as_ptr(), out.as_mut_ptr());
    let operands = Int4 { weights, group_scale, whole, single, blocks, scale, out, x, units, token_scale };
    // SAFETY: a `Neon32` proves NEON; the rows are all there, as many as results, eight columns of the vector for every step,
    // and the words of all units.
    unsafe {
        if width == 2 {
            blocks_i4_in_pairs(&operands);
        } else {
            blocks_i4(&operands);
        }
    }
}

/// The group scales of rows that have none.
const ONES: [i8; LANES] = [1; LANES];
