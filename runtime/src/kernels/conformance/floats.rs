//! The f32 operations.

use super::cases::{LENGTHS, SHAPES, SPECIAL};
use super::{Mismatch, Random, Room, difference};
use crate::attention::SPAN;
use crate::kernels::softmax::{FixedSoftmax, Softmax};
use crate::kernels::{Activation, Kernels, Pairing, Scalar};
use crate::math::fixed::log2_steps;
use crate::parallel::Columns;
use crate::tensor::{ActivationShape, ActivationsMut, LANES, MatrixF16, MatrixF32, padded_rows};

/// Every operation at every length, on ordinary and on special values.
pub(super) fn run<K: Kernels>(
    kernels: K,
    memory: &mut [u64],
    report: &mut impl FnMut(&str),
) -> Result<(), Mismatch> {
    vectors_of(LENGTHS, kernels, memory, report)?;
    for special in [false, true] {
        for (rows, cols) in SHAPES {
            // The rows' edges are those of a block of 16; wide and tall at once adds nothing.
            if rows * cols <= 10_000 && matmul(kernels, rows, cols, special, Room(memory))?.is_none() {
                report("SKIP matmul_f32: not enough memory");
            }
        }
    }
    Ok(())
}

/// The operations on vectors at each of `lengths`.
pub(super) fn vectors_of<K: Kernels>(
    lengths: impl IntoIterator<Item = usize>,
    kernels: K,
    memory: &mut [u64],
    report: &mut impl FnMut(&str),
) -> Result<(), Mismatch> {
    for len in lengths {
        for special in [false, true] {
            let case = Vectors { len, special };
            for done in [
                case.element_wise(kernels, Room(memory))?,
                case.attention(kernels, Room(memory))?,
                case.quantized(kernels, Room(memory))?,
            ] {
                if done.is_none() {
                    report("SKIP f32 operations: not enough memory");
                }
            }
        }
    }
    Ok(())
}

fn fill(values: &mut [f32], special: bool, random: &mut Random) {
    values.fill_with(|| match random.within(0, 7) {
        0 if special => SPECIAL[random.within(0, SPECIAL.len() as i32 - 1) as usize],
        _ => random.float(),
    });
}

#[derive(Clone, Copy)]
struct Vectors {
    len: usize,
    special: bool,
}

/// Operands and both results of an operation on vectors of one length.
struct Operands<'a> {
    x: &'a [f32],
    y: &'a [f32],
    z: &'a [f32],
    found: &'a mut [f32],
    expected: &'a mut [f32],
}

impl Operands<'_> {
    /// Compares what `operation` leaves in an output that starts as a copy of `x`.
    fn compare(
        &mut self,
        name: &'static str,
        operation: impl Fn(bool, &mut [f32], &[f32], &[f32], &[f32]),
    ) -> Result<(), Mismatch> {
        self.found.copy_from_slice(self.x);
        self.expected.copy_from_slice(self.x);
        operation(true, self.expected, self.x, self.y, self.z);
        operation(false, self.found, self.x, self.y, self.z);
        mismatch(name, 1, self.x.len(), 1, self.found, self.expected)
    }
}

pub(super) fn mismatch(
    name: &'static str,
    rows: usize,
    cols: usize,
    tokens: usize,
    found: &[f32],
    expected: &[f32],
) -> Result<(), Mismatch> {
    match difference(found, expected) {
        None => Ok(()),
        Some((index, found, expected)) => {
            Err(Mismatch { name, rows, cols, group: 0, tokens, index, found, expected })
        }
    }
}

/// Calls the same method of `Scalar` or of the backend.
macro_rules! either {
    ($scalar:expr, $kernels:expr, $method:ident($($argument:expr),*)) => {
        if $scalar { Scalar.$method($($argument),*) } else { $kernels.$method($($argument),*) }
    };
}

