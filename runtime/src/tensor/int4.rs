//! int4 matrices.

use super::{CACHED, LANES, block_of, padded_rows};
use crate::activations::ActivationBits;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64", whit_neon32))]
use core::ops::Range;

/// Largest int4 matrix width whose row sum is exact in i32: 8 · 127 · 127 · 16 643 < 2³¹.
pub const MAX_COLS_I4: usize = 16_643;

/// int4 weights `S[row] · s[row, group] · q`, two to a byte: `[rows / 16][cols / 8][16][4]` bytes.
///
/// Byte `j` of a row's four holds column `8 k + j` in its low half and column `8 k + 4 + j` in its high half,
/// both stored as `q + 8`.
#[derive(Clone, Copy, Debug)]
pub struct MatrixI4<'a> {
    rows: usize,
    cols: usize,
    group: usize,
    activations: ActivationBits,
    from_memory: bool,
    row_scale: &'a [f32],
    group_scale: &'a [i8],
    data: &'a [u8],
}

impl<'a> MatrixI4<'a> {
    /// Bytes of packed weights of a `rows` × `cols` matrix.
    pub const fn data_len(rows: usize, cols: usize) -> usize {
        rows.div_ceil(LANES).saturating_mul(cols.div_ceil(8)).saturating_mul(64)
    }

    /// Number of group scales of a `rows` × `cols` matrix; none when the whole row is one group (`group` 0).
    pub const fn group_scale_len(rows: usize, cols: usize, group: usize) -> usize {
        if group == 0 { 0 } else { padded_rows(rows).saturating_mul(cols.div_ceil(group)) }
    }

    /// Whether `group` is a width that the format knows: 16, 32, 64, 128, or 0 for the whole row.
    pub const fn is_group(group: usize) -> bool {
        matches!(group, 0 | 16 | 32 | 64 | 128)
    }

    /// A matrix over its three parts, or `None` if a length does not fit.
    ///
    /// `row_scale` is `[padded_rows(rows)]`, `group_scale` is `[rows / 16][groups][16]`.
    pub fn new(
        rows: usize,
        cols: usize,
        group: usize,
        row_scale: &'a [f32],
        group_scale: &'a [i8],
        data: &'a [u8],
    ) -> Option<Self> {
        let fits = Self::is_group(group)
            && cols <= MAX_COLS_I4
            && row_scale.len() == padded_rows(rows)
            && group_scale.len() == Self::group_scale_len(rows, cols, group)
            && data.len() == Self::data_len(rows, cols);
        let (activations, from_memory) = (ActivationBits::Eight, data.len() > CACHED);
        fits.then_some(Self { rows, cols, group, activations, from_memory, row_scale, group_scale, data })
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

    /// Columns that share a group scale, or 0 when there are only row scales.
    pub fn group(&self) -> usize {
        self.group
    }

    /// Groups in one row; 0 when there are only row scales.
    pub fn groups(&self) -> usize {
        if self.group == 0 { 0 } else { self.cols.div_ceil(self.group) }
    }

    /// Steps of 16 rows × 8 columns, 64 bytes each, in one row block.
    pub fn steps(&self) -> usize {
        self.cols.div_ceil(8)
    }

    /// The packed weights of row block `block`: `[steps][16][4]` bytes.
    pub fn block(&self, block: usize) -> &'a [u8] {
        let len = self.steps() * 64;
        &self.data[block * len..(block + 1) * len]
    }

    /// The 16 row scales of row block `block`.
    pub fn block_scale(&self, block: usize) -> &'a [f32; LANES] {
        block_of(self.row_scale, block)
    }

    /// The row blocks `blocks`, in order.
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    #[inline(always)]
    pub(crate) fn some_blocks(&self, blocks: Range<usize>) -> impl Iterator<Item = BlockI4<'a>> {
        let (steps, groups) = (self.steps() * 64, self.groups() * LANES);
        let mut data = &self.data[blocks.start * steps..blocks.end * steps];
        let mut group_scale = &self.group_scale[blocks.start * groups..blocks.end * groups];
        let scale = self.row_scale[blocks.start * LANES..blocks.end * LANES].as_chunks().0;
        scale.iter().map(
            #[inline(always)]
            move |scale| {
                let block = BlockI4 { data: &data[..steps], scale, group_scale: &group_scale[..groups] };
                (data, group_scale) = (&data[steps..], &group_scale[groups..]);
                block
            },
        )
    }

    /// The rows of the row blocks `blocks`.
    #[cfg(whit_neon32)]
    pub(crate) fn some_rows(&self, blocks: Range<usize>) -> RowsI4<'a> {
        // As `groups`, without a division. A group's width is a power of two.
        let groups = match self.group {
            0 => 0,
            group => (self.cols + group - 1) >> group.trailing_zeros(),
        };
        let (steps, groups) = (self.steps(), groups * LANES);
        RowsI4 {
            data: &self.data[blocks.start * steps * 64..blocks.end * steps * 64],
            steps,
            group_scale: &self.group_scale[blocks.start * groups..blocks.end * groups],
            scale: &self.row_scale[blocks.start * LANES..blocks.end * LANES],
        }
    }

    /// The group scales of row block `block`: `[groups][16]`; empty when there are only row scales.
    pub fn block_group_scale(&self, block: usize) -> &'a [i8] {
        let len = self.groups() * LANES;
        &self.group_scale[block * len..(block + 1) * len]
    }
}

/// One row block of a [`MatrixI4`].
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockI4<'a> {
    /// `[steps][16][4]` bytes.
    pub(crate) data: &'a [u8],
    /// Of its 16 rows.
    pub(crate) scale: &'a [f32; LANES],
    /// `[groups][16]`; empty when there are only row scales.
    pub(crate) group_scale: &'a [i8],
}

/// Whole row blocks of a [`MatrixI4`].
#[cfg(whit_neon32)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsI4<'a> {
    /// `[blocks][steps][16][4]` bytes.
    pub(crate) data: &'a [u8],
    pub(crate) steps: usize,
    /// `[blocks][groups][16]`; empty when there are only row scales.
    pub(crate) group_scale: &'a [i8],
    /// Of its rows.
    pub(crate) scale: &'a [f32],
}
