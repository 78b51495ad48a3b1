//! Armv7-A with NEON: Raspberry Pi 2, 3, 4 and Zero 2 W under a 32-bit system.
//!
//! The multiplications are those of AArch64's `neon`, with the same bounds:
//! - int8: two products fit an i16, 2 · 128 · 127 = 32 512, and are added in pairs to two i32 for each row.
//! - int4: sums of `(q + 8) · x` in four lanes for each row, over 32 columns at most 8 · 15 · 127 = 15 240. The lanes of a row are
//!   added modulo 2¹⁶ together with `−8 Σ x`: what is left is Σ q · x, at most 32 512.
//!
//! NEON of these cores flushes subnormal floats to zero, so it meets integers alone. It makes floats of exact sums, which are
//! never subnormal; what follows, and all other operations on floats, is left to VFP, which computes as IEEE 754 says. The
//! compiler makes no NEON instructions of them: `armv7-unknown-linux-gnueabihf` has none.
#![allow(unsafe_code, reason = "calls of functions written in assembly")]

mod rows;
mod units;

use super::Kernels;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::ops::Range;
use std::fs;
use std::sync::OnceLock;
use units::Units;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon32(());

impl Neon32 {
    /// The backend, if the CPU has NEON.
    pub fn new() -> Option<Self> {
        static HAS_NEON: OnceLock<bool> = OnceLock::new();
        HAS_NEON.get_or_init(has_neon).then_some(Self(()))
    }
}

/// Whether Linux tells this process that there is NEON, in the words that getauxval(3) describes. Stable Rust has no
/// `is_arm_feature_detected`, which does the same.
fn has_neon() -> bool {
    const AT_HWCAP: u32 = 16;
    const HWCAP_NEON: u32 = 1 << 12;
    let told = fs::read("/proc/self/auxv").unwrap_or_default();
    told.as_chunks().0.as_chunks::<2>().0.iter().any(|pair| {
        let [key, value] = pair.map(u32::from_ne_bytes);
        key == AT_HWCAP && value & HWCAP_NEON != 0
    })
}

/// Row blocks that several tokens meet one after the other: of 2048 columns of int8, 128 KiB, a quarter of the second-level cache of
/// a Raspberry Pi 2 or 3, from where each token reads them again; what is made of a token for int4 serves all of them.
const TOGETHER: usize = 4;

impl Kernels for Neon32 {
    const NAME: &'static str = "neon32";

    fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn matmul_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match x.tokens() {
            1 => self.some_i8(matrix, x, 0..1, blocks, out),
            _ => self.several_i8(matrix, x, blocks, out),
        }
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match x.tokens() {
            1 => self.some_i4(matrix, x, 0..1, blocks, out),
            _ => self.several_i4(matrix, x, blocks, out),
        }
    }
}

impl Neon32 {
    /// The row blocks `blocks` × some tokens.
    #[inline(always)]
    fn some_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        tokens: Range<usize>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        let columns = blocks.start * LANES..blocks.end * LANES;
        let rows = matrix.some_rows(blocks);
        for token in tokens {
            rows::int8(self, &rows, &x.row(token), out.token(token, columns.clone()));
        }
    }

    /// As [`Neon32::some_i8`].
    #[inline(always)]
    fn some_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        tokens: Range<usize>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        let columns = blocks.start * LANES..blocks.end * LANES;
        let rows = matrix.some_rows(blocks);
        let mut units = Units::new();
        for token in tokens {
            let row = x.row(token);
            units.write(matrix, &row);
            rows::int4(self, &rows, &units, &row, out.token(token, columns.clone()));
        }
    }

    /// All tokens, [`TOGETHER`] row blocks at a time. Not inlined: one token has fewer registers to save.
    #[inline(never)]
    fn several_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        for start in blocks.clone().step_by(TOGETHER) {
            let blocks = start..blocks.end.min(start + TOGETHER);
            self.some_i8(matrix, x, 0..x.tokens(), blocks, out);
        }
    }

    /// As [`Neon32::several_i8`].
    #[inline(never)]
    fn several_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        for start in blocks.clone().step_by(TOGETHER) {
            let blocks = start..blocks.end.min(start + TOGETHER);
            self.some_i4(matrix, x, 0..x.tokens(), blocks, out);
        }
    }
}
