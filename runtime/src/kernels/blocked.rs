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
#![allow(unsafe_code, reason = "what is written of a buffer that nobody clears")]

use super::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{ACTIVATION_PAD, Activations, LANES};
use core::mem::MaybeUninit;
use core::ops::Range;

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

/// The activations of one token, four columns (a step) at a time.
pub(super) type Quads<'a> = &'a [[i8; 4]];

/// Exact sums of `R` row blocks × `T` tokens.
pub(super) type Sums<const R: usize, const T: usize> = [[[i32; LANES]; T]; R];

/// What is added to the sum over each group before it is scaled, for each token of a tile.
pub(super) type Offsets<const T: usize> = [[i32; STRETCH / 16]; T];

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

/// Weights of `R` row blocks, a byte each.
pub(super) trait Weights<const R: usize>: Copy {
    /// Whether they are as the file has them, so that a tile must flip them itself.
    #[cfg(target_arch = "x86_64")]
    const PACKED: bool;

    /// Steps of each row block.
    fn steps(self) -> usize;

    /// The first `steps` of them: what follows needs no bounds checks.
    fn first(self, steps: usize) -> Self;

    /// One step of row block `r`.
    fn at(&self, step: usize, r: usize) -> &Step;

    /// Steps `4 · four ..` of row block `r`.
    #[cfg(target_arch = "aarch64")]
    fn four(&self, four: usize, r: usize) -> [&Step; 4];
}

/// Unpacked weights.
impl<const R: usize> Weights<R> for &[[Step; R]] {
    #[cfg(target_arch = "x86_64")]
    const PACKED: bool = false;

    #[inline(always)]
    fn steps(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn first(self, steps: usize) -> Self {
        &self[..steps]
    }

    #[inline(always)]
    fn at(&self, step: usize, r: usize) -> &Step {
        &self[step][r]
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn four(&self, four: usize, r: usize) -> [&Step; 4] {
        let [a, b, c, d] = &self.as_chunks().0[four];
        [&a[r], &b[r], &c[r], &d[r]]
    }
}

/// Packed int8 weights.
impl<const R: usize> Weights<R> for [&[Step]; R] {
    #[cfg(target_arch = "x86_64")]
    const PACKED: bool = true;

    #[inline(always)]
    fn steps(self) -> usize {
        self[0].len()
    }

    #[inline(always)]
    fn first(mut self, steps: usize) -> Self {
        for weights in &mut self {
            *weights = &weights[..steps];
        }
        self
    }

    #[inline(always)]
    fn at(&self, step: usize, r: usize) -> &Step {
        &self[r][step]
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn four(&self, four: usize, r: usize) -> [&Step; 4] {
        self[r].as_chunks().0[four].each_ref()
    }
}

/// `R` row blocks × `T` tokens over a stretch of columns: where its sums come from and go.
pub(super) struct Tile<'t, 'a, 'o, const R: usize, const T: usize> {
    x: &'t Activations<'a>,
    out: &'t mut Columns<'o>,
    /// What the sum of all values of a token is multiplied by to give what its sums start from.
    bias: i32,
    /// The scales of its rows.
    pub(super) row_scales: [&'t [f32; LANES]; R],
    block: usize,
    token: usize,
    /// Its columns.
    pub(super) columns: Range<usize>,
    /// Whether its columns are the row's last.
    pub(super) last: bool,
    /// Where weights lie that will be wanted next: for each of its steps as many bytes as it takes of one row block.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "not asked for"))]
    pub(super) ahead: Option<&'t Step>,
}

impl<'a, const R: usize, const T: usize> Tile<'_, 'a, '_, R, T> {
    /// What all sums of token `t` start from, or `None` if they go on from [`Tile::out`], as bits.
    #[inline(always)]
    pub(super) fn bias(&self, t: usize) -> Option<i32> {
        (self.columns.start == 0).then(|| self.bias.wrapping_mul(self.x.totals()[self.token + t]))
    }

    /// Its first row block.
    #[inline(always)]
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// The scale of token `t`.
    #[inline(always)]
    pub(super) fn scale(&self, t: usize) -> f32 {
        self.x.scales()[self.token + t]
    }

    /// The results of token `t`.
    #[inline(always)]
    pub(super) fn out(&mut self, t: usize) -> &mut [[f32; LANES]; R] {
        self.out.neighbours(self.token + t, self.block)
    }

    /// The results of all tokens.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn outs(&mut self) -> [&mut [[f32; LANES]; R]; T] {
        self.out.tile(self.token, self.block)
    }

    /// The sums of 16 values of each token, from its first column on.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn sums(&self) -> [&'a [i16]; T] {
        let mut sums: [&[i16]; T] = [&[]; T];
        for t in 0..T {
            sums[t] = &self.x.sums(self.token + t)[self.columns.start / 16..];
        }
        sums
    }

    /// The scales of all tokens.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn token_scales(&self) -> &'a [f32; T] {
        self.x.scales()[self.token..].first_chunk().expect("T tokens")
    }

