//! A projection: vectors × one weight matrix of any encoding, shared out among workers.
#![allow(unsafe_code, reason = "workers take disjoint tokens of quantized vectors")]

use crate::kernels::{Kernels, lanes};
use crate::layout::Quantized;
use crate::parallel::{Columns, Shared, Workers, over_blocks, over_tokens, worth};
use crate::parts::{ALL_TRANSFORMERS, FLOATS};
use crate::tensor::{ActivationBits, ActivationShape, Activations, ActivationsMut, LANES, Matrix};
use core::ops::Range;

/// Vectors `[tokens][stride]` of which the first `cols` elements each are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vectors<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) tokens: usize,
    pub(crate) stride: usize,
}

/// `out[token] = matrix × x[token] (+ bias)`; `out` is `[tokens][out_stride]` with the padding rows written too.
///
/// Integer matrices take `x` quantized, into `quantized`. A matrix that asks for 16-bit activations multiplies both
/// digits of each vector in one pass over its weights: `quantized` and `out` then have room for twice as many tokens.
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
    Projection::new(kernels, workers, matrix, bias, x, quantized).all(workers, out, out_stride);
}

/// A matrix and the vectors that it multiplies, quantized where it asks for that: any worker can compute any rows.
#[derive(Debug)]
pub(crate) struct Projection<'p, K> {
    kernels: K,
    matrix: &'p Matrix<'p>,
    bias: &'p [f32],
    vectors: usize,
    inputs: Inputs<'p>,
}

#[derive(Debug)]
enum Inputs<'x> {
    Quantized(Activations<'x>),
    Floats(Vectors<'x>),
}

impl<'p, K: Kernels> Projection<'p, K> {
    /// Of `x` as it is, or quantized by `workers`.
    pub(crate) fn new(
        kernels: K,
        workers: &dyn Workers,
        matrix: &'p Matrix<'_>,
        bias: &'p [f32],
        x: Vectors<'p>,
        quantized: &'p mut Quantized<'_>,
    ) -> Self {
        let Some(bits) = matrix.activations() else {
            return Self { kernels, matrix, bias, vectors: x.tokens, inputs: Inputs::Floats(x) };
        };
        Self::quantized(kernels, workers, matrix, bits, bias, x, quantized)
    }

    /// Of `x` quantized as `matrix` asks, `bits` for each element: then `x` itself is free for other uses.
    pub(crate) fn quantized(
        kernels: K,
        workers: &dyn Workers,
        matrix: &'p Matrix<'_>,
        bits: ActivationBits,
        bias: &'p [f32],
        x: Vectors<'_>,
        quantized: &'p mut Quantized<'_>,
    ) -> Self {
        let activations = quantize(kernels, workers, x, matrix, bits, quantized);
        let inputs = Inputs::Quantized(activations.into_activations());
        Self { kernels, matrix, bias, vectors: x.tokens, inputs }
    }

    /// All rows of every vector, to `out`, `[tokens][stride]`.
    fn all(&self, workers: &dyn Workers, out: &mut [f32], stride: usize) {
        let blocks = self.matrix.rows().div_ceil(LANES);
        let mut out = self.columns(out, stride);
        over_blocks(workers, worth(workers, self.work()), blocks, &mut out, |out, blocks| {
            self.rows(blocks, out)
        });
    }

    /// Multiplications, all rows and vectors.
    fn work(&self) -> usize {
        self.matrix.rows().saturating_mul(self.matrix.cols()).saturating_mul(self.products())
    }

    /// Products of one row, and so tokens that the output needs room for: one for each digit of each vector.
    fn products(&self) -> usize {
        match &self.inputs {
            Inputs::Quantized(x) => x.tokens(),
            Inputs::Floats(x) => x.tokens,
        }
    }

    /// `out`, `[tokens][stride]`, as what [`Projection::rows`] writes to.
    fn columns<'o>(&self, out: &'o mut [f32], stride: usize) -> Columns<'o> {
        Columns::new(out, self.products(), stride)
    }

    /// The rows of `blocks` of every vector, to these columns of the first tokens of `out`, which has no others.
    pub(crate) fn rows(&self, blocks: Range<usize>, out: &mut Columns<'_>) {
        let own = out.columns();
        match (self.matrix, &self.inputs) {
            (Matrix::I4(matrix), Inputs::Quantized(x)) => {
                self.kernels.matmul_i4(matrix, x, blocks.clone(), out);
            }
            (Matrix::I8(matrix), Inputs::Quantized(x)) => {
                self.kernels.matmul_i8(matrix, x, blocks.clone(), out);
            }
            (Matrix::F32(matrix), Inputs::Floats(x)) if FLOATS.is_there => {
                self.kernels.matmul_f32(matrix, x.data, x.stride, blocks.clone(), out);
            }
            (Matrix::F16(matrix), Inputs::Floats(x)) if FLOATS.is_there => {
                self.kernels.matmul_f16(matrix, x.data, x.stride, blocks.clone(), out);
            }
            // There are no others: integer matrices have activations, and others are refused where they are left out.
            _ => {}
        }
        if ALL_TRANSFORMERS.is_there && self.products() > self.vectors {
            self.kernels.enter(
                #[inline(always)]
                || lanes::add_pairs(out, blocks),
            );
        }
        if let Some(bias) = self.bias.get(own.start..) {
            for token in 0..self.vectors {
                self.kernels.add(out.token(token, own.clone()), bias);
            }
        }
    }
}

