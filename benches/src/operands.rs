//! Matrices and vectors of arbitrary numbers for measurements of the integer products.

use std::hint::black_box;
use whit::AlignedBytes;
use whit::kernels::Kernels;
use whit::parallel::Columns;
use whit::tensor::{
    ActivationShape, Activations, ActivationsMut, LANES, Matrix, MatrixI4, MatrixI8, padded_rows,
};

/// How a matrix is stored.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    /// A scale for each row.
    Int8,
    /// Two to a byte.
    Int4 {
        /// Columns that share a scale; 0 for the whole row.
        group: usize,
    },
}

impl Encoding {
    /// Its name in tables.
    pub fn name(self) -> String {
        match self {
            Self::Int8 => "int8".into(),
            Self::Int4 { group: 0 } => "int4 row".into(),
            Self::Int4 { group } => format!("int4 g{group}"),
        }
    }
}

/// A matrix of arbitrary weights.
#[derive(Debug)]
pub struct Weights {
    /// Rows, without padding.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    encoding: Encoding,
    scale: Vec<f32>,
    group_scale: Vec<i8>,
    /// Aligned as in a file.
    data: AlignedBytes,
}

impl Weights {
    /// `rows` × `cols` of them.
    pub fn new(rows: usize, cols: usize, encoding: Encoding) -> Self {
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let scale = vec![1e-3; padded_rows(rows)];
        let (groups, bytes) = match encoding {
            Encoding::Int8 => (0, MatrixI8::data_len(rows, cols)),
            Encoding::Int4 { group } => {
                (MatrixI4::group_scale_len(rows, cols, group), MatrixI4::data_len(rows, cols))
            }
        };
        let group_scale = (0..groups).map(|_| (random() % 127) as i8).collect();
        let mut data = AlignedBytes::zeroed(bytes);
        data.fill_with(random);
        Self { rows, cols, encoding, scale, group_scale, data }
    }

    /// Bytes of weights and scales.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.group_scale.len() + self.scale.len() * 4
    }

    /// Multiplies all rows by `x`; `out` is `[tokens][padded rows]`.
    pub fn multiply<K: Kernels>(&self, kernels: K, x: &Activations<'_>, out: &mut [f32]) {
        let mut out = Columns::new(out, x.tokens(), padded_rows(self.rows));
        multiply(kernels, &self.matrix(), x, &mut out);
        black_box(out.tokens());
    }

    /// The weights as kernels take them.
    pub fn matrix(&self) -> Matrix<'_> {
        let Self { rows, cols, encoding, scale, group_scale, data } = self;
        let matrix = match *encoding {
            Encoding::Int8 => MatrixI8::new(*rows, *cols, scale, bytemuck::cast_slice(data)).map(Matrix::I8),
            Encoding::Int4 { group } => {
                MatrixI4::new(*rows, *cols, group, scale, group_scale, data).map(Matrix::I4)
            }
        };
        matrix.expect("lengths fit")
    }
}

/// All rows of an integer matrix × `x`.
///
/// # Panics
/// If the matrix has floats.
#[inline]
pub fn multiply<K: Kernels>(kernels: K, matrix: &Matrix<'_>, x: &Activations<'_>, out: &mut Columns<'_>) {
    let blocks = 0..matrix.rows().div_ceil(LANES);
    match matrix {
        Matrix::I8(matrix) => kernels.matmul_i8(matrix, x, blocks, out),
        Matrix::I4(matrix) => kernels.matmul_i4(matrix, x, blocks, out),
        Matrix::F32(_) | Matrix::F16(_) => unreachable!("weights are integers"),
    }
}

/// Memory for quantized vectors.
#[derive(Debug)]
pub struct Vectors {
    shape: ActivationShape,
    /// Aligned as in an arena.
    data: AlignedBytes,
    sums: Vec<i16>,
    totals: Vec<i32>,
    scale: Vec<f32>,
}

impl Vectors {
    /// Room for so many tokens of so many columns.
    pub fn new(tokens: usize, cols: usize) -> Self {
        let shape = ActivationShape { tokens, cols };
        Self {
            shape,
            data: AlignedBytes::zeroed(shape.data_len()),
            sums: vec![0; shape.sums_len()],
            totals: vec![0; tokens],
            scale: vec![0.0; tokens],
        }
    }

    /// Room for vectors that only int8 matrices meet.
    pub fn without_sums(&mut self) -> ActivationsMut<'_> {
        let Self { shape, data, totals, scale, .. } = self;
        ActivationsMut::new(*shape, bytemuck::cast_slice_mut(data), &mut [], totals, scale)
            .expect("lengths fit")
    }

    /// The same arbitrary numbers every time.
    pub fn filled(&mut self) -> ActivationsMut<'_> {
        let Self { shape, data, sums, totals, scale } = self;
        let mut x = ActivationsMut::new(*shape, bytemuck::cast_slice_mut(data), sums, totals, scale)
            .expect("lengths fit");
        for token in 0..shape.tokens {
            x.set(token, 1e-2, |i| {
                core::array::from_fn(|l| {
                    let col = i * 16 + l;
                    if col < shape.cols { ((token * 31 + col * 17) % 255) as i8 } else { 0 }.max(-127)
                })
            });
        }
        x
    }
}
