//! How a tensor's numbers are stored, and where the parts of a stored tensor lie.
//!
//! Which byte of a part holds which weight is known to `quant` alone.

use super::align;
use crate::tensor::{MAX_COLS_I4, MAX_COLS_I8, MatrixI4, padded_rows};

/// How the numbers of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// IEEE binary32, row-major.
    F32,
    /// IEEE binary16, row-major.
    F16,
    /// int8 with one f32 scale per row, packed by 16 rows × 4 columns.
    I8,
    /// int4 with one f32 scale per row and, unless `group` is 0, one int8 scale per group of columns; packed by 16
    /// rows × 8 columns.
    I4 {
        /// Columns in a group: 16, 32, 64, 128, or 0 for the whole row.
        group: u16,
    },
}

impl Encoding {
    pub(super) fn code(self) -> (u8, u16) {
        match self {
            Self::F32 => (0, 0),
            Self::F16 => (1, 0),
            Self::I8 => (2, 0),
            Self::I4 { group } => (3, group),
        }
    }

    pub(super) const fn from_code(code: u8, group: u16) -> Option<Self> {
        match (code, group) {
            (0, 0) => Some(Self::F32),
            (1, 0) => Some(Self::F16),
            (2, 0) => Some(Self::I8),
            (3, group) if MatrixI4::is_group(group as usize) => Some(Self::I4 { group }),
            _ => None,
        }
    }

    /// Widest matrix whose sums stay exact; sums of floats are rounded at any width.
    pub const fn max_cols(self) -> usize {
        match self {
            Self::F32 | Self::F16 => usize::MAX,
            Self::I8 => MAX_COLS_I8,
            Self::I4 { .. } => MAX_COLS_I4,
        }
    }

    /// Where the parts of a `rows` × `cols` tensor lie.
    pub const fn layout(self, rows: usize, cols: usize) -> TensorLayout {
        match self {
            Self::F32 => TensorLayout::of([0, 0], rows as u64 * cols as u64 * 4),
            Self::F16 => TensorLayout::of([0, 0], rows as u64 * cols as u64 * 2),
            Self::I8 => {
                TensorLayout::of([padded_rows(rows) as u64 * 4, 0], packed_len(rows, cols.div_ceil(4)))
            }
            Self::I4 { group } => {
                let scales = if group == 0 { 0 } else { cols.div_ceil(group as usize) as u64 };
                let scales = padded_rows(rows) as u64 * scales;
                TensorLayout::of([padded_rows(rows) as u64 * 4, scales], packed_len(rows, cols.div_ceil(8)))
            }
        }
    }
}

const fn packed_len(rows: usize, steps: usize) -> u64 {
    padded_rows(rows) as u64 / 16 * steps as u64 * 64
}

/// Lengths in bytes of the parts of a tensor: row scales, group scales, numbers. Each part starts at a multiple
/// of 64, the gaps hold zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorLayout {
    /// f32 row scales, `[padded rows]`.
    pub row_scales: u64,
    /// int8 group scales, `[rows / 16][groups][16]`.
    pub group_scales: u64,
    /// The numbers themselves.
    pub numbers: u64,
}

impl TensorLayout {
    const fn of(scales: [u64; 2], numbers: u64) -> Self {
        Self { row_scales: scales[0], group_scales: scales[1], numbers }
    }

    /// Offset of the group scales.
    pub const fn group_scales_at(&self) -> u64 {
        align(self.row_scales)
    }

    /// Offset of the numbers.
    pub const fn numbers_at(&self) -> u64 {
        self.group_scales_at() + align(self.group_scales)
    }

    /// Bytes of the whole tensor.
    pub const fn len(&self) -> u64 {
        self.numbers_at() + self.numbers
    }

    /// Whether the tensor has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
