//! Products: 40 instructions if the product of the mantissas is below 2, 42 if not, for exponents of −63 to 64; thirteen more for
//! others whose product is normal.
//!
//! Of mantissas a = 2¹⁶ a₂ + a₁ and b = 2¹⁶ b₂ + b₁, a · b = 2¹⁶ (a₂ · b + a₁ · b₂) + a₁ · b₁: three multiplications, the first of
//! them of 8 by 24 bits.

use crate::mul::mul_rare;
use core::arch::naked_asm;

/// `a · b`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "aapcs" fn __aeabi_fmul(a: u32, b: u32) -> u32 {
    naked_asm!(
        // The two upper bits of an exponent from 64 to 191 differ.
        "lsls r2, r0, #1
         eors r2, r0
         lsls r3, r1, #1
         eors r3, r1
         ands r2, r3
         lsls r2, r2, #1
         bpl 4f
         lsrs r2, r0, #23
         lsrs r3, r1, #23
         adds r2, r2, r3
         subs r2, r2, #127
         uxtb r3, r2
         cmp r3, #254
         bhs 6f",
        // The sum of signs and exponents waits in ip.
        "0: mov ip, r2
         movs r3, #128
         lsls r3, r3, #16
         orrs r0, r3
         orrs r1, r3
         lsrs r2, r0, #16
         uxtb r2, r2
         uxth r0, r0
         lsls r1, r1, #8
         lsrs r1, r1, #8
         muls r2, r1
         lsrs r3, r1, #16
         muls r3, r0
         adds r2, r2, r3
         uxth r1, r1
         muls r1, r0
         lsrs r3, r1, #16
         adds r2, r2, r3
         mov r3, ip
         bmi 1f
         adds r2, r2, r2
         subs r3, r3, #1
         1: lsls r0, r3, #23
         lsrs r3, r2, #8
         lsls r2, r2, #25
         beq 2f
         adcs r0, r3
         bx lr",
        // Of what is below the last place, all but the first bit are zero, unless the last product has more.
        "2: bcs 3f
         adds r0, r0, r3
         bx lr
         3: adcs r0, r3
         lsls r1, r1, #16
         bne 3f
         lsrs r0, r0, #1
         lsls r0, r0, #1
         3: bx lr",
        // Other exponents.
        "4: lsls r2, r0, #1
         beq 5f
         lsrs r2, r2, #24
         subs r2, r2, #1
         cmp r2, #254
         bhs 6f
         lsls r3, r1, #1
         beq 7f
         lsrs r3, r3, #24
         subs r3, r3, #1
         cmp r3, #254
         bhs 6f
         adds r2, r2, r3
         subs r2, r2, #126
         cmp r2, #253
         bhs 6f
         lsrs r2, r0, #23
         lsrs r3, r1, #23
         adds r2, r2, r3
         subs r2, r2, #127
         b 0b",
        // Zero, times a number.
        "5: lsls r3, r1, #1
         lsrs r3, r3, #24
         cmp r3, #255
         beq 6f
         7: eors r0, r1
         lsrs r0, r0, #31
         lsls r0, r0, #31
         bx lr
         6: ldr r2, 0f
         bx r2
         .p2align 2
         0: .word {rare}",
        rare = sym rare,
    )
}

extern "aapcs" fn rare(a: u32, b: u32) -> u32 {
    mul_rare(a, b)
}
