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

/// The product of mantissas whose highest bits are set, rounded, as a float without its sign: what it is to have as exponent, as it
/// is stored, is one less than that of a product from 2 on.
#[inline(always)]
pub(super) fn product(a: u32, b: u32, exponent: u32) -> u32 {
    let product;
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "mulhu {x}, {a}, {b}
             bltz {x}, 2f
             addi {x}, {x}, 0x40
             slli {t}, {x}, 25
             srli {x}, {x}, 7
             addi {e}, {e}, -1
             bnez {t}, 4f
             j 3f
             2: addi {x}, {x}, 0x80
             slli {t}, {x}, 24
             srli {x}, {x}, 8
             bnez {t}, 4f",
            // A tie, if there is no lower half.
            "3: mul {t}, {a}, {b}
             bnez {t}, 4f
             andi {x}, {x}, -2
             4: slli {e}, {e}, 23
             add {x}, {x}, {e}",
            a = in(reg) a,
            b = in(reg) b,
            x = out(reg) product,
            e = inout(reg) exponent => _,
            t = out(reg) _,
            options(pure, nomem, nostack),
        );
    }
    product
}
