//! Fake-quantization: what the runtime will compute with, as f32, by the runtime's own functions. Gradients go
//! straight through (Bengio et al. 2013) where rounding is not cut off, and are zero where it is.

use super::pool::Buffer;
use super::simd::{largest_by, vectorized};
use whit::CacheKind;
use whit::format::Encoding;
use whit::quant::{LEAST_ABSMAX, pack_block_i4, pack_block_i8, pack_f16, round_clamped, row_to_f32};
use whit::tensor::{LANES, Matrix, MatrixF16, MatrixI4, MatrixI8};

/// How a model will be stored and run; [`Quantization::NONE`] trains and measures it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// Encoding of the weight matrices. Where it is an integer one, the inputs of products are int8, too.
    pub weights: Encoding,
    /// Encoding of embedding, positions and output head.
    pub embedding: Encoding,
    /// Kind of key and value cache: int8 rounds queries, keys and values to int8 as well.
    pub cache: CacheKind,
}

impl Quantization {
    /// f32 everywhere.
    pub const NONE: Self = Self { weights: Encoding::F32, embedding: Encoding::F32, cache: CacheKind::F32 };
    /// int8 everywhere: what exporting with int8 weights gives.
    pub const INT8: Self = Self { weights: Encoding::I8, embedding: Encoding::I8, cache: CacheKind::I8 };
    /// int4 in groups of 32, embedding and head int8: what exporting with int4 weights gives.
    pub const INT4: Self =
        Self { weights: Encoding::I4 { group: 32 }, embedding: Encoding::I8, cache: CacheKind::I8 };

    /// Whether inputs of products with matrices of `encoding` are rounded to int8.
    pub(super) fn rounds_inputs(encoding: Encoding) -> bool {
        matches!(encoding, Encoding::I8 | Encoding::I4 { .. })
    }
}

/// A row of equal steps: what a value is rounded to, and whether its gradient passes.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Distance of two points; negative ones count the other way, 0 has the point 0 only.
    pub step: f32,
    /// The least multiple.
    pub low: f32,
    /// The largest multiple.
    pub high: f32,
}

impl Grid {
    /// The nearest point, half to even.
    #[inline(always)]
    pub fn round(&self, x: f32) -> f32 {
        if self.step == 0.0 {
            return 0.0;
        }
        (x / self.step).round_ties_even().clamp(self.low, self.high) * self.step
    }

    /// The gradient of [`Grid::round`], straight through: 1 between the outermost points, 0 beyond them.
    #[inline(always)]
    pub fn gradient(&self, x: f32) -> f32 {
        let inside = self.step != 0.0 && (self.low..=self.high).contains(&(x / self.step));
        if inside { 1.0 } else { 0.0 }
    }
}

/// Writes every row of `x`, `[rows][cols]`, rounded to int8 and back with one scale, as the runtime does with inputs
/// of products, to `out`.
pub(super) fn round_rows(x: &[f32], cols: usize, out: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (x, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(cols)) {
                round_row(x, out);
            }
        },
    );
}

/// The runtime's rule (`ARITHMETIC.md`, "Vectors to int8"), element for element; a test compares the bits. By way of its
/// packed digits this was 7 % of a step.
#[inline(always)]
fn round_row(x: &[f32], out: &mut [f32]) {
    let absmax = largest_by(x, f32::abs);
    let (scale, inverse) = if absmax < LEAST_ABSMAX { (0.0, 0.0) } else { (absmax / 127.0, 127.0 / absmax) };
    for (out, x) in out.iter_mut().zip(x) {
        *out = round_clamped(x * inverse, 127) as f32 * scale;
    }
}

/// Writes what `weights`, `[rows][cols]`, become in `encoding` to `out`, and where gradients are cut off to `cut`
/// (emptied where they never are): bit `i % 64` of `i / 64`.
pub(super) fn round_matrix(
    weights: &[f32],
    cols: usize,
    encoding: Encoding,
    out: &mut Buffer,
    cut: &mut Vec<u64>,
) {
    if out.len() != weights.len() {
        *out = Buffer::zeros(weights.len());
    }
    cut.clear();
    if let Encoding::I4 { .. } = encoding {
        cut.resize(weights.len().div_ceil(64), 0);
    }
    for (block, (weights, out)) in weights.chunks(LANES * cols).zip(out.chunks_mut(LANES * cols)).enumerate()
    {
        match encoding {
            Encoding::F32 => out.copy_from_slice(weights),
            Encoding::F16 => round_f16(weights, cols, out),
            Encoding::I8 => round_i8(weights, cols, out),
            Encoding::I4 { group } => {
                round_i4(weights, cols, group.into(), out, |i| {
                    let i = block * LANES * cols + i;
                    cut[i / 64] |= 1 << (i % 64);
                });
            }
        }
    }
}

