//! Small operations on words in assembly: with branches. Compilers make them without, of twice as many instructions.
#![allow(unsafe_code, reason = "instructions with branches among themselves")]

use core::arch::asm;

/// `x`, whose highest bit or the one after is set, to the nearest number with 24 bits from that on. Something is below its last bit.
#[inline(always)]
pub(super) fn nearest(mut x: u32) -> u32 {
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "bltz {x}, 2f
             addi {x}, {x}, 0x40
             andi {x}, {x}, -0x80
             j 3f
             2: addi {x}, {x}, 0x80
             andi {x}, {x}, -0x100
             3:",
            x = inout(reg) x,
            options(pure, nomem, nostack),
        );
    }
    x
}

/// A mantissa shifted until its highest bit is set, of at most 24 bits from the highest on, and its exponent.
#[inline(always)]
pub(super) fn normalized((mut x, mut exponent): (u32, u32)) -> (u32, u32) {
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "srli {t}, {x}, 24
             bnez {t}, 2f
             slli {x}, {x}, 8
             addi {e}, {e}, -8
             srli {t}, {x}, 24
             bnez {t}, 2f
             slli {x}, {x}, 8
             addi {e}, {e}, -8
             2: srli {t}, {x}, 28
             bnez {t}, 2f
             slli {x}, {x}, 4
             addi {e}, {e}, -4
             2: srli {t}, {x}, 30
             bnez {t}, 2f
             slli {x}, {x}, 2
             addi {e}, {e}, -2
             2: bltz {x}, 2f
             slli {x}, {x}, 1
             addi {e}, {e}, -1
             2:",
            x = inout(reg) x,
            e = inout(reg) exponent,
            t = out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    (x, exponent)
}
