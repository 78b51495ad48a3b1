//! The integer matrices as `smmla` takes them: eight columns of two rows side by side.
//!
//! Two steps of four columns become the eight columns of the first eight rows, and those of the last eight. Nibbles lose
//! the excess of `q + 8` here, once for all tokens.
#![allow(
    unsafe_code,
    reason = "instructions without memory; vectors and the arrays of their bytes are the same"
)]

use crate::kernels::blocked::{Source, Step, Tile, Tiles, Unpacked, WIDEST};
use crate::kernels::quarters::{NONE, Quarters, quarters};
use crate::kernels::sources::{packed_i8, steps};
use crate::tensor::{LANES, MatrixI4, MatrixI8};
use core::arch::aarch64::*;
use core::iter::{once, repeat};
use core::mem::{MaybeUninit, transmute};
use core::ops::Range;

/// int8 weights.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'m, 'a>(pub(super) &'m MatrixI8<'a>);

impl<K: Tiles> Source<K> for Bytes<'_, '_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        let range = steps(&columns, 4);
        let used = range.len().next_multiple_of(4);
        for r in 0..R {
            let (pairs, last) = packed_i8(self.0, block + r)[range.clone()].as_chunks();
            let pairs = pairs.iter().map(
                #[inline(always)]
                |[a, b]| [quarters(a), quarters(b)],
            );
            zip::<R>(unpacked, used, r, pairs, quarters(last.first().unwrap_or(&NONE)));
        }
    }
}

/// int4 weights without group scales.
#[derive(Clone, Copy)]
pub(super) struct Whole<'m, 'a>(pub(super) &'m MatrixI4<'a>);

impl<K: Tiles> Source<K> for Whole<'_, '_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        zip_nibbles::<R>(self.0, block, &columns, 4, unpacked);
    }
}

/// int4 weights in groups of `Q` steps: 4 for groups of 16 columns, 8 for the others.
#[derive(Clone, Copy)]
pub(super) struct Nibbles<'m, 'a, const Q: usize>(pub(super) &'m MatrixI4<'a>);

impl<K: Tiles, const Q: usize> Source<K> for Nibbles<'_, '_, Q> {
    const WIDEST: usize = WIDEST / 2;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        zip_nibbles::<R>(self.0, block, &columns, Q, unpacked);
        let groups = steps(&columns, 4 * Q);
        let scales = &mut unpacked.scales.as_chunks_mut::<R>().0[..groups.len()];
        for r in 0..R {
            let packed = self.0.block_group_scale(block + r).as_chunks::<LANES>().0;
            let mut next = [0; LANES];
            for (scales, group) in scales.iter_mut().zip(groups.clone()).rev() {
                let scale = packed[group * 4 * Q / self.0.group()].map(K::group_scale);
                scales[r].write(core::array::from_fn(
                    #[inline(always)]
                    |l| scale[l] - next[l],
                ));
                next = scale;
            }
        }
        unpacked.written_scales = groups.len() * R;
    }

    #[inline(always)]
    fn tile<const R: usize, const T: usize>(
        &self,
        tiles: K,
        unpacked: &Unpacked,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let (groups, scales) = (unpacked.steps::<R>().as_chunks::<Q>().0, unpacked.scales::<R>());
        tiles.grouped(groups, scales, tile);
    }
}

/// Zips the nibbles of a stretch, and zeros up to a multiple of `multiple` steps.
#[inline(always)]
fn zip_nibbles<const R: usize>(
    matrix: &MatrixI4<'_>,
    block: usize,
    columns: &Range<usize>,
    multiple: usize,
    unpacked: &mut Unpacked,
) {
    let range = steps(columns, 8);
    let used = (2 * range.len()).next_multiple_of(multiple);
    for r in 0..R {
        let packed = &matrix.block(block + r).as_chunks::<64>().0[range.clone()];
        let pairs = packed.iter().map(nibbles);
        zip::<R>(unpacked, used, r, pairs, quarters(&NONE));
    }
}

/// Writes `used` steps of row block `r`, two at a time: those of `pairs`, then `last`, then zeros.
#[inline(always)]
fn zip<const R: usize>(
    unpacked: &mut Unpacked,
    used: usize,
    r: usize,
    pairs: impl ExactSizeIterator<Item = [Quarters; 2]>,
    last: Quarters,
) {
    let none = quarters(&NONE);
    let steps = unpacked.steps.as_chunks_mut::<R>().0[..used].as_chunks_mut::<2>().0;
    let (whole, rest) = steps.split_at_mut(pairs.len());
    for (to, two) in whole.iter_mut().zip(pairs) {
        write(to, r, two);
    }
    for (to, two) in rest.iter_mut().zip(once([last, none]).chain(repeat([none; 2]))) {
        write(to, r, two);
    }
    unpacked.written_steps = used * R;
}

/// Two steps of row block `r` as those of its first eight rows, and of its last.
#[inline(always)]
fn write<const R: usize>([first, last]: &mut [[MaybeUninit<Step>; R]; 2], r: usize, [a, b]: [Quarters; 2]) {
    first[r].write(rows(a, b, 0));
    last[r].write(rows(a, b, 2));
}

/// Eight columns of quarters `first` and the next: those of `a`, and of `b`.
#[inline(always)]
fn rows(a: Quarters, b: Quarters, first: usize) -> Step {
    let mut zipped = [[a[0]; 2]; 2];
    for i in 0..2 {
        // SAFETY: every core of this architecture has NEON; no memory is touched.
        unsafe {
            let (a, b) = (vreinterpretq_s32_s8(a[first + i]), vreinterpretq_s32_s8(b[first + i]));
            zipped[i] = [vreinterpretq_s8_s32(vzip1q_s32(a, b)), vreinterpretq_s8_s32(vzip2q_s32(a, b))];
        }
    }
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(zipped) }
}

/// The weights of a step of nibbles: its low ones, and its high ones.
#[inline(always)]
fn nibbles(step: &Step) -> [Quarters; 2] {
    let packed = quarters(step);
    let mut nibbles = [packed; 2];
    for i in 0..4 {
        // SAFETY: every core of this architecture has NEON; no memory is touched.
        unsafe {
            let eight = vdupq_n_s8(8);
            let high = vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(packed[i])));
            nibbles[0][i] = vsubq_s8(vandq_s8(packed[i], vdupq_n_s8(15)), eight);
            nibbles[1][i] = vsubq_s8(high, eight);
        }
    }
    nibbles
}
