//! Quotients: 60 instructions, for exponents of −63 to 64 whose difference is that of a normal number.
//!
//! A table has the reciprocal of the divisor y to 8 bits; a step of Newton's makes R = 2³⁹ ÷ y of it, wrong by −2⁻¹⁴ to 2⁻¹⁵ of
//! itself. The quotient's first 12 bits are R times the dividend, the other 11 R times what these leave, and what those leave
//! says how it is rounded: it is −0.05 to 1.32 of y (of every divisor with 25 dividends), and never half of it (see [`crate::div()`]).

use crate::div::div_rare;
use core::arch::naked_asm;

/// 2¹⁶ ÷ y − 255 for y in the middle of 128 to 129, 129 to 130, …
static RECIPROCALS: [u8; 128] = {
    let mut table = [0; 128];
    let mut i = 0;
    while i < table.len() {
        let twice = 2 * i as u32 + 257;
        table[i] = (((1 << 18) + twice) / (2 * twice) - 255) as u8;
        i += 1;
    }
    table
};

/// `a ÷ b`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "aapcs" fn __aeabi_fdiv(a: u32, b: u32) -> u32 {
    naked_asm!(
        // As in a product.
        "lsls r2, r0, #1
         eors r2, r0
         lsls r3, r1, #1
         eors r3, r1
         ands r2, r3
         lsls r2, r2, #1
         bpl 9f
         lsrs r2, r0, #23
         lsrs r3, r1, #23
         subs r2, r2, r3
         adds r2, r2, #125
         uxtb r3, r2
         cmp r3, #253
         bhs 9f
         push {{r4, r5}}
         movs r3, #1
         lsls r3, r3, #31
         lsls r0, r0, #8
         orrs r0, r3
         lsrs r0, r0, #8
         lsls r1, r1, #8
         orrs r1, r3
         lsrs r1, r1, #8",
        // The dividend in r0 is to be at least the divisor in r1.
        "adds r2, r2, #1
         cmp r0, r1
         bhs 1f
         adds r0, r0, r0
         subs r2, r2, #1
         1: lsls r2, r2, #23",
        // The reciprocal to r4.
        "lsrs r3, r1, #16
         ldr r4, 8f
         ldrb r4, [r4, r3]
         adds r4, r4, #255
         lsrs r5, r1, #8
         muls r5, r4
         rsbs r5, r5, #0
         lsls r5, r5, #7
         lsrs r5, r5, #9
         muls r4, r5
         lsrs r4, r4, #15",
        // The first digits to r3, what they leave to r0; the others to r5.
        "lsrs r3, r0, #9
         muls r3, r4
         lsrs r3, r3, #18
         movs r5, r3
         muls r5, r1
         lsls r0, r0, #12
         subs r0, r0, r5
         asrs r5, r0, #10
         muls r5, r4
         asrs r5, r5, #18
         lsls r3, r3, #11
         adds r3, r3, r5
         adds r2, r2, r3
         muls r5, r1
         lsls r0, r0, #11
         subs r0, r0, r5
         adds r0, r0, r0
         cmp r1, r0
         bge 1f
         adds r2, r2, #1
         1: movs r0, r2
         pop {{r4, r5}}
         bx lr
         9: ldr r2, 0f
         bx r2
         .p2align 2
         0: .word {other}
         8: .word {reciprocals} - 128",
        other = sym other,
        reciprocals = sym RECIPROCALS,
    )
}

extern "aapcs" fn other(a: u32, b: u32) -> u32 {
    div_rare(a, b)
}
