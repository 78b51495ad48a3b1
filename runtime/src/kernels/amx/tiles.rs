//! The tile registers: their configuration, and the one loop that multiplies in them.
#![allow(unsafe_code, reason = "instructions that the language has no names for yet")]

use crate::tensor::{Activations, LANES};
use core::arch::asm;

/// Weights of 16 rows × 64 columns, 16 steps of `[16][4]`.
pub(super) type Tile = [i8; 1024];

/// Exact sums of two tiles of tokens × two tiles of weights, `[tokens' tile][weights' tile][token][row]`.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[[[i32; LANES]; LANES]; 2]; 2]);

impl Sums {
    pub(super) const ZERO: Self = Self([[[[0; LANES]; LANES]; 2]; 2]);
}

/// What two tiles of tokens are multiplied by: two rows of tiles of the same length.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// All whole tiles.
    pub(super) whole: [&'a [Tile]; 2],
    /// The last tile where the weights end before it does: a copy, with anything finite after the end, where
    /// activations are zeros.
    pub(super) rest: Option<[&'a Tile; 2]>,
}

/// How the second row of tiles is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// Signed, as the first.
    Signed,
    /// Unsigned.
    Unsigned,
}

/// The tile registers, configured for this thread until dropped.
///
/// Sums of 16 tokens × 16 rows in `tmm0` … `tmm3`, activations in `tmm4` and `tmm5`, weights in `tmm6` and `tmm7`.
/// Configuring and releasing takes 74 ns, as much as ten products of tiles.
pub(super) struct Tiles {
    tokens: usize,
}

/// The operand of `ldtilecfg`, palette 1.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// Configures tiles of `tokens` tokens, 1 to 16, in this thread.
    ///
    /// # Safety
    /// - The CPU has AMX for bytes and the process may use it.
    /// - Until this value is dropped, the thread makes no other.
    pub(super) unsafe fn configure(tokens: usize) -> Self {
        assert!((1..=LANES).contains(&tokens));
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        row_bytes[..8].fill(64);
        rows[..6].fill(tokens as u8);
        rows[6..8].fill(16);
        let configuration = Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows };
        // SAFETY: the configuration is one that palette 1 allows; the rest is the contract.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly)) }
        Self { tokens }
    }

    /// Tokens in a tile.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the CPU has the instruction (`configure`).
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }
}

/// The loop over the columns. `$second` multiplies by the second row of tiles; `$two` are instructions for two tiles of
/// tokens.
///
/// Each weight tile is loaded once for two products, each activation tile too: of eight registers the most that can be
/// had of a load, and loads are what the loop waits for. On registers alone: 2845 GMAC/s; with loads from the
/// first-level cache 2240; with activations from the second level 2230. Other orders of loads and products and a
/// load ahead were up to 10 % slower.
macro_rules! multiply {
    ($operands:expr, $second:literal $(, $two:tt)?) => {{
        let operands: Operands = $operands;
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            multiply!(@ $($two)? "tilezero tmm2"),
            multiply!(@ $($two)? "tilezero tmm3"),
            "2:",
            "tileloadd tmm4, [{x0} + {stride}]",
            "tileloadd tmm6, [{w0} + {line}]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w1} + {line}]",
            concat!($second, " tmm1, tmm4, tmm7"),
            multiply!(@ $($two)? "tileloadd tmm5, [{x1} + {stride}]"),
            multiply!(@ $($two)? "tdpbssd tmm2, tmm5, tmm6"),
            multiply!(@ $($two)? concat!($second, " tmm3, tmm5, tmm7")),
            "add {x0}, 64",
            "add {x1}, 64",
            "add {w0}, 1024",
            "add {w1}, 1024",
            "dec {whole}",
            "jnz 2b",
            // Once more if there is a rest, and then there is none.
            "mov {w0}, {rest0}",
            "mov {w1}, {rest1}",
            "xchg {whole}, {rest}",
            "test {whole}, {whole}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            multiply!(@ $($two)? "tilestored [{sums} + {line} + 2048], tmm2"),
            multiply!(@ $($two)? "tilestored [{sums} + {line} + 3072], tmm3"),
            x0 = inout(reg) operands.x[0] => _,
            x1 = inout(reg) operands.x[1] => _,
            stride = in(reg) operands.stride,
            w0 = inout(reg) operands.whole[0] => _,
            w1 = inout(reg) operands.whole[1] => _,
            rest0 = in(reg) operands.rest[0],
            rest1 = in(reg) operands.rest[1],
            line = in(reg) 64usize,
            whole = inout(reg) operands.count => _,
            rest = inout(reg) operands.rest_count => _,
            sums = in(reg) operands.sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    }};
    (@ two $instruction:expr) => { $instruction };
    (@ $instruction:expr) => { "" };
}

/// Registers of the loop.
struct Operands {
    x: [*const i8; 2],
    stride: usize,
    whole: [*const Tile; 2],
    /// Whole tiles, at least 1.
    count: usize,
    rest: [*const Tile; 2],
    /// 1 where there is a rest, otherwise 0.
    rest_count: usize,
    sums: *mut Sums,
}

impl Tiles {
    /// `weights` × columns `column ..` of the tokens from each of `starts` on: `N` tiles of tokens, 1 or 2.
    ///
    /// # Panics
    /// If activations or weights are not there.
    #[inline(always)]
    pub(super) fn multiply<const N: usize>(
        &self,
        x: &Activations<'_>,
        starts: [usize; N],
        column: usize,
        weights: Weights<'_>,
        second: Second,
        sums: &mut Sums,
    ) {
        const { assert!(N == 1 || N == 2) };
        let count = weights.whole[0].len();
        let rest_count = usize::from(weights.rest.is_some());
        assert!(count == weights.whole[1].len());
        for start in starts {
            let end = (start + self.tokens - 1) * x.stride() + column + (count + rest_count) * 64;
            assert!(end <= x.data().len(), "the activations are there");
        }
        let rest = weights.rest.map_or([core::ptr::null(); 2], |rest| rest.map(core::ptr::from_ref));
        // The loop's first turn must be there; without whole tiles it is the rest.
        let whole = if count == 0 { rest } else { weights.whole.map(<[_]>::as_ptr) };
        let rest_count = if count == 0 { 0 } else { rest_count };
        assert!(!whole[0].is_null(), "there are columns");
        let x0 = x.data().as_ptr();
        let operands = Operands {
            x: [starts[0], starts[N - 1]].map(|start| x0.wrapping_add(start * x.stride() + column)),
            stride: x.stride(),
            whole,
            count: count.max(1),
            rest,
            rest_count,
            sums,
        };
        // SAFETY: the tiles are configured (`configure`). The loop reads `count` whole tiles and the rest of both rows, as
        // many times 64 columns of `tokens` tokens from each start, which is inside the data (just asserted), and writes
        // the sums of the tokens' tiles that there are.
        unsafe {
            match (N, second) {
                (1, Second::Signed) => multiply!(operands, "tdpbssd"),
                (1, Second::Unsigned) => multiply!(operands, "tdpbsud"),
                (_, Second::Signed) => multiply!(operands, "tdpbssd", two),
                (_, Second::Unsigned) => multiply!(operands, "tdpbsud", two),
            }
        }
    }
}