impl Vectors {
    fn operands<'a>(self, room: &mut Room<'a>) -> Option<Operands<'a>> {
        let mut random = Random::new(self.len as u64);
        let (x, y, z) = (room.take(self.len)?, room.take(self.len)?, room.take(self.len)?);
        fill(x, self.special, &mut random);
        fill(y, self.special, &mut random);
        fill(z, false, &mut random);
        Some(Operands { x, y, z, found: room.take(self.len)?, expected: room.take(self.len)? })
    }

    fn element_wise<K: Kernels>(self, kernels: K, mut room: Room<'_>) -> Result<Option<()>, Mismatch> {
        let Some(mut operands) = self.operands(&mut room) else { return Ok(None) };
        operands.compare("rms_norm", |scalar, out, x, y, _| {
            either!(scalar, kernels, rms_norm(x, y, 1e-5, out));
        })?;
        operands.compare("layer_norm", |scalar, out, x, y, z| {
            either!(scalar, kernels, layer_norm(x, y, z, 1e-5, out));
        })?;
        operands.compare("add", |scalar, out, _, y, _| either!(scalar, kernels, add(out, y)))?;
        for activation in [Activation::Silu, Activation::GeluErf, Activation::GeluTanh, Activation::Relu] {
            operands.compare("activate", |scalar, out, _, _, _| {
                either!(scalar, kernels, activate(activation, out));
            })?;
            operands.compare("activate_gated", |scalar, out, _, y, _| {
                either!(scalar, kernels, activate_gated(activation, out, y));
            })?;
        }
        let pairs = self.len / 2;
        for pairing in [Pairing::Interleaved, Pairing::HalfSplit] {
            operands.compare("rotate", |scalar, out, _, y, z| {
                let (cos, sin) = (&y[..pairs], &z[..pairs]);
                either!(scalar, kernels, rotate(&mut out[..2 * pairs], 2 * pairs, cos, sin, pairing));
            })?;
            // As many whole heads as there are, wider than what is rotated of them.
            for width in [4, 8, 16, 24, 32] {
                operands.compare("rotate: heads", |scalar, out, _, y, z| {
                    let pairs = (width / 2).min(self.len) - usize::from(width == 24);
                    let (cos, sin) = (&y[..pairs], &z[..pairs]);
                    let heads = self.len / width * width;
                    either!(scalar, kernels, rotate(&mut out[..heads], width, cos, sin, pairing));
                })?;
            }
        }
        Ok(Some(()))
    }

    /// Scores of 37 positions (two blocks and a part of a third) and the values they weigh.
    fn attention<K: Kernels>(self, kernels: K, mut room: Room<'_>) -> Result<Option<()>, Mismatch> {
        const POSITIONS: usize = 37;
        const PADDED: usize = POSITIONS.div_ceil(LANES) * LANES;
        let Some(operands) = self.operands(&mut room) else { return Ok(None) };
        let Some(cache) = room.take::<f32>(PADDED * self.len) else { return Ok(None) };
        fill(cache, false, &mut Random::new(37));
        let (mut found, mut expected) = ([0.0; PADDED], [0.0; PADDED]);
        Scalar.scores_f32(operands.x, cache, &mut expected);
        kernels.scores_f32(operands.x, cache, &mut found);
        mismatch("scores_f32", PADDED, self.len, 1, &found, &expected)?;
        let Operands { found: out, expected: out_expected, .. } = operands;
        let values = &cache[..POSITIONS * self.len];
        out.fill(0.0);
        out_expected.fill(0.0);
        let mut softmax = [Softmax::EMPTY; 2];
        // Two spans, so that the second corrects the first.
        for span in [0..LANES, LANES..POSITIONS] {
            let values = &values[span.start * self.len..span.end * self.len];
            Scalar.attend_f32(&mut expected[span.clone()], values, &mut softmax[0], out_expected);
            kernels.attend_f32(&mut found[span], values, &mut softmax[1], out);
        }
        let softmax = softmax.map(|softmax| [softmax.sum, softmax.correction]);
        mismatch("attend_f32: softmax", POSITIONS, self.len, 1, &softmax[1], &softmax[0])?;
        mismatch("attend_f32: scores", POSITIONS, self.len, 1, &found, &expected)?;
        mismatch("attend_f32", POSITIONS, self.len, 1, out, out_expected)?;
        Ok(Some(()))
    }

    /// The operations that quantize, those that write vectors into several tokens.
    fn quantized<K: Kernels>(self, kernels: K, mut room: Room<'_>) -> Result<Option<()>, Mismatch> {
        const SKIP: usize = 5;
        let Some(Operands { x, y, found, expected, .. }) = self.operands(&mut room) else {
            return Ok(None);
        };
        for (values, by_scalar) in [(&mut *expected, true), (&mut *found, false)] {
            values.fill(0.0);
            let put = |i: usize, rounded: [i8; LANES]| {
                for (value, rounded) in values.iter_mut().skip(i * LANES).zip(rounded) {
                    *value = f32::from(rounded);
                }
            };
            let scale = either!(by_scalar, kernels, quantize_each(x, put));
            values[0] += scale;
        }
        mismatch("quantize_each", 1, self.len, 1, found, expected)?;
        let wide = [("quantize_wide", 4, true), ("quantize_wide", 2, false)];
        let narrow = [("quantize", 3, true), ("quantize", 1, false), ("weights_i8", 4, true)];
        for (name, tokens, sums) in narrow.into_iter().chain(wide) {
            let shape = ActivationShape { tokens, cols: SKIP + self.len };
            let Some(by_scalar) = vectors(shape, sums, &mut room) else { return Ok(None) };
            let Some(by_kernels) = vectors(shape, sums, &mut room) else { return Ok(None) };
            let (mut by_scalar, mut by_kernels) = (by_scalar, by_kernels);
            if name == "quantize" {
                for token in 0..tokens {
                    let x = &x[..self.len - token.min(self.len - 1)];
                    Scalar.quantize(x, token, &mut by_scalar);
                    kernels.quantize(x, token, &mut by_kernels);
                }
            } else if name == "quantize_wide" {
                for vector in 0..tokens / 2 {
                    let x = &x[..self.len - vector.min(self.len - 1)];
                    Scalar.quantize_wide(x, vector, &mut by_scalar);
                    kernels.quantize_wide(x, vector, &mut by_kernels);
                }
            } else {
                let positions = self.len.min(SPAN);
                let Some(logs) = room.take::<i32>(positions) else { return Ok(None) };
                for (log, y) in logs.iter_mut().zip(y) {
                    *log = log2_steps(*y);
                }
                let (found, expected) = (&mut found[..positions], &mut expected[..positions]);
                let mut softmax = [FixedSoftmax::EMPTY; 2];
                for query in 0..tokens / 2 {
                    // The second query's are spread so far that exponentials become zero.
                    for ((expected, found), x) in expected.iter_mut().zip(&mut *found).zip(x) {
                        *expected = x * [3e3, 3e5][query];
                        *found = *expected;
                    }
                    let skip = SKIP * query;
                    Scalar.weights_i8(expected, logs, &mut softmax[0], skip, query, &mut by_scalar);
                    kernels.weights_i8(found, logs, &mut softmax[1], skip, query, &mut by_kernels);
                }
                let softmax = softmax.map(|softmax| [softmax.sum, softmax.correction]);
                mismatch("weights_i8: softmax", 1, positions, tokens, &softmax[1], &softmax[0])?;
            }
            same_vectors(name, shape, &by_kernels, &by_scalar)?;
        }
        Ok(Some(()))
    }
}

