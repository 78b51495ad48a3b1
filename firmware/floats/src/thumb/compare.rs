//! Comparisons: 13 to 18 instructions.

use core::arch::naked_asm;

/// The function that gives 1 if the comparison of r0 and r1, or of r1 and r0 if `negative`, goes by the condition given, and by
/// `zeros` for zeros of any signs.
macro_rules! comparison {
    ($name:ident, $holds:literal, $zeros:literal, $positive:literal, $negative:literal) => {
        /// A comparison, by its name.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "aapcs" fn $name(a: u32, b: u32) -> i32 {
            naked_asm!(
                "movs r3, #255
                 lsls r3, r3, #24
                 lsls r2, r0, #1
                 cmp r2, r3
                 bhi 4f
                 lsls r2, r1, #1
                 cmp r2, r3
                 bhi 4f
                 movs r2, r0
                 orrs r2, r1
                 lsls r2, r2, #1",
                concat!("beq ", $zeros),
                "tst r0, r1
                 bmi 1f",
                concat!("cmp ", $positive),
                concat!($holds, " 3f"),
                "4: movs r0, #0
                 bx lr",
                "1:",
                concat!("cmp ", $negative),
                concat!($holds, " 3f"),
                "movs r0, #0
                 bx lr
                 3: movs r0, #1
                 bx lr",
            )
        }
    };
}

comparison!(__aeabi_fcmplt, "blt", "4f", "r0, r1", "r1, r0");
comparison!(__aeabi_fcmple, "ble", "3f", "r0, r1", "r1, r0");
comparison!(__aeabi_fcmpgt, "bgt", "4f", "r0, r1", "r1, r0");
comparison!(__aeabi_fcmpge, "bge", "3f", "r0, r1", "r1, r0");
comparison!(__aeabi_fcmpeq, "beq", "3f", "r0, r1", "r1, r0");

/// Whether one is a NaN.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "aapcs" fn __aeabi_fcmpun(a: u32, b: u32) -> i32 {
    naked_asm!(
        "movs r3, #255
         lsls r3, r3, #24
         lsls r0, r0, #1
         cmp r0, r3
         bhi 1f
         lsls r1, r1, #1
         cmp r1, r3
         bhi 1f
         movs r0, #0
         bx lr
         1: movs r0, #1
         bx lr",
    )
}
