//! Borrowed matrices in the file's packings. The activations that meet them are in `activations`.
//!
//! A constructor here proves every length once; what a kernel slices out of a matrix is then there.
//! The packings themselves (which byte holds which weight) are read and written in `quant`.

mod float;
mod int4;
mod int8;

pub use crate::activations::{
    ACTIVATION_PAD, ActivationBits, ActivationShape, Activations, ActivationsMut, Row,
};
pub use float::{MatrixF16, MatrixF32};
pub use int4::{MAX_COLS_I4, MatrixI4};
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(crate) use int8::BlockI8;
pub use int8::{MAX_COLS_I8, MatrixI8};
#[cfg(whit_neon32)]
pub(crate) use {int4::RowsI4, int8::RowsI8};

/// Rows in one block of a packed matrix; also the number of virtual lanes of every f32 reduction.
pub const LANES: usize = 16;

/// Bytes of weights that a core of a desktop or a server still has in a cache when it reads them again: its share of the third
/// level. Where there are more, they come from memory each time.
const CACHED: usize = 16 << 20;

/// `rows` rounded up to whole blocks of [`LANES`]. This and the other lengths here saturate: no slice is as long.
pub const fn padded_rows(rows: usize) -> usize {
    rows.div_ceil(LANES).saturating_mul(LANES)
}

fn block_of(scale: &[f32], block: usize) -> &[f32; LANES] {
    scale[block * LANES..].first_chunk().expect("every block has LANES scales")
}

/// A weight matrix in any encoding.
#[derive(Clone, Copy, Debug)]
pub enum Matrix<'a> {
    /// f32 weights: the reference.
    F32(MatrixF32<'a>),
    /// f16 weights: the reference at half the size.
    F16(MatrixF16<'a>),
    /// int8 weights with a scale per row.
    I8(MatrixI8<'a>),
    /// int4 weights with a scale per row and an integer scale per group.
    I4(MatrixI4<'a>),
}

impl Matrix<'_> {
    /// Rows (outputs), without padding.
    pub fn rows(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.rows(),
            Self::F16(matrix) => matrix.rows(),
            Self::I8(matrix) => matrix.rows(),
            Self::I4(matrix) => matrix.rows(),
        }
    }

    /// Columns (inputs), without padding.
    pub fn cols(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.cols(),
            Self::F16(matrix) => matrix.cols(),
            Self::I8(matrix) => matrix.cols(),
            Self::I4(matrix) => matrix.cols(),
        }
    }

    /// In how many bits a projection quantizes the vectors for it; `None` where it takes them as they are.
    pub fn activations(&self) -> Option<ActivationBits> {
        match self {
            Self::F32(_) | Self::F16(_) => None,
            Self::I8(matrix) => Some(matrix.activations()),
            Self::I4(matrix) => Some(matrix.activations()),
        }
    }
}