/// What an operation on one f32 costs, in multiplications of int8: how much of it is worth another worker.
const ELEMENT: usize = 16;

/// How many workers a pass over some f32 is worth.
pub(crate) fn worth_elements(workers: &dyn Workers, elements: usize) -> usize {
    worth(workers, elements.saturating_mul(ELEMENT))
}

fn quantize<'q, K: Kernels>(
    kernels: K,
    workers: &dyn Workers,
    x: Vectors<'_>,
    matrix: &Matrix<'_>,
    bits: ActivationBits,
    quantized: &'q mut Quantized<'_>,
) -> ActivationsMut<'q> {
    let (cols, digits) = (matrix.cols(), bits.digits());
    let shape = |vectors: usize| ActivationShape { tokens: digits * vectors, cols };
    let sums = matches!(matrix, Matrix::I4(_));
    let one = |x: &[f32], at: usize, out: &mut ActivationsMut<'_>| match bits {
        ActivationBits::Eight => kernels.quantize(&x[..cols], at, out),
        ActivationBits::Sixteen if ALL_TRANSFORMERS.is_there => kernels.quantize_wide(&x[..cols], at, out),
        ActivationBits::Sixteen => {}
    };
    if x.tokens == 1 {
        let mut activations = quantized.room(shape(1), sums);
        one(x.data, 0, &mut activations);
        return activations;
    }
    let shared = SharedQuantized::new(quantized, cols);
    over_tokens(workers, worth_elements(workers, x.tokens * cols), x.tokens, &|tokens| {
        // SAFETY: the shares of two workers do not overlap.
        let mut own = unsafe { shared.tokens(digits * tokens.start..digits * tokens.end) };
        let mut activations = own.room(shape(tokens.len()), sums);
        for (i, token) in tokens.enumerate() {
            one(&x.data[token * x.stride..], i, &mut activations);
        }
    });
    quantized.room(shape(x.tokens), sums)
}

/// Memory for quantized vectors of which several workers may each take some tokens.
#[derive(Debug)]
pub(crate) struct SharedQuantized<'a> {
    /// One token.
    shape: ActivationShape,
    data: Shared<'a, i8>,
    sums: Shared<'a, i16>,
    totals: Shared<'a, i32>,
    scale: Shared<'a, f32>,
}

impl<'a> SharedQuantized<'a> {
    pub(crate) fn new(quantized: &'a mut Quantized<'_>, cols: usize) -> Self {
        Self {
            shape: ActivationShape { tokens: 1, cols },
            data: Shared::new(quantized.data),
            sums: Shared::new(quantized.sums),
            totals: Shared::new(quantized.totals),
            scale: Shared::new(quantized.scale),
        }
    }

    /// Room for `tokens`.
    ///
    /// # Safety
    /// - While it lives, nobody else takes any of these tokens.
    pub(crate) unsafe fn tokens(&self, tokens: Range<usize>) -> Quantized<'_> {
        let own = |len: usize| tokens.start * len..tokens.end * len;
        // SAFETY: the contract is the caller's.
        unsafe {
            Quantized {
                data: self.data.part(own(self.shape.data_len())),
                sums: self.sums.part(own(self.shape.sums_len())),
                totals: self.totals.part(own(1)),
                scale: self.scale.part(own(1)),
            }
        }
    }
}

impl Quantized<'_> {
    /// Room for vectors of `shape` that meet no int4 matrix, and so need no sums.
    pub(crate) fn activations(&mut self, shape: ActivationShape) -> ActivationsMut<'_> {
        self.room(shape, false)
    }

    /// As [`Quantized::activations`], with `sums` if they are asked for.
    fn room(&mut self, shape: ActivationShape, sums: bool) -> ActivationsMut<'_> {
        let sums = if sums { &mut *self.sums } else { &mut [] };
        ActivationsMut::new(shape, self.data, sums, self.totals, self.scale)
            .expect("the layout sized it for the largest shape")
    }
}
