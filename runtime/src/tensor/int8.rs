//! int8 matrices.

use super::{CACHED, LANES, block_of, padded_rows};
use crate::activations::ActivationBits;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64", whit_neon32))]
use core::ops::Range;

/// Largest int8 matrix width whose row sum is exact in i32: 128 · 128 · 131 071 < 2³¹.
pub const MAX_COLS_I8: usize = 131_071;

/// int8 weights with one scale per row, packed `[rows / 16][cols / 4][16][4]`.
#[derive(Clone, Copy, Debug)]
pub struct MatrixI8<'a> {
    rows: usize,
    cols: usize,
    /// Bytes from one row block to the next.
    stride: usize,
    activations: ActivationBits,
    from_memory: bool,
    scale: &'a [f32],
    data: &'a [i8],
}

impl<'a> MatrixI8<'a> {
    /// Bytes of packed weights of a `rows` × `cols` matrix.
    pub const fn data_len(rows: usize, cols: usize) -> usize {
        rows.div_ceil(LANES).saturating_mul(cols.div_ceil(4)).saturating_mul(64)
    }

    /// A matrix over `data` (packed) and `scale` (`[padded_rows(rows)]`), or `None` if a length does not fit.
    pub fn new(rows: usize, cols: usize, scale: &'a [f32], data: &'a [i8]) -> Option<Self> {
        let fits = cols <= MAX_COLS_I8
            && scale.len() == padded_rows(rows)
            && data.len() == Self::data_len(rows, cols);
        fits.then_some(Self::over(rows, cols, cols.div_ceil(4) * 64, scale, data))
    }

    /// As [`MatrixI8::new`], but each row block starts `stride` bytes after the one before: some columns of a wider
    /// matrix. `data` ends with the last block's last column.
    pub fn with_stride(
        rows: usize,
        cols: usize,
        stride: usize,
        scale: &'a [f32],
        data: &'a [i8],
    ) -> Option<Self> {
        let (blocks, block) = (rows.div_ceil(LANES), cols.div_ceil(4).checked_mul(64)?);
        let len = match blocks {
            0 => 0,
            _ => (blocks - 1).checked_mul(stride)?.checked_add(block)?,
        };
        let fits =
            cols <= MAX_COLS_I8 && scale.len() == padded_rows(rows) && stride >= block && data.len() == len;
        fits.then_some(Self::over(rows, cols, stride, scale, data))
    }

    fn over(rows: usize, cols: usize, stride: usize, scale: &'a [f32], data: &'a [i8]) -> Self {
        let (activations, from_memory) = (ActivationBits::Eight, data.len() > CACHED);
        Self { rows, cols, stride, activations, from_memory, scale, data }
    }

    /// The same matrix, asking for vectors in `activations` bits.
    pub fn with_activations(self, activations: ActivationBits) -> Self {
        Self { activations, ..self }
    }

    /// The same matrix, one of a model with so many bytes of weights, all of which are read before it is read again; without this,
    /// its own.
    pub fn among(self, bytes: usize) -> Self {
        Self { from_memory: bytes > CACHED, ..self }
    }

    /// Whether it is worth asking for weights ahead, as they come from memory and not from a cache.
    pub fn from_memory(&self) -> bool {
        self.from_memory
    }

    /// In how many bits a projection quantizes the vectors for it; [`ActivationBits::Eight`] unless told otherwise.
    pub fn activations(&self) -> ActivationBits {
        self.activations
    }

    /// Rows (outputs), without padding.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs), without padding.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Steps of 16 rows × 4 columns, 64 bytes each, in one row block.
    pub fn steps(&self) -> usize {
        self.cols.div_ceil(4)
    }

