//! The loops around an integer tile when there are several tokens: what a backend with vector registers shares
//! with every other such backend. The backend brings only the tiles.
//!
//! Up to three row blocks are taken at a time, and of them a stretch of columns (see [`stretch`]). Its weights are
//! unpacked once, into a buffer that stays in the first-level cache, and meet all tokens before
//! the next stretch is read: a weight is read from memory once, and unpacking it is shared by all tokens. Between
//! stretches the exact sums wait in the output, as bits.
#![allow(unsafe_code, reason = "one read per step without a bounds check; a buffer that nobody clears")]

use super::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{ACTIVATION_PAD, Activations, LANES, MatrixI4, MatrixI8};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Most columns unpacked at a time: three row blocks of them are 30 KiB of a first-level cache of 48 KiB.
const STRETCH: usize = 640;

/// Columns to unpack at a time, a multiple of 32. Measured with AVX-512 (GOP/s; 32 KiB caches were not measured):
/// - many tokens: 576 columns 690 whole, 520 as 512 + 64 (sums go through memory twice), so stretches are equal and
///   as few as the cache allows; 1536 columns 650 in thirds, 490 whole.
/// - up to 16 tokens, where packed and unpacked weights pass through the cache together: 1536 columns 493 in
///   stretches of 256, 324 of 512, 226 of 768.
fn stretch(cols: usize, tokens: usize) -> usize {
    let most = if tokens <= 2 * WIDEST { 256 } else { STRETCH };
    cols.div_ceil(cols.div_ceil(most).max(1)).max(1).next_multiple_of(ACTIVATION_PAD)
}

/// Row blocks taken at a time.
const GROUP: usize = 3;

/// Most tokens in a tile.
const WIDEST: usize = 8;

/// Weights of 16 rows × 4 columns, `[16][4]`.
pub(super) type Step = [u8; 64];

/// Exact sums of `R` row blocks × `T` tokens.
pub(super) type Sums<const R: usize, const T: usize> = [[[i32; LANES]; T]; R];

/// What the tiles of a backend compute: `sums[r][t][l] += …` in wrapping i32.
pub(super) trait Tiles: Copy {
    /// What int8 weights are XORed with before a tile sees them: 0 or 0x80, which makes them unsigned, `w + 128`.
    const FLIP: u8;

    /// What a group scale, as u16, is multiplied by to become a tile's i32: 1 for the i16 pair (s, 0), 0x1_0001
    /// for (s, s).
    const SPREAD: i32;

    /// `Σ w · x`, int8 weights (flipped) or nibbles, over all steps of `weights`.
    fn plain<const R: usize, const T: usize>(
        self,
        weights: &[[Step; R]],
        x: Quads<'_>,
        sums: &mut Sums<R, T>,
    );

    /// `Σ_g s[g] · (offset[g][t] + Σ_{g} w · x)`: groups of `Q` steps (4 or 8), `w = q + 8`, offset `−8 Σ x`.
    fn grouped<const R: usize, const T: usize, const Q: usize>(
        self,
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        offsets: &[[i32; T]],
        x: Quads<'_>,
        sums: &mut Sums<R, T>,
    );
}

/// The activations of a stretch for the tokens of a tile, four columns (a step) at a time.
#[derive(Clone, Copy)]
pub(super) struct Quads<'a> {
    /// From the first token's first column on.
    data: &'a [i8],
    /// Elements from one token to the next.
    stride: usize,
}

impl<'a> Quads<'a> {
    /// The tokens from `at.token` on, columns `at.start ..`.
    #[inline(always)]
    fn new(at: At<'_, 'a>) -> Self {
        // Without columns there is no first one.
        let data = at.x.data().get(at.token * at.x.stride() + at.start..);
        Self { data: data.unwrap_or_default(), stride: at.x.stride() }
    }