fn read_back(matrix: &Matrix<'_>, cols: usize, out: &mut [f32]) {
    for (row, out) in out.chunks_exact_mut(cols).enumerate() {
        row_to_f32(matrix, row, out);
    }
}

fn round_f16(weights: &[f32], cols: usize, out: &mut [f32]) {
    let mut halves = vec![0; weights.len()];
    pack_f16(weights, &mut halves);
    let matrix = MatrixF16::new(weights.len() / cols, cols, &halves).expect("whole rows");
    read_back(&Matrix::F16(matrix), cols, out);
}

fn round_i8(weights: &[f32], cols: usize, out: &mut [f32]) {
    let (mut scale, mut data) = ([0.0; LANES], vec![0; MatrixI8::data_len(LANES, cols)]);
    pack_block_i8(weights, cols, &mut scale, &mut data);
    let matrix = MatrixI8::new(weights.len() / cols, cols, &scale, &data).expect("one block");
    read_back(&Matrix::I8(matrix), cols, out);
}

fn round_i4(weights: &[f32], cols: usize, group: usize, out: &mut [f32], mut cut: impl FnMut(usize)) {
    let (mut scale, mut data) = ([0.0; LANES], vec![0; MatrixI4::data_len(LANES, cols)]);
    let mut groups = vec![0; MatrixI4::group_scale_len(LANES, cols, group)];
    vectorized(
        #[inline(always)]
        || pack_block_i4(weights, cols, group, &mut scale, &mut groups, &mut data),
    );
    let matrix = MatrixI4::new(weights.len() / cols, cols, group, &scale, &groups, &data).expect("one block");
    read_back(&Matrix::I4(matrix), cols, out);
    for (i, &weight) in weights.iter().enumerate() {
        let (lane, col) = (i / cols, i % cols);
        let units = col.checked_div(group).map_or(1.0, |group| f32::from(groups[group * LANES + lane]));
        let grid = Grid { step: scale[lane] * units, low: -8.5, high: 7.5 };
        if grid.step != 0.0 && grid.gradient(weight) == 0.0 {
            cut(i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whit::kernels::lanes;
    use whit::tensor::{ActivationShape, ActivationsMut};

    fn numbers(len: usize) -> Vec<f32> {
        let mut random = whit::sampler::Random::new(7);
        (0..len).map(|_| random.next_f32() - 0.4).collect()
    }

    #[test]
    fn inputs_are_rounded_as_the_runtime_rounds_them() {
        for cols in [1, 8, 63, 64, 65, 200, 201] {
            // The last one is too small to matter.
            let x: Vec<f32> =
                numbers(cols).iter().map(|x| if cols == 201 { x * 1e-31 } else { *x }).collect();
            let shape = ActivationShape { tokens: 1, cols };
            let (mut q, mut totals, mut scale) = (vec![0; shape.data_len()], [0], [0.0]);
            let mut runtime =
                ActivationsMut::new(shape, &mut q, &mut [], &mut totals, &mut scale).expect("fits");
            lanes::quantize(&x, 0, &mut runtime);
            let expected: Vec<f32> = q[..cols].iter().map(|&q| f32::from(q) * scale[0]).collect();
            let mut found = vec![0.0; cols];
            round_rows(&x, cols, &mut found);
            assert_eq!(found, expected, "{cols} columns");
        }
    }

    #[test]
    fn matrices_are_rounded_to_what_is_exported_and_int4_cuts_few_gradients() {
        let (rows, cols) = (37, 70);
        let weights = numbers(rows * cols);
        let bound = 0.6 / 127.0 + 1e-6;
        for (encoding, bound) in [
            (Encoding::F32, 0.0),
            (Encoding::F16, 1e-3),
            (Encoding::I8, bound),
            (Encoding::I4 { group: 32 }, 0.1),
            (Encoding::I4 { group: 0 }, 0.1),
        ] {
            let (mut out, mut cut) = (Buffer::default(), Vec::new());
            round_matrix(&weights, cols, encoding, &mut out, &mut cut);
            for (weight, out) in weights.iter().zip(out.iter()) {
                assert!((weight - out).abs() <= bound, "{encoding:?}: {weight} became {out}");
            }
            let cut: u32 = cut.iter().map(|bits| bits.count_ones()).sum();
            assert_eq!(cut > 0, matches!(encoding, Encoding::I4 { .. }), "{encoding:?}");
            assert!((cut as usize) < weights.len() / 10);
        }
    }

    #[test]
    fn rounding_twice_is_rounding_once() {
        let weights = numbers(16 * 64);
        for encoding in [Encoding::I8, Encoding::F16] {
            let [mut once, mut twice] = [Buffer::default(), Buffer::default()];
            round_matrix(&weights, 64, encoding, &mut once, &mut Vec::new());
            round_matrix(&once, 64, encoding, &mut twice, &mut Vec::new());
            let same = once.iter().zip(twice.iter()).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs());
            assert!(same, "{encoding:?}");
        }
    }
}
