//! The loops around an integer tile when there are several tokens: what a backend with vector registers shares
//! with every other such backend. The backend brings only the tiles.
//!
//! Up to three row blocks are taken at a time, and of them a stretch of columns. Its weights are unpacked once, into
//! a buffer that stays in the first-level cache, and meet all tokens before the next stretch is read: a weight is
//! read from memory once, and unpacking it is shared by all tokens. Between stretches the exact sums wait in the
//! output, as bits. Where a core unpacks at no cost, rows are one stretch, and tiles read what the file has.
//!
//! **Roofline** of a tile of 3 row blocks × 8 tokens with AVX-512: every step (4 columns) is 24 `vpdpbusd` and 11 loads.
//! On Intel's cores they take 12 cycles on the two ports that have `vpdpbusd`, and 5.5. So multipliers limit it, and
//! everything else that they must do counts: flipping the sign of packed weights is 3 operations beside 24 (11 % of the
//! tile), which is why more than [`FEW`] tokens meet weights that were flipped before; group scales are 12 operations for
//! 96 products in tiles of 3 × 4 (11 %). Tiles of 2 × 12, 4 × 6 and 6 × 4 were no faster; two times as many tokens with
//! the sums of all groups in memory were 10 to 40 % slower than 3 × 4.
//!
//! Zen 4 takes 24 cycles for them, and has two more ports for what is no product. Of the peak of `vpdpbusd`, 128 tokens of
//! 2048 × 5632 weights took 77 % in stretches that were unpacked, 84 with the next stretch asked for in time and the sums kept in
//! registers to the end, 93 without unpacking; int4 in groups of 32, 64, 73 and 81 (89 can be had).

mod tile;
mod weights;

use crate::parallel::Columns;
use crate::tensor::{ACTIVATION_PAD, Activations, LANES};
use core::ops::Range;
#[cfg(target_arch = "aarch64")]
pub(super) use tile::Sums;
pub(super) use tile::{Offsets, Quads, Tile, in_parts};
pub(super) use weights::{Unpacked, Weights};

/// Most columns unpacked at a time: three row blocks of them are 30 KiB of a first-level cache of 48 KiB, which also
/// holds 5 KiB of activations. In the second-level cache, 1536 columns whole instead of in thirds, int8 lost up to
/// 10 % on a core whose other thread was busy, int4 in groups of 32 (tiles of four tokens read weights twice as
/// often) 15 to 25 %. On AArch64, by the same shares of the 32 KiB of a Cortex-A53 or A72 (not timed there).
pub(super) const STRETCH: usize = if cfg!(target_arch = "aarch64") { 448 } else { 640 };

/// Up to so many tokens (two tiles), weights pass through the caches once or twice, and are best not copied.
pub(super) const FEW: usize = 2 * WIDEST;

/// Most columns unpacked at a time for [`FEW`] tokens, so that the copies stay in the first-level cache: 1536 columns of
/// int4 ran 493 GOP/s in stretches of 256, 324 of 512, 226 of 768 (AVX-512, 8 tokens).
const FEW_STRETCH: usize = 256;

/// Bytes of activations that meet all weights before the next tokens do: half of a second-level cache of 2 MiB, from
/// where each three row blocks read them again: 512 tokens of 5632 columns at once, from the third level, ran 250 GOP/s,
/// in passes 380 to 450. On AArch64, half of the 512 KiB of a Cortex-A53 or A76 (not timed there).
const PASS: usize = if cfg!(target_arch = "aarch64") { 1 << 18 } else { 1 << 20 };

/// Row blocks taken at a time.
pub(super) const GROUP: usize = 3;

/// Most tokens in a tile.
pub(super) const WIDEST: usize = 8;

/// Weights of 16 rows × 4 columns, `[16][4]`.
pub(super) type Step = [u8; 64];

/// What the tiles of a backend compute. All arithmetic is wrapping.
pub(super) trait Tiles: Copy {
    /// What int8 weights are XORed with before they are multiplied: 0 or 0x80, which makes them unsigned, `w + 128`.
    const FLIP: u8;

    /// A group scale as [`Tiles::grouped`] takes it.
    fn group_scale(scale: i8) -> i32;

    /// `Σ w · x` over all steps of `weights`, int8 weights (flipped) or nibbles.
    fn plain<W: Weights<R>, const R: usize, const T: usize>(
        self,
        weights: W,
        tile: &mut Tile<'_, '_, '_, R, T>,
    );

    /// `Σ_g s[g] · (offset[t][g] + Σ_{g} w · x)`: groups of `Q` steps (4 or 8), `w = q + 8`, offset `−8 Σ x`.
    fn grouped<const R: usize, const T: usize, const Q: usize>(
        self,
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        tile: &mut Tile<'_, '_, '_, R, T>,
    );
}

/// A matrix that the loops can take, for the tiles of `K`.
pub(super) trait Source<K: Tiles>: Copy {
    /// Most tokens in one of its tiles: [`WIDEST`], or half of it where each sum needs two registers.
    const WIDEST: usize;