    /// Each of `weights` with the four values of each of `T` tokens at that step.
    ///
    /// # Panics
    /// If the activations end before the weights.
    #[inline(always)]
    pub(super) fn zip<'w, W, const T: usize>(
        self,
        weights: &'w [W],
    ) -> impl Iterator<Item = (&'w W, [[i8; 4]; T])> {
        assert!(weights.is_empty() || (T - 1) * self.stride + 4 * weights.len() <= self.data.len());
        let data = self.data.as_ptr().cast::<[i8; 4]>();
        weights.iter().enumerate().map(move |(step, weights)| {
            // SAFETY: for every step below `weights.len()` the four values of `T` tokens lie in `data` (just
            // asserted).
            (weights, core::array::from_fn(|t| unsafe { *data.byte_add(t * self.stride + 4 * step) }))
        })
    }

    /// The same activations from the `index`th group of `steps` steps on.
    #[inline(always)]
    pub(super) fn group(self, index: usize, steps: usize) -> Self {
        Self { data: &self.data[index * steps * 4..], ..self }
    }
}

/// A matrix that the loops can unpack.
pub(super) trait Source: Copy {
    /// Most tokens in one of its tiles: [`WIDEST`], or half of it where each sum needs two registers.
    const WIDEST: usize;

    /// Columns, without padding.
    fn cols(&self) -> usize;

    /// The 16 row scales of a row block.
    fn row_scale(&self, block: usize) -> &[f32; LANES];

    /// What the sum of all values of a token is multiplied by to give what its sums start from.
    fn bias<K: Tiles>(&self) -> i32;

    /// Unpacks `columns` of `R` row blocks for the tiles of `K`.
    fn unpack<K: Tiles, const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked);

    /// Adds the products of the unpacked stretch.
    fn tile<K: Tiles, const R: usize, const T: usize>(
        &self,
        tiles: K,
        unpacked: &Unpacked,
        at: At<'_, '_>,
        sums: &mut Sums<R, T>,
    );
}

/// Where a tile lies: tokens `token ..` of `x`, columns `start ..`; whether they are the row's last.
#[derive(Clone, Copy)]
pub(super) struct At<'x, 'a> {
    x: &'x Activations<'a>,
    token: usize,
    start: usize,
    last: bool,
}

/// A stretch of weights, a byte each: `[steps][R]` steps and `[groups][R]` scales.
///
/// Only what was written is read; clearing the rest for every product cost 6 % of a prefill of a 15M model and 23 %
/// of a decoding of a 260K one.
pub(super) struct Unpacked {
    steps: [MaybeUninit<Step>; GROUP * STRETCH / 4],
    scales: [MaybeUninit<[i32; LANES]>; GROUP * STRETCH / 16],
    /// Steps that are written, from the first on.
    written_steps: usize,
    /// Scales that are written, from the first on.
    written_scales: usize,
}

impl Unpacked {
    fn new() -> Self {
        Self {
            steps: [const { MaybeUninit::uninit() }; GROUP * STRETCH / 4],
            scales: [const { MaybeUninit::uninit() }; GROUP * STRETCH / 16],
            written_steps: 0,
            written_scales: 0,
        }
    }

    /// What was unpacked of `R` row blocks.
    #[inline(always)]
    fn steps<const R: usize>(&self) -> &[[Step; R]] {
        // SAFETY: that many are written.
        unsafe { self.steps[..self.written_steps].assume_init_ref() }.as_chunks().0
    }

    /// The group scales of `R` row blocks.
    #[inline(always)]
    fn scales<const R: usize>(&self) -> &[[[i32; LANES]; R]] {
        // SAFETY: that many are written.
        unsafe { self.scales[..self.written_scales].assume_init_ref() }.as_chunks().0
    }
}

/// `matrix` × `x` for row blocks `blocks`.
#[inline(always)]
pub(super) fn matmul<K: Tiles, S: Source>(
    tiles: K,
    matrix: S,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let mut unpacked = Unpacked::new();
    let mut block = blocks.start;
    while block < blocks.end {
        // Four remaining blocks are two pairs: a tile of one block does a third of the work per activation read.
        block += match blocks.end - block {
            1 => row_blocks::<K, S, 1>(tiles, matrix, x, block, &mut unpacked, out),
            2 | 4 => row_blocks::<K, S, 2>(tiles, matrix, x, block, &mut unpacked, out),
            _ => row_blocks::<K, S, 3>(tiles, matrix, x, block, &mut unpacked, out),
        };
    }
}

