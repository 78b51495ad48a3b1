//! The tile registers: their configuration, and the one loop that multiplies in them.
#![allow(unsafe_code, reason = "instructions that the language has no names for yet")]

use crate::tensor::{Activations, LANES};
use core::arch::asm;

/// Weights of 16 rows × 64 columns: 16 steps of `[16][4]`.
pub(super) type Tile = [i8; 1024];

/// Exact sums of two tiles of tokens × two tiles of weights: `[tokens' tile][weights' tile][token][row]`.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[[[i32; LANES]; LANES]; 2]; 2]);

impl Sums {
    pub(super) const ZERO: Self = Self([[[[0; LANES]; LANES]; 2]; 2]);
}

/// What tokens are multiplied by: two rows of tiles of the same length.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// All whole tiles.
    pub(super) whole: [&'a [Tile]; 2],
    /// Copies of the last tiles where the weights end before they do: after the end anything, as the activations are
    /// zeros there.
    pub(super) rest: Option<[&'a Tile; 2]>,
    /// How the second row of tiles is read; the first is signed.
    pub(super) second: Second,
    /// Where the weights that come next begin, if there are any: fetched ahead.
    pub(super) next: *const u8,
}

/// How bytes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// int8 weights.
    Signed,
    /// The low digit of int4 weights.
    Unsigned,
}

impl Second {
    /// Bytes to fetch ahead for every 64 columns: a quarter of what they take, as the macro's uses say.
    const fn ahead(self) -> usize {
        match self {
            Self::Signed => 8 * 64,
            Self::Unsigned => 2 * 64,
        }
    }
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

/// The tile registers, configured for this thread until dropped: sums of up to 16 tokens × 16 rows in `tmm0` … `tmm3`,
/// activations in `tmm4` and `tmm5`, weights in `tmm6` and `tmm7`.
///
/// Configuring and releasing takes 74 ns, as much as ten products of tiles.
pub(super) struct Tiles {
    tokens: usize,
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
    next: *const u8,
    sums: *mut Sums,
}

/// The loop over the columns: `$second` multiplies by the second row of tiles, `$lines` are fetched ahead in each turn,
/// `two` stands for two tiles of tokens.
///
/// Every tile that is loaded is used twice, the most that eight registers allow; loads are what the loop waits for. On
/// registers alone 2845 GMAC/s; with loads from the first-level cache 2240, from the second 1624 to 2130; other orders
/// of loads and products, among them a load ahead, 1430 to 1630 where this one has 1530 to 1730.
macro_rules! multiply {
    ($operands:expr, $second:literal, $lines:literal $(, $two:tt)?) => {{
        let operands: Operands = $operands;
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            multiply!(@ $($two)? "tilezero tmm2"),
            multiply!(@ $($two)? "tilezero tmm3"),
            "2:",
            concat!(".rept ", $lines),
            "prefetcht1 [{next}]",
            "add {next}, 64",
            ".endr",
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
            "dec {count}",
            "jnz 2b",
            // One more turn if there is a rest; after it there is none.
            "mov {w0}, {rest0}",
            "mov {w1}, {rest1}",
            "xchg {count}, {rest_count}",
            "test {count}, {count}",
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
            count = inout(reg) operands.count => _,
            rest0 = in(reg) operands.rest[0],
            rest1 = in(reg) operands.rest[1],
            rest_count = inout(reg) operands.rest_count => _,
            line = in(reg) 64usize,
            next = inout(reg) operands.next => _,
            sums = in(reg) operands.sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    }};
    (@ two $instruction:expr) => { $instruction };
    (@ $instruction:expr) => { "" };
}

impl Tiles {
    /// `weights` × columns `column ..` of the tokens from each of `starts` on: `N` tiles of tokens, 1 or 2, the `index`th
    /// that meet these weights.
    ///
    /// # Panics
    /// If activations or weights are not there.
    #[inline(always)]
    pub(super) fn multiply<const N: usize>(
        &self,
        x: &Activations<'_>,
        starts: [usize; N],
        column: usize,
        weights: &Weights<'_>,
        index: usize,
        sums: &mut Sums,
    ) {
        const { assert!(N == 1 || N == 2) };
        let (whole, rest) = (weights.whole, weights.rest);
        let (count, rest_count) = (whole[0].len(), usize::from(rest.is_some()));
        assert!(count == whole[1].len() && count + rest_count > 0, "the weights are there");
        for start in starts {
            let end = (start + self.tokens - 1) * x.stride() + column + (count + rest_count) * 64;
            assert!(end <= x.data().len(), "the activations are there");
        }
        let rest = rest.map_or([core::ptr::null(); 2], |rest| rest.map(core::ptr::from_ref));
        // The first turn is always taken: without whole tiles it is the rest's.
        let (whole, rest_count) = if count == 0 { (rest, 0) } else { (whole.map(<[_]>::as_ptr), rest_count) };
        let operands = Operands {
            x: [starts[0], starts[N - 1]]
                .map(|start| x.data().as_ptr().wrapping_add(start * x.stride() + column)),
            stride: x.stride(),
            whole,
            count: count.max(1),
            rest,
            rest_count,
            // Four calls fetch all that comes next; that won 2 to 10 % of a prefill of a 110M model.
            next: weights.next.wrapping_add(index % 4 * count * weights.second.ahead()),
            sums,
        };
        // SAFETY: the tiles are configured (`configure`). The loop reads the whole tiles and the rest of both rows, as many
        // times 64 columns of `tokens` tokens from each start, which are inside the data (just asserted), and writes
        // sums of `N` tiles of tokens. A fetch ahead does nothing where there is nothing.
        unsafe {
            match (N, weights.second) {
                (1, Second::Signed) => multiply!(operands, "tdpbssd", 8),
                (1, Second::Unsigned) => multiply!(operands, "tdpbsud", 2),
                (_, Second::Signed) => multiply!(operands, "tdpbssd", 8, two),
                (_, Second::Unsigned) => multiply!(operands, "tdpbsud", 2, two),
            }
        }
    }
}