    /// Columns, without padding.
    fn cols(&self) -> usize;

    /// Most columns to take at a time.
    fn stretch(tokens: usize) -> usize {
        if tokens <= FEW { FEW_STRETCH } else { STRETCH }
    }

    /// The 16 row scales of a row block.
    fn row_scale(&self, block: usize) -> &[f32; LANES];

    /// What the sum of all values of a token is multiplied by to give what its sums start from; here, of signed weights or
    /// of groups that take off their own excess.
    fn bias(&self) -> i32 {
        0
    }

    /// The first step at `column` of row block `block`, if there is one: what tiles may ask for ahead.
    fn step(&self, _block: usize, _column: usize) -> Option<&Step> {
        None
    }

    /// Unpacks `columns` of `R` row blocks for the tiles.
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked);

    /// Adds the products of a stretch of columns; here, of one that was unpacked and has no group scales.
    #[inline(always)]
    fn tile<const R: usize, const T: usize>(
        &self,
        tiles: K,
        unpacked: &Unpacked,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        tiles.plain(unpacked.steps::<R>(), tile);
    }
}

/// `matrix` × `x` for row blocks `blocks`.
#[inline(always)]
pub(super) fn matmul<K: Tiles, S: Source<K>>(
    tiles: K,
    matrix: S,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let mut unpacked = Unpacked::new();
    let pass = (PASS / x.stride()).max(FEW).next_multiple_of(WIDEST);
    for first in (0..x.tokens()).step_by(pass) {
        let tokens = first..x.tokens().min(first + pass);
        let mut block = blocks.start;
        while block < blocks.end {
            // Four remaining blocks are two pairs: a tile of one block does a third of the work per activation read.
            block += match blocks.end - block {
                1 => row_blocks::<K, S, 1>(tiles, matrix, x, tokens.clone(), block, &mut unpacked, out),
                2 | 4 => row_blocks::<K, S, 2>(tiles, matrix, x, tokens.clone(), block, &mut unpacked, out),
                _ => row_blocks::<K, S, 3>(tiles, matrix, x, tokens.clone(), block, &mut unpacked, out),
            };
        }
    }
}

#[inline(always)]
fn row_blocks<K: Tiles, S: Source<K>, const R: usize>(
    tiles: K,
    matrix: S,
    x: &Activations<'_>,
    tokens: Range<usize>,
    block: usize,
    unpacked: &mut Unpacked,
    out: &mut Columns<'_>,
) -> usize {
    let (cols, most) = (matrix.cols(), S::stretch(x.tokens()));
    // Stretches of equal length, and of a matrix without columns one, so that its sums are written.
    let stretch = cols.div_ceil(cols.div_ceil(most).max(1)).max(1).next_multiple_of(ACTIVATION_PAD);
    for start in (0..cols.max(1)).step_by(stretch) {
        let columns = start..cols.min(start + stretch);
        matrix.unpack::<R>(block, columns.clone(), unpacked);
        let (unpacked, last) = (&*unpacked, columns.end == cols);
        let (mut token, mut next) = (tokens.start, if tokens.len() > FEW { 0..R } else { 0..0 });
        while token < tokens.end {
            // Each of the first tiles asks for a row block of the stretch that comes next.
            let ahead = next.next().and_then(
                #[inline(always)]
                |r| if last { matrix.step(block + R + r, 0) } else { matrix.step(block + r, columns.end) },
            );
            let at = At { block, token, columns: columns.clone(), last, ahead };
            token += match (tokens.end - token).min(S::WIDEST) {
                8.. => tile::<K, S, R, 8>(tiles, matrix, x, unpacked, at, out),
                4..8 => tile::<K, S, R, 4>(tiles, matrix, x, unpacked, at, out),
                // Two and three one by one: tiles for them were 30 kB of code.
                _ => tile::<K, S, R, 1>(tiles, matrix, x, unpacked, at, out),
            };
        }
    }
    R
}

/// Where a tile lies.
struct At<'m> {
    block: usize,
    token: usize,
    columns: Range<usize>,
    last: bool,
    ahead: Option<&'m Step>,
}

#[inline(always)]
fn tile<K: Tiles, S: Source<K>, const R: usize, const T: usize>(
    tiles: K,
    matrix: S,
    x: &Activations<'_>,
    unpacked: &Unpacked,
    At { block, token, columns, last, ahead }: At<'_>,
    out: &mut Columns<'_>,
) -> usize {
    let mut row_scales = [&[0.0; LANES]; R];
    for (r, scale) in row_scales.iter_mut().enumerate() {
        *scale = matrix.row_scale(block + r);
    }
    let bias = matrix.bias();
    matrix.tile(
        tiles,
        unpacked,
        &mut Tile::<R, T> { x, out, bias, row_scales, block, token, columns, last, ahead },
    );
    T
}