#[inline(always)]
fn row_blocks<K: Tiles, S: Source, const R: usize>(
    tiles: K,
    matrix: S,
    x: &Activations<'_>,
    block: usize,
    unpacked: &mut Unpacked,
    out: &mut Columns<'_>,
) -> usize {
    // A matrix without columns has one empty stretch, so that its sums are written.
    let (cols, stretch) = (matrix.cols(), stretch(matrix.cols(), x.tokens()));
    for start in (0..cols.max(1)).step_by(stretch) {
        let end = cols.min(start + stretch);
        matrix.unpack::<K, R>(block, start..end, unpacked);
        let mut token = 0;
        while token < x.tokens() {
            let at = At { x, token, start, last: end == cols };
            token += match (x.tokens() - token).min(S::WIDEST) {
                8.. => tile::<K, S, R, 8>(tiles, matrix, unpacked, block, at, out),
                4..8 => tile::<K, S, R, 4>(tiles, matrix, unpacked, block, at, out),
                2..4 => tile::<K, S, R, 2>(tiles, matrix, unpacked, block, at, out),
                _ => tile::<K, S, R, 1>(tiles, matrix, unpacked, block, at, out),
            };
        }
    }
    R
}

#[inline(always)]
fn tile<K: Tiles, S: Source, const R: usize, const T: usize>(
    tiles: K,
    matrix: S,
    unpacked: &Unpacked,
    block: usize,
    at: At<'_, '_>,
    out: &mut Columns<'_>,
) -> usize {
    let At { x, token, start, last } = at;
    let mut sums = [[[0; LANES]; T]; R];
    for t in 0..T {
        let first = matrix.bias::<K>().wrapping_mul(x.row(token + t).total);
        for r in 0..R {
            sums[r][t] = match start {
                0 => [first; LANES],
                _ => out.block(token + t, block + r).map(|sum| sum.to_bits() as i32),
            };
        }
    }
    matrix.tile(tiles, unpacked, at, &mut sums);
    for r in 0..R {
        let row_scale = matrix.row_scale(block + r);
        for t in 0..T {
            let out = out.block(token + t, block + r);
            if last {
                finish(sums[r][t], row_scale, x.row(token + t).scale, out);
            } else {
                *out = sums[r][t].map(|sum| f32::from_bits(sum as u32));
            }
        }
    }
    T
}

/// The steps (or groups) of `width` columns each that hold `columns`, which start at a whole one.
fn steps(columns: &Range<usize>, width: usize) -> Range<usize> {
    columns.start / width..columns.end.div_ceil(width)
}

impl Source for MatrixI8<'_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        MatrixI8::cols(self)
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.block_scale(block)
    }

    fn bias<K: Tiles>(&self) -> i32 {
        -i32::from(K::FLIP)
    }

    #[inline(always)]
    fn unpack<K: Tiles, const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        let range = steps(&columns, 4);
        let steps = &mut unpacked.steps.as_chunks_mut::<R>().0[..range.len()];
        for r in 0..R {
            let packed = &self.block(block + r).as_chunks::<64>().0[range.clone()];
            for (step, packed) in steps.iter_mut().zip(packed) {
                step[r].write(packed.map(|w| w as u8 ^ K::FLIP));
            }
        }
        unpacked.written_steps = range.len() * R;
    }

    #[inline(always)]
    fn tile<K: Tiles, const R: usize, const T: usize>(
        &self,
        tiles: K,
        unpacked: &Unpacked,
        at: At<'_, '_>,
        sums: &mut Sums<R, T>,
    ) {
        tiles.plain(unpacked.steps::<R>(), Quads::new(at), sums);
    }
}