pub(super) fn vectors<'a>(
    shape: ActivationShape,
    sums: bool,
    room: &mut Room<'a>,
) -> Option<ActivationsMut<'a>> {
    let (data, sums) = (room.take(shape.data_len())?, room.take(if sums { shape.sums_len() } else { 0 })?);
    let (totals, scale) = (room.take(shape.tokens)?, room.take(shape.tokens)?);
    data.fill(0);
    sums.fill(0);
    totals.fill(0);
    scale.fill(0.0);
    ActivationsMut::new(shape, data, sums, totals, scale)
}

fn same_vectors(
    name: &'static str,
    shape: ActivationShape,
    found: &ActivationsMut<'_>,
    expected: &ActivationsMut<'_>,
) -> Result<(), Mismatch> {
    let ActivationShape { tokens, cols } = shape;
    let (found, expected) = (found.as_activations(), expected.as_activations());
    for (found, expected) in (0..tokens).map(|token| (found.row(token), expected.row(token))) {
        mismatch(name, 1, cols, tokens, &[found.scale], &[expected.scale])?;
        let values = found.data.iter().zip(expected.data).map(|(&a, &b)| (i32::from(a), i32::from(b)));
        let sums = found.sums.iter().zip(expected.sums).map(|(&a, &b)| (i32::from(a), i32::from(b)));
        let totals = [(found.total, expected.total)];
        for (index, (a, b)) in values.chain(sums).chain(totals).enumerate() {
            if a != b {
                let (found, expected) = (a as u32, b as u32);
                return Err(Mismatch { name, rows: 1, cols, group: 0, tokens, index, found, expected });
            }
        }
    }
    Ok(())
}

/// Both float encodings × three vectors with a gap between them.
fn matmul<K: Kernels>(
    kernels: K,
    rows: usize,
    cols: usize,
    special: bool,
    mut room: Room<'_>,
) -> Result<Option<()>, Mismatch> {
    const TOKENS: usize = 3;
    let mut random = Random::new(16);
    let (stride, height) = (cols + 1, padded_rows(rows));
    let Some(x) = room.take::<f32>(TOKENS * stride) else { return Ok(None) };
    let Some(found) = room.take::<f32>(TOKENS * height) else { return Ok(None) };
    let Some(expected) = room.take::<f32>(TOKENS * height) else { return Ok(None) };
    let Some(weights) = room.take::<f32>(rows * cols) else { return Ok(None) };
    fill(x, special, &mut random);
    fill(weights, special, &mut random);
    found.fill(0.0);
    expected.fill(0.0);
    let matrix = MatrixF32::new(rows, cols, weights).expect("the length is its own");
    let blocks = 0..height / LANES;
    Scalar.matmul_f32(&matrix, x, stride, blocks.clone(), &mut Columns::new(expected, TOKENS, height));
    kernels.matmul_f32(&matrix, x, stride, blocks.clone(), &mut Columns::new(found, TOKENS, height));
    mismatch("matmul_f32", rows, cols, TOKENS, found, expected)?;

    // Every f16 is defined: all bit patterns are fair.
    let halves: &mut [u16] = &mut bytemuck::cast_slice_mut(weights)[..rows * cols];
    halves.fill_with(|| if special { random.bits() as u16 } else { random.within(0x3000, 0x4800) as u16 });
    let matrix = MatrixF16::new(rows, cols, halves).expect("the length is its own");
    Scalar.matmul_f16(&matrix, x, stride, blocks.clone(), &mut Columns::new(expected, TOKENS, height));
    kernels.matmul_f16(&matrix, x, stride, blocks, &mut Columns::new(found, TOKENS, height));
    mismatch("matmul_f16", rows, cols, TOKENS, found, expected)?;
    Ok(Some(()))
}