    /// The packed weights of row block `block`: `[steps][16][4]`.
    pub fn block(&self, block: usize) -> &'a [i8] {
        &self.data[block * self.stride..][..self.steps() * 64]
    }

    /// The row blocks `blocks`, in order.
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    #[inline(always)]
    pub(crate) fn some_blocks(&self, blocks: Range<usize>) -> impl Iterator<Item = BlockI8<'a>> {
        let (data, stride, len) = (self.data, self.stride, self.steps() * 64);
        let mut start = blocks.start * stride;
        let scale = self.scale[blocks.start * LANES..blocks.end * LANES].as_chunks().0;
        scale.iter().map(
            #[inline(always)]
            move |scale| {
                let block = BlockI8 { data: &data[start..][..len], scale };
                start += stride;
                block
            },
        )
    }

    /// The rows of the row blocks `blocks`.
    #[cfg(whit_neon32)]
    pub(crate) fn some_rows(&self, blocks: Range<usize>) -> RowsI8<'a> {
        let (steps, start) = (self.steps(), blocks.start * self.stride);
        let len = blocks.len().saturating_sub(1) * self.stride + 64 * steps * blocks.len().min(1);
        RowsI8 {
            data: &self.data[start..][..len],
            gap: self.stride - 64 * steps,
            steps,
            scale: &self.scale[blocks.start * LANES..blocks.end * LANES],
        }
    }

    /// The 16 row scales of row block `block`.
    pub fn block_scale(&self, block: usize) -> &'a [f32; LANES] {
        block_of(self.scale, block)
    }

    /// All row blocks, as [`MatrixI8::block`] gives each, with their row scales.
    #[inline]
    pub fn blocks(&self) -> impl Iterator<Item = (&'a [i8], &'a [f32; LANES])> + use<'a> {
        let len = self.steps() * 64;
        // No columns, no bytes: then there is nothing to multiply either.
        let blocks = self.data.chunks(self.stride.max(1)).map(move |block| &block[..len]);
        blocks.zip(self.scale.as_chunks().0)
    }

    /// The row scales of `N` row blocks from `block` on.
    pub fn block_scales<const N: usize>(&self, block: usize) -> &'a [[f32; LANES]; N] {
        self.scale.as_chunks().0[block..].first_chunk().expect("the caller's blocks are there")
    }
}

/// One row block of a [`MatrixI8`].
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockI8<'a> {
    /// `[steps][16][4]`.
    pub(crate) data: &'a [i8],
    /// Of its 16 rows.
    pub(crate) scale: &'a [f32; LANES],
}

/// Whole row blocks of a [`MatrixI8`].
#[cfg(whit_neon32)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsI8<'a> {
    /// `[steps][16][4]` for each row block, `gap` bytes between one and the next.
    pub(crate) data: &'a [i8],
    pub(crate) gap: usize,
    pub(crate) steps: usize,
    /// Of its rows.
    pub(crate) scale: &'a [f32],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_strided_matrix_has_the_blocks_of_the_wider_one_and_no_other_length() {
        let (scale, mut wide) = ([1.0; 2 * LANES], [0; 2 * 3 * 64]);
        for (i, byte) in wide.iter_mut().enumerate() {
            *byte = (i / 64) as i8;
        }
        // Columns 4 .. 12 of 32 rows × 12 columns.
        let part = &wide[64..];
        let matrix = MatrixI8::with_stride(32, 8, 192, &scale, part).expect("the lengths fit");
        assert_eq!(matrix.block(0), &wide[64..192]);
        assert_eq!(matrix.block(1), &wide[256..]);
        assert!(MatrixI8::with_stride(32, 8, 192, &scale, &part[1..]).is_none());
        assert!(MatrixI8::with_stride(32, 8, 64, &scale, &part[..192]).is_none());
        assert!(MatrixI8::with_stride(32, 8, usize::MAX, &scale, part).is_none());
    }

    #[test]
    fn weights_come_from_memory_where_no_cache_holds_all_that_is_read_between() {
        let (scale, data) = ([1.0; LANES], [0; 64]);
        let alone = MatrixI8::new(16, 4, &scale, &data).expect("the lengths fit");
        assert!(!alone.from_memory());
        assert!(!alone.among(CACHED).from_memory());
        assert!(alone.among(CACHED + 1).from_memory());

        let (rows, cols) = (1024, 16_385);
        let (scale, data) = (vec![1.0; rows], vec![0; MatrixI8::data_len(rows, cols)]);
        let large = MatrixI8::new(rows, cols, &scale, &data).expect("the lengths fit");
        assert!(large.from_memory());
        assert!(!large.among(0).from_memory());
    }
}
