//! A tile: where the sums of some row blocks and tokens start from, what they meet, and where they go.
#![allow(unsafe_code, reason = "bounds proven once for all tokens of a tile")]

use super::{STRETCH, Step};
use crate::kernels::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES};
use core::ops::Range;

/// The activations of one token, four columns (a step) at a time.
pub(crate) type Quads<'a> = &'a [[i8; 4]];

/// Exact sums of `R` row blocks × `T` tokens.
pub(crate) type Sums<const R: usize, const T: usize> = [[[i32; LANES]; T]; R];

/// What is added to the sum over each group before it is scaled, for each token of a tile.
pub(crate) type Offsets<const T: usize> = [[i32; STRETCH / 16]; T];

/// `R` row blocks × `T` tokens over a stretch of columns: where its sums come from and go.
pub(crate) struct Tile<'t, 'a, 'o, const R: usize, const T: usize> {
    pub(super) x: &'t Activations<'a>,
    pub(super) out: &'t mut Columns<'o>,
    /// What the sum of all values of a token is multiplied by to give what its sums start from.
    pub(super) bias: i32,
    /// The scales of its rows.
    pub(crate) row_scales: [&'t [f32; LANES]; R],
    pub(super) block: usize,
    pub(super) token: usize,
    /// Its columns.
    pub(crate) columns: Range<usize>,
    /// Whether its columns are the row's last.
    pub(crate) last: bool,
    /// Where weights lie that will be wanted next: for each of its steps as many bytes as it takes of one row block.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "not asked for"))]
    pub(crate) ahead: Option<&'t Step>,
}

impl<'a, const R: usize, const T: usize> Tile<'_, 'a, '_, R, T> {
    /// What all sums of token `t` start from, or `None` if they go on from [`Tile::out`], as bits.
    #[inline(always)]
    pub(crate) fn bias(&self, t: usize) -> Option<i32> {
        (self.columns.start == 0).then(|| self.bias.wrapping_mul(self.x.totals()[self.token + t]))
    }

    /// Its first row block.
    #[inline(always)]
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// The scale of token `t`.
    #[inline(always)]
    pub(crate) fn scale(&self, t: usize) -> f32 {
        self.x.scales()[self.token + t]
    }

    /// The results of token `t`.
    #[inline(always)]
    pub(crate) fn out(&mut self, t: usize) -> &mut [[f32; LANES]; R] {
        self.out.neighbours(self.token + t, self.block)
    }

    /// The results of all tokens.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn outs(&mut self) -> [&mut [[f32; LANES]; R]; T] {
        self.out.tile(self.token, self.block)
    }

    /// The sums of 16 values of each token, from its first column on.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn sums(&self) -> [&'a [i16]; T] {
        let mut sums: [&[i16]; T] = [&[]; T];
        for t in 0..T {
            sums[t] = &self.x.sums(self.token + t)[self.columns.start / 16..];
        }
        sums
    }

    /// The scales of all tokens.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn token_scales(&self) -> &'a [f32; T] {
        self.x.scales()[self.token..].first_chunk().expect("T tokens")
    }

    /// Whether its columns are the row's first.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn is_first(&self) -> bool {
        self.columns.start == 0
    }

    /// The first `steps` steps of each token, and the padding up to 16 columns.
    #[inline(always)]
    pub(crate) fn quads(&self, steps: usize) -> [Quads<'a>; T] {
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
    pub(crate) fn groups<const Q: usize>(&self, groups: usize) -> [&'a [[[i8; 4]; Q]]; T] {
        self.quads(groups * Q).map(
            #[inline(always)]
            |quads| quads.as_chunks().0,
        )
    }

    /// `−8 Σ x` over each of the first `groups` groups of `Q` steps.
    #[inline(always)]
    pub(crate) fn offsets<const Q: usize>(&self, groups: usize) -> Offsets<T> {
        offsets::<T, Q>(self.x, self.token, self.columns.start, groups)
    }

    /// What the sums start from, for a backend that keeps them in memory.
    #[inline(always)]
    pub(crate) fn start(&mut self) -> Sums<R, T> {
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
    pub(crate) fn end(&mut self, sums: &Sums<R, T>) {
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
pub(crate) fn in_parts<const P: usize, const R: usize, const T: usize>(
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