    /// Whether its columns are the row's first.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn is_first(&self) -> bool {
        self.columns.start == 0
    }

    /// The first `steps` steps of each token, and the padding up to 16 columns.
    #[inline(always)]
    pub(super) fn quads(&self, steps: usize) -> [Quads<'a>; T] {
        let (stride, len) = (self.x.stride(), 4 * steps.next_multiple_of(4));
        let rows = &self.x.data()[self.token * stride..][..T * stride];
        assert!(self.columns.start + len <= stride);
        let mut quads: [Quads<'a>; T] = [&[]; T];
        for t in 0..T {
            let start = t * stride + self.columns.start;
            // SAFETY: `rows` has `T` rows, and what is taken lies in row `t` (just asserted). Asked for row by row, compilers make
            // vectors of the bounds and scatter them.
            quads[t] = unsafe { rows.get_unchecked(start..start + len) }.as_chunks().0;
        }
        quads
    }

    /// The first `groups` groups of `Q` steps of each token.
    #[inline(always)]
    pub(super) fn groups<const Q: usize>(&self, groups: usize) -> [&'a [[[i8; 4]; Q]]; T] {
        self.quads(groups * Q).map(
            #[inline(always)]
            |quads| quads.as_chunks().0,
        )
    }

    /// `−8 Σ x` over each of the first `groups` groups of `Q` steps.
    #[inline(always)]
    pub(super) fn offsets<const Q: usize>(&self, groups: usize) -> Offsets<T> {
        offsets::<T, Q>(self.x, self.token, self.columns.start, groups)
    }

    /// What the sums start from, for a backend that keeps them in memory.
    #[inline(always)]
    pub(super) fn start(&mut self) -> Sums<R, T> {
        let mut sums = [[[0; LANES]; T]; R];
        for t in 0..T {
            match self.bias(t) {
                Some(bias) => sums.iter_mut().for_each(|sums| sums[t] = [bias; LANES]),
                None => {
                    for (sums, out) in sums.iter_mut().zip(self.out(t)) {
                        sums[t] = out.map(|sum| sum.to_bits() as i32);
                    }
                }
            }
        }
        sums
    }

    /// Takes the sums of a backend that keeps them in memory.
    #[inline(always)]
    pub(super) fn end(&mut self, sums: &Sums<R, T>) {
        let (row_scales, last) = (self.row_scales, self.last);
        for t in 0..T {
            let scale = self.scale(t);
            for (r, out) in self.out(t).iter_mut().enumerate() {
                if last {
                    finish(sums[r][t], row_scales[r], scale, out);
                } else {
                    *out = sums[r][t].map(|sum| f32::from_bits(sum as u32));
                }
            }
        }
    }
}

/// [`Tile::offsets`], the same for any number of row blocks and all backends of x86-64: 6 kB more otherwise.
#[cfg_attr(target_arch = "x86_64", inline(never))]
#[cfg_attr(not(target_arch = "x86_64"), inline(always))]
fn offsets<const T: usize, const Q: usize>(
    x: &Activations<'_>,
    token: usize,
    start: usize,
    groups: usize,
) -> Offsets<T> {
    let mut offsets = [[0; STRETCH / 16]; T];
    for (t, offsets) in offsets.iter_mut().enumerate() {
        let sums = &x.sums(token + t)[start / 16..];
        if Q == 4 {
            for (offset, sum) in offsets[..groups].iter_mut().zip(sums) {
                *offset = -8 * i32::from(*sum);
            }
        } else {
            for (offset, [a, b]) in offsets[..groups].iter_mut().zip(sums.as_chunks().0) {
                *offset = -8 * (i32::from(*a) + i32::from(*b));
            }
        }
    }
    offsets
}

/// A tile in parts of one row block × `P` tokens and, where there are fewer, one: `several(r, x, sums)` and `one` add the
/// products of row block `r`. For backends whose registers do not hold the sums of a whole tile.
#[inline(always)]
pub(super) fn in_parts<const P: usize, const R: usize, const T: usize>(
    x: &[Quads<'_>; T],
    tile: &mut Tile<'_, '_, '_, R, T>,
    several: impl Fn(usize, &[Quads<'_>; P], &mut [[i32; LANES]; P]),
    one: impl Fn(usize, &[Quads<'_>; 1], &mut [[i32; LANES]; 1]),
) {
    let mut sums = tile.start();
    for r in 0..R {
        let ((parts, rest), (part_sums, rest_sums)) = (x.as_chunks(), sums[r].as_chunks_mut());
        for (x, sums) in parts.iter().zip(part_sums) {
            several(r, x, sums);
        }
        for (x, sums) in rest.as_chunks().0.iter().zip(rest_sums.as_chunks_mut().0) {
            one(r, x, sums);
        }
    }
    tile.end(&sums);
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

/// A stretch of weights, a byte each: `[steps][R]` steps and `[groups][R]` scales.
///
/// Only what was written is read; clearing the rest for every product cost 6 % of a prefill of a 15M model and 23 %
/// of a decoding of a 260K one.
// So that no step lies in two cache lines.
#[repr(align(64))]
pub(super) struct Unpacked {
    pub(super) steps: [MaybeUninit<Step>; GROUP * STRETCH / 4],
    pub(super) scales: [MaybeUninit<[i32; LANES]>; GROUP * STRETCH / 16],
    /// Steps that are written, from the first on.
    pub(super) written_steps: usize,
    /// Scales that are written, from the first on.
    pub(super) written_scales: usize,
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
    pub(super) fn steps<const R: usize>(&self) -> &[[Step; R]] {
        // SAFETY: that many are written.
        unsafe { self.steps[..self.written_steps].assume_init_ref() }.as_chunks().0
    }

    /// The group scales of `R` row blocks.
    #[inline(always)]
    pub(super) fn scales<const R: usize>(&self) -> &[[[i32; LANES]; R]] {
        // SAFETY: that many are written.
        unsafe { self.scales[..self.written_scales].assume_init_ref() }.as_chunks().0
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
