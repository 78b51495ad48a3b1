//! Results from exact sums on the Cortex-M0, in assembly: a conversion and two multiplications of floats, some 75 instructions a
//! row, where functions for them would take 130.
//!
//! Done here where the sum has at most 24 bits, the product of both scales is of 2⁻¹²⁶ to 2, that of the token less than 2, and no
//! rounding is a tie or carries into the exponent; all else as [`scalar`] has it. The scale of a token from 2 to 2³³, as queries in
//! steps of a logarithm have, is taken as one of 2³² times less, whose results are raised again. A product of mantissas is 2¹⁶ (a₂ · b + a₁ · b₂)
//! + a₁ · b₁ with a = 2¹⁶ a₂ + a₁, and b alike; of the last one only the upper half is needed, unless it is a tie.
#![allow(unsafe_code, reason = "a function written in assembly, and a call of it")]

use crate::kernels::scalar;
use crate::tensor::LANES;
use core::arch::naked_asm;

/// Makes results of the exact sums of a row block, where they are.
pub(super) fn finish(out: &mut [f32; LANES], row_scale: &[f32; LANES], token_scale: f32) {
    // SAFETY: 16 numbers each.
    unsafe { rows(out.as_mut_ptr(), row_scale.as_ptr(), token_scale.to_bits()) }
}

/// [`finish`] of 16 rows; the token's scale as bits, for floats are passed in other registers where there is an FPU.
///
/// In low registers: the results from r0 on, of the token's scale the mantissa in r5, its upper part in r6, its lower in r7; of a
/// row, the exponent in r2. In high ones: r8 is the end, r9 the way from results to scales, r10 the token's exponent, r11
/// what a result's is raised by, lr the highest bit of a mantissa.
///
/// # Safety
/// - There are 16 numbers at `out` and at `row_scale`.
#[unsafe(naked)]
unsafe extern "C" fn rows(out: *mut f32, row_scale: *const f32, token_scale: u32) {
    naked_asm!(
        "push {{r4-r7, lr}}
         mov r4, r8
         mov r5, r9
         mov r6, r10
         mov r7, r11
         push {{r2, r4-r7}}
         subs r1, r1, r0
         mov r9, r1
         movs r1, #64
         adds r1, r1, r0
         mov r8, r1
         movs r1, #128
         lsls r1, r1, #16
         mov lr, r1
         lsls r5, r2, #9
         lsrs r5, r5, #9
         orrs r5, r1
         lsrs r6, r5, #16
         uxth r7, r5",
        // Its exponent − 128; larger than any row's can make good if that is not from 1 to 127, or there is a sign.
        "lsrs r2, r2, #23
         movs r3, #25
         cmp r2, #128
         blo 1f
         subs r2, r2, #32
         adds r3, r3, #32
         1: mov r11, r3
         subs r2, r2, #1
         cmp r2, #127
         blo 1f
         movs r2, #128
         lsls r2, r2, #2
         1: subs r2, r2, #127
         mov r10, r2",
        // The exponent of a row's scale and of the token's together, − 1.
        "1: mov r1, r9
         ldr r1, [r0, r1]
         lsrs r2, r1, #23
         add r2, r10
         cmp r2, #127
         bhs 9f",
        // The product of both in r3, its highest bit set, then rounded to the 24 bits of a mantissa.
        "mov r3, lr
         orrs r1, r3
         lsrs r3, r1, #16
         uxtb r3, r3
         muls r3, r5, r3
         uxth r1, r1
         movs r4, r1
         muls r4, r6, r4
         adds r3, r3, r4
         muls r1, r7, r1
         lsrs r1, r1, #16
         adds r3, r3, r1
         bmi 2f
         adds r3, r3, r3
         subs r2, r2, #1
         2: adds r3, r3, #128
         bcs 9f
         lsls r4, r3, #24
         beq 9f
         lsrs r3, r3, #8",
        // The sum's magnitude in r1, the sign above the exponent.
        "ldr r1, [r0]
         asrs r4, r1, #31
         eors r1, r4
         subs r1, r1, r4
         beq 8f
         lsls r4, r4, #8
         adds r2, r2, r4
         add r2, r11",
        // Its highest bit to the place of a mantissa's, bisected.
        "lsrs r4, r1, #24
         bne 9f
         lsrs r4, r1, #16
         bne 3f
         lsls r1, r1, #8
         subs r2, r2, #8
         lsrs r4, r1, #16
         bne 3f
         lsls r1, r1, #8
         subs r2, r2, #8
         3: lsrs r4, r1, #20
         bne 4f
         lsls r1, r1, #4
         subs r2, r2, #4
         4: lsrs r4, r1, #22
         bne 5f
         lsls r1, r1, #2
         subs r2, r2, #2
         5: lsrs r4, r1, #23
         bne 6f
         lsls r1, r1, #1
         subs r2, r2, #1",
        // The product of both in r4, packed in r2: what carry holds is added by rounding.
        "6: mov r12, r2
         lsrs r4, r1, #16
         muls r4, r3, r4
         uxth r1, r1
         lsrs r2, r3, #16
         muls r2, r1, r2
         adds r4, r4, r2
         uxth r3, r3
         muls r3, r1, r3
         lsrs r3, r3, #16
         adds r4, r4, r3
         mov r2, r12
         bmi 7f
         adds r4, r4, r4
         subs r2, r2, #1
         7: lsls r2, r2, #23
         lsrs r3, r4, #8
         lsls r4, r4, #25
         beq 9f
         adcs r2, r3
         movs r1, r2
         8: stmia r0!, {{r1}}
         cmp r0, r8
         bne 1b
         pop {{r2, r4-r7}}
         mov r8, r4
         mov r9, r5
         mov r10, r6
         mov r11, r7
         pop {{r4-r7, pc}}",
        "9: mov r1, r9
         ldr r1, [r0, r1]
         ldr r2, [sp]
         push {{r0, r1}}
         ldr r0, [r0]
         bl {other}
         movs r4, r0
         pop {{r0, r1}}
         movs r1, #128
         lsls r1, r1, #16
         mov lr, r1
         movs r1, r4
         b 8b",
        other = sym other,
    )
}

/// A row that is done otherwise.
extern "C" fn other(sum: i32, row_scale: u32, token_scale: u32) -> u32 {
    scalar::result(sum, f32::from_bits(row_scale), f32::from_bits(token_scale)).to_bits()
}
