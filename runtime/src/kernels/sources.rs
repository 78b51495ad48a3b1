//! The integer matrices as the loops of `blocked` take them: packed or unpacked, with or without group scales.

use super::blocked::{Source, Step, Tile, Tiles, Unpacked, WIDEST};
use crate::tensor::{LANES, MatrixI4, MatrixI8};
use core::mem::MaybeUninit;
use core::ops::Range;

/// The steps (or groups) of `width` columns each that hold `columns`, which start at a whole one.
pub(super) fn steps(columns: &Range<usize>, width: usize) -> Range<usize> {
    columns.start / width..columns.end.div_ceil(width)
}

/// The packed steps of a row block of int8 weights.
#[inline(always)]
pub(super) fn packed_i8<'a>(matrix: &MatrixI8<'a>, block: usize) -> &'a [Step] {
    bytemuck::cast_slice::<i8, u8>(matrix.block(block)).as_chunks().0
}

/// The step at `column` of a row block, if there is one.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(super) fn step_i8<'a>(matrix: &MatrixI8<'a>, block: usize, column: usize) -> Option<&'a Step> {
    if block * LANES < matrix.rows() { packed_i8(matrix, block).get(column / 4) } else { None }
}

/// As [`step_i8`].
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(super) fn step_i4<'a>(matrix: &MatrixI4<'a>, block: usize, column: usize) -> Option<&'a Step> {
    if block * LANES < matrix.rows() { matrix.block(block).as_chunks().0.get(column / 8) } else { None }
}

/// int8 weights, flipped for the tiles before any token meets them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Flipped<'m, 'a>(pub(super) &'m MatrixI8<'a>);

#[cfg(target_arch = "x86_64")]
impl<K: Tiles> Source<K> for Flipped<'_, '_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    fn bias(&self) -> i32 {
        -i32::from(K::FLIP)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn step(&self, block: usize, column: usize) -> Option<&Step> {
        step_i8(self.0, block, column)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        let range = steps(&columns, 4);
        let steps = &mut unpacked.steps.as_chunks_mut::<R>().0[..range.len()];
        for r in 0..R {
            for (step, packed) in steps.iter_mut().zip(&packed_i8(self.0, block + r)[range.clone()]) {
                step[r].write(packed.map(|w| w ^ K::FLIP));
            }
        }
        unpacked.written_steps = range.len() * R;
    }
}

/// int8 weights straight from the file, all columns at a time.
#[derive(Clone, Copy)]
pub(super) struct Packed<'m, 'a>(pub(super) &'m MatrixI8<'a>);

impl<K: Tiles> Source<K> for Packed<'_, '_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn stretch(_: usize) -> usize {
        usize::MAX
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    fn bias(&self) -> i32 {
        -i32::from(K::FLIP)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn step(&self, block: usize, column: usize) -> Option<&Step> {
        step_i8(self.0, block, column)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, _: usize, _: Range<usize>, _: &mut Unpacked) {}

    #[inline(always)]
    fn tile<const R: usize, const T: usize>(
        &self,
        tiles: K,
        _: &Unpacked,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let mut weights: [&[Step]; R] = [&[]; R];
        for (r, weights) in weights.iter_mut().enumerate() {
            *weights = packed_i8(self.0, tile.block() + r);
        }
        tiles.plain(weights, tile);
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
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Whole<'m, 'a>(pub(super) &'m MatrixI4<'a>);

#[cfg(target_arch = "x86_64")]
impl<K: Tiles> Source<K> for Whole<'_, '_> {
    const WIDEST: usize = WIDEST;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    fn bias(&self) -> i32 {
        -8
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn step(&self, block: usize, column: usize) -> Option<&Step> {
        step_i4(self.0, block, column)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
        unpack_nibbles::<R>(self.0, block, &columns, 2, unpacked);
    }
}

/// int4 weights in groups of `Q` steps: 4 for groups of 16 columns, 8 for the others (and for whole rows, whose
/// scale is 1), which are taken 32 columns at a time with the same scale, so that a sum over one always fits i16: 8 · 127 · 32 = 32 512.
#[derive(Clone, Copy)]
pub(super) struct Grouped<'m, 'a, const Q: usize>(pub(super) &'m MatrixI4<'a>);

impl<K: Tiles, const Q: usize> Source<K> for Grouped<'_, '_, Q> {
    const WIDEST: usize = WIDEST / 2;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn step(&self, block: usize, column: usize) -> Option<&Step> {
        step_i4(self.0, block, column)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, block: usize, columns: Range<usize>, unpacked: &mut Unpacked) {
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
                scale[r].write(packed.map(K::group_scale));
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
