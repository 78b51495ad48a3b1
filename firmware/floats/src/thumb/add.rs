//! Sums, as [`crate::add()`] has them: 31 instructions if the first summand has the larger exponent and the sum the same one, 39
//! if the second has; six to fourteen more where the exponent changes, and three for a difference.

use crate::add::add_rare;
use core::arch::naked_asm;

/// The mantissa of the `small` number, as it is or, by `order`, negative, shifted by r3 and added to the `big` one: the sum in r0,
/// the mantissa in ip, sign and exponent of the big one in r2, and in r1 by how much those of the sum differ from them.
macro_rules! sum {
    ($big:literal, $small:literal, $order:expr, $shift:literal, $changed:literal) => {
        concat!(
            "lsrs r2, ",
            $small,
            ", #23
             subs r2, r2, #1
             lsls r2, r2, #23
             subs ",
            $small,
            ", ",
            $order,
            "
             lsrs r2, ",
            $big,
            ", #23
             mov ip, ",
            $small,
            "
             ",
            $shift,
            " ",
            $small,
            ", r3
             adds r0, r0, r1
             lsrs r1, r0, #23
             subs r1, r1, r2
             bne ",
            $changed,
            "
             movs r2, #33
             subs r2, r2, r3
             mov r3, ip
             lsls r3, r2
             beq 6f
             adcs r0, r1
             bx lr"
        )
    };
}

/// `a − b`, and within it `__aeabi_fadd`, `a + b`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "aapcs" fn __aeabi_fsub(a: u32, b: u32) -> u32 {
    naked_asm!(
        "movs r2, #1
         lsls r2, r2, #31
         eors r1, r2
         .global __aeabi_fadd
         .type __aeabi_fadd, %function
         .thumb_func
         __aeabi_fadd:
         lsls r2, r0, #1
         lsls r3, r1, #1
         lsrs r2, r2, #24
         lsrs r3, r3, #24
         beq 7f
         cmp r2, #254
         bhs 7f
         subs r3, r2, r3
         cmp r3, #32
         bhs 5f
         movs r2, r0
         eors r2, r1
         bmi 1f",
        sum!("r0", "r1", "r1, r2", "lsrs", "2f"),
        "1:",
        sum!("r0", "r1", "r2, r1", "asrs", "3f"),
        // The exponents differ by more, or the second is larger.
        "5: rsbs r3, r3, #0
         cmp r3, #32
         bhs 8f
         cmp r2, #0
         beq 7f
         adds r2, r2, r3
         cmp r2, #254
         bhs 7f
         movs r2, r0
         eors r2, r1
         bmi 1f",
        sum!("r1", "r0", "r0, r2", "lsrs", "2f"),
        // Exact, or if carry is set a tie.
        "6: bcc 0f
         lsrs r3, r0, #1
         adcs r0, r1
         0: bx lr
         7: b 7f
         8: b 8f
         1:",
        sum!("r1", "r0", "r2, r0", "asrs", "3f"),
        "6: bcc 0f
         lsrs r3, r0, #1
         adcs r0, r1
         0: bx lr",
        // The exponent is one more: half the sum, of which the last bit is lost, too.
        "2: adds r2, r2, #1
         lsls r2, r2, #23
         subs r0, r0, r2
         lsrs r0, r0, #1
         bcs 0f
         adds r0, r0, r2
         bx lr
         0: adds r0, r0, r2
         movs r1, #32
         subs r1, r1, r3
         mov r2, ip
         lsls r2, r1
         beq 0f
         adds r0, r0, #1
         bx lr
         0: lsrs r1, r0, #1
         adcs r0, r2
         bx lr",
        // It is one less: twice the sum, and a bit of what was shifted out.
        "3: cmp r3, #1
         bls 4f
         lsls r2, r2, #23
         movs r1, #33
         subs r1, r1, r3
         mov r3, ip
         lsls r3, r1
         adcs r0, r0
         subs r0, r0, r2
         movs r1, #0
         lsls r3, r3, #1
         beq 6b
         adcs r0, r1
         bx lr",
        // Or less still, and the sum exact: as a number, not as it is stored.
        "4: lsls r1, r2, #23
         subs r0, r0, r1
         movs r1, #1
         lsls r1, r1, #23
         adds r0, r0, r1
         cmp r3, #0
         beq 0f
         subs r2, r2, #1
         mov r1, ip
         lsrs r1, r1, #1
         adcs r0, r0
         0: cmp r0, #0
         beq 9f
         uxtb r1, r2
         subs r1, r1, #1
         lsrs r2, r2, #8
         lsls r2, r2, #31
         cmp r0, #0
         bpl 0f
         rsbs r0, r0, #0
         movs r3, #1
         lsls r3, r3, #31
         eors r2, r3
         0: lsls r0, r0, #8
         bmi 1f
         lsrs r3, r0, #28
         bne 0f
         2: lsrs r3, r0, #24
         bne 2f
         cmp r1, #8
         blo 2f
         lsls r0, r0, #8
         subs r1, r1, #8
         b 2b
         2: lsrs r3, r0, #28
         bne 2f
         cmp r1, #4
         blo 2f
         lsls r0, r0, #4
         subs r1, r1, #4
         2: cmp r0, #0
         bmi 1f
         0: cmp r1, #0
         beq 1f
         subs r1, r1, #1
         adds r0, r0, r0
         bpl 0b
         1: lsrs r0, r0, #8
         lsls r1, r1, #23
         adds r0, r0, r1
         adds r0, r0, r2
         9: bx lr",
        // The smaller one is nothing beside the larger, unless that is none.
        "8: cmp r3, #0
         blt 9b
         adds r2, r2, r3
         cmp r2, #255
         beq 7f
         movs r0, r1
         bx lr",
        // Zero and a number, and all else.
        "7: lsls r3, r1, #1
         bne 0f
         movs r3, r0
         b 1f
         0: lsls r3, r0, #1
         bne 2f
         movs r3, r1
         1: lsls r2, r3, #1
         lsrs r2, r2, #24
         subs r2, r2, #1
         cmp r2, #254
         bhs 2f
         movs r0, r3
         bx lr
         2: ldr r2, 0f
         bx r2
         .p2align 2
         0: .word {rare}",
        rare = sym rare,
    )
}

extern "aapcs" fn rare(a: u32, b: u32) -> u32 {
    add_rare(a, b)
}
