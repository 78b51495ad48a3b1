//! A projection: vectors × one weight matrix of any encoding, shared out among workers.

use crate::kernels::Kernels;
use crate::layout::Quantized;
use crate::parallel::{Columns, Workers, over_blocks};
use crate::tensor::{ActivationShape, ActivationsMut, LANES, Matrix};

/// Vectors `[tokens][stride]` of which the first `cols` elements each are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vectors<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) tokens: usize,
    pub(crate) stride: usize,
}

/// `out[token] = matrix × x[token] (+ bias)`; `out` is `[tokens][out_stride]` with the padding rows written too.
///
/// Integer matrices take `x` quantized, into `quantized`.
pub(crate) fn project<K: Kernels>(
    kernels: K,
    workers: &dyn Workers,
    matrix: &Matrix<'_>,
    bias: &[f32],
    x: Vectors<'_>,
    quantized: &mut Quantized<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    let blocks = matrix.rows().div_ceil(LANES);
    let mut columns = Columns::new(out, x.tokens, out_stride);
    match matrix {
        Matrix::F32(matrix) => over_blocks(workers, blocks, &mut columns, |out, blocks| {
            kernels.matmul_f32(matrix, x.data, x.stride, blocks, out);
        }),
        Matrix::F16(matrix) => over_blocks(workers, blocks, &mut columns, |out, blocks| {
            kernels.matmul_f16(matrix, x.data, x.stride, blocks, out);
        }),
        Matrix::I8(_) | Matrix::I4(_) => {
            let activations = quantize(kernels, x, matrix.cols(), quantized);
            let activations = activations.as_activations();
            over_blocks(workers, blocks, &mut columns, |out, blocks| match matrix {
                Matrix::I4(matrix) => kernels.matmul_i4(matrix, &activations, blocks, out),
                Matrix::I8(matrix) => kernels.matmul_i8(matrix, &activations, blocks, out),
                Matrix::F32(_) | Matrix::F16(_) => {}
            });
        }
    }
    if !bias.is_empty() {
        for out in out.chunks_exact_mut(out_stride).take(x.tokens) {
            kernels.add(out, bias);
        }
    }
}

fn quantize<'q, K: Kernels>(
    kernels: K,
    x: Vectors<'_>,
    cols: usize,
    quantized: &'q mut Quantized<'_>,
) -> ActivationsMut<'q> {
    let shape = ActivationShape { tokens: x.tokens, cols };
    let mut activations = quantized.activations(shape);
    for (token, x) in x.data.chunks(x.stride).take(x.tokens).enumerate() {
        kernels.quantize(&x[..cols], token, &mut activations);
    }
    activations
}

impl Quantized<'_> {
    /// Room for vectors of `shape`.
    pub(crate) fn activations(&mut self, shape: ActivationShape) -> ActivationsMut<'_> {
        ActivationsMut::new(shape, self.data, self.sums, self.totals, self.scale)
            .expect("the layout sized it for the largest shape")
    }
}