/// Unpacks the nibbles of a stretch, still `q + 8`, to a byte each, and zeros up to a multiple of `multiple` steps.
#[inline(always)]
fn unpack_nibbles<const R: usize>(
    matrix: &MatrixI4<'_>,
    block: usize,
    columns: &Range<usize>,
    multiple: usize,
    unpacked: &mut Unpacked,
) {
    let range = steps(columns, 8);
    let used = (2 * range.len()).next_multiple_of(multiple);
    let steps = &mut unpacked.steps.as_chunks_mut::<R>().0[..used];
    let (pairs, rest) = steps.split_at_mut(2 * range.len());
    let pairs = pairs.as_chunks_mut::<2>().0;
    for r in 0..R {
        let packed = &matrix.block(block + r).as_chunks::<64>().0[range.clone()];
        for ([low, high], packed) in pairs.iter_mut().zip(packed) {
            low[r].write(packed.map(|w| w & 15));
            high[r].write(packed.map(|w| w >> 4));
        }
    }
    rest.as_flattened_mut().fill(MaybeUninit::new([0; 64]));
    unpacked.written_steps = used * R;
}

/// int4 weights without group scales.
#[derive(Clone, Copy)]
pub(super) struct Whole<'m, 'a>(pub(super) &'m MatrixI4<'a>);

impl Source for Whole<'_, '_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    fn bias<K: Tiles>(&self) -> i32 {
        -8
    }

    #[inline(always)]
    fn unpack<K: Tiles, const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        unpack_nibbles::<R>(self.0, block, &columns, 2, unpacked);
    }

    #[inline(always)]
    fn tile<K: Tiles, const R: usize, const T: usize>(
        &self,
        tiles: K,
        unpacked: &Unpacked,
        at: At<'_, '_>,
        sums: &mut Sums<R, T>,
    ) {
        tiles.plain(unpacked.steps::<R>(), Quads::new(at), sums);
    }
}

/// int4 weights in groups of `Q` steps: 4 for groups of 16 columns, 8 for the others (and for whole rows, whose
/// scale is 1), which are taken 32 columns at a time with the same scale, so that a sum over one always fits i16: 8 · 127 · 32 = 32 512.
#[derive(Clone, Copy)]
pub(super) struct Grouped<'m, 'a, const Q: usize>(pub(super) &'m MatrixI4<'a>);

impl<const Q: usize> Source for Grouped<'_, '_, Q> {
    const WIDEST: usize = WIDEST / 2;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    fn bias<K: Tiles>(&self) -> i32 {
        0
    }

    #[inline(always)]
    fn unpack<K: Tiles, const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        // A last group may have fewer weights than `Q` steps; the zeros meet activations that are padding.
        unpack_nibbles::<R>(self.0, block, &columns, Q, unpacked);
        let groups = steps(&columns, 4 * Q);
        let scales = &mut unpacked.scales.as_chunks_mut::<R>().0[..groups.len()];
        for r in 0..R {
            let packed = self.0.block_group_scale(block + r).as_chunks::<LANES>().0;
            for (scale, group) in scales.iter_mut().zip(groups.clone()) {
                let packed = match self.0.group() {
                    0 => [1; LANES],
                    width => packed[group * 4 * Q / width],
                };
                scale[r].write(packed.map(|s| i32::from(i16::from(s) as u16).wrapping_mul(K::SPREAD)));
            }
        }
        unpacked.written_scales = groups.len() * R;
    }

    #[inline(always)]
    fn tile<K: Tiles, const R: usize, const T: usize>(
        &self,
        tiles: K,
        unpacked: &Unpacked,
        at: At<'_, '_>,
        sums: &mut Sums<R, T>,
    ) {
        let (groups, scales) = (unpacked.steps::<R>().as_chunks::<Q>().0, unpacked.scales::<R>());
        let mut offsets = [[0; T]; STRETCH / 16];
        for t in 0..T {
            let sums = at.x.row(at.token + t).sums.get(at.start / 16..).unwrap_or_default();
            if Q == 4 {
                for (offset, sum) in offsets.iter_mut().zip(sums) {
                    offset[t] = -8 * i32::from(*sum);
                }
            } else {
                for (offset, [a, b]) in offsets.iter_mut().zip(sums.as_chunks::<2>().0) {
                    offset[t] = -8 * (i32::from(*a) + i32::from(*b));
                }
            }
        }
        tiles.grouped(groups, scales, &offsets, Quads::new(at), sums);
    }
}
