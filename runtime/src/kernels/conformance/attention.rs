//! Attention of one token in one piece, where a backend has that, and the steps that end it.

use super::cases::SPECIAL;
use super::floats::{mismatch, vectors};
use super::{Mismatch, Random, Room};
use crate::kernels::softmax::FixedSoftmax;
use crate::kernels::{HeadSpan, Kernels, Scalar};
use crate::math::fixed::POINT;
use crate::parallel::Columns;
use crate::tensor::{ActivationShape, LANES, MatrixI8, padded_rows};

/// Widths of a head: about a step, a vector of 16 lanes and a line of activations; real ones.
const WIDTHS: [usize; 8] = [3, 8, 16, 17, 32, 48, 64, 65];

/// Positions of a span: about a step, a block of keys, a line of weights; a whole span.
const POSITIONS: [usize; 9] = [1, 4, 15, 16, 17, 64, 65, 127, 256];

/// Queries that share a head: about a pair.
const QUERIES: [usize; 4] = [1, 2, 3, 8];

/// Every width, length of a span and number of queries.
pub(super) fn run<K: Kernels>(
    kernels: K,
    memory: &mut [u64],
    report: &mut impl FnMut(&str),
) -> Result<(), Mismatch> {
    for width in WIDTHS {
        for positions in POSITIONS {
            for queries in QUERIES {
                let case = Case { width, positions, queries };
                if case.compare(kernels, Room(memory))?.is_none() {
                    report("SKIP attend_head: not enough memory");
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Case {
    width: usize,
    positions: usize,
    queries: usize,
}

impl Case {
    /// Two spans, so that the second corrects the first; its scores are spread so far that exponentials become zero.
    fn compare<K: Kernels>(self, kernels: K, mut room: Room<'_>) -> Result<Option<()>, Mismatch> {
        let Self { width, positions, queries } = self;
        let mut random = Random::new((width * positions) as u64);
        let Some(x) = room.take::<f32>(queries * width) else { return Ok(None) };
        let Some(key_scales) = room.take::<f32>(padded_rows(positions)) else { return Ok(None) };
        let Some(value_logs) = room.take::<i32>(positions) else { return Ok(None) };
        let Some(ones) = room.take::<f32>(padded_rows(width)) else { return Ok(None) };
        let Some(keys) = room.take::<i8>(MatrixI8::data_len(positions, width)) else { return Ok(None) };
        let Some(values) = room.take::<i8>(MatrixI8::data_len(width, positions)) else { return Ok(None) };
        let Some(out) = room.take::<f32>(2 * queries * width) else { return Ok(None) };
        ones.fill(1.0);
        out.fill(0.0);
        let (found, expected) = out.split_at_mut(queries * width);
        let mut softmax = [[FixedSoftmax::EMPTY; QUERIES[3]]; 2];
        let [by_kernels, by_scalar] = softmax.each_mut().map(|softmax| &mut softmax[..queries]);
        for spread in [1.0, 30_000.0] {
            key_scales.fill_with(|| random.float().abs() * spread);
            value_logs.fill_with(|| random.within(-20 << POINT, 1 << POINT));
            x.fill_with(|| random.float());
            x[0] = SPECIAL[random.within(0, SPECIAL.len() as i32 - 1) as usize];
            keys.fill_with(|| random.within(-127, 127) as i8);
            values.fill_with(|| random.within(-127, 127) as i8);
            let span = HeadSpan {
                queries: x,
                keys: MatrixI8::new(positions, width, key_scales, keys).expect("the lengths are its own"),
                values: MatrixI8::new(width, positions, ones, values).expect("the lengths are its own"),
                value_logs,
                next: self.queries % 2 * MatrixI8::data_len(positions, width),
            };
            if self.in_steps(&span, by_scalar, expected, Room(room.0)).is_none() {
                return Ok(None);
            }
            if !kernels.attend_head(&span, by_kernels, found) {
                by_kernels.copy_from_slice(by_scalar);
                found.copy_from_slice(expected);
            }
            self.same("attend_head", [found, expected], [by_kernels, by_scalar])?;
        }
        kernels.normalize(by_kernels, found);
        Scalar.normalize(by_scalar, expected);
        self.same("normalize", [found, expected], [by_kernels, by_scalar])?;
        let Some(sums) = room.take::<f32>(2 * queries * padded_rows(width)) else { return Ok(None) };
        sums.fill_with(|| random.float());
        kernels.add_values(sums, by_kernels, found);
        Scalar.add_values(sums, by_scalar, expected);
        self.same("add_values", [found, expected], [by_kernels, by_scalar])?;
        Ok(Some(()))
    }

    fn same(
        self,
        name: &'static str,
        [found, expected]: [&[f32]; 2],
        softmax: [&[FixedSoftmax]; 2],
    ) -> Result<(), Mismatch> {
        mismatch(name, self.positions, self.width, self.queries, found, expected)?;
        for (found, expected) in softmax[0].iter().zip(softmax[1]) {
            let [found, expected] = [found, expected].map(|softmax| [softmax.sum, softmax.correction]);
            mismatch(name, self.positions, self.width, self.queries, &found, &expected)?;
        }
        Ok(())
    }

    /// What `attend_head` means; `None` if there is not enough memory.
    fn in_steps(
        self,
        span: &HeadSpan<'_>,
        softmax: &mut [FixedSoftmax],
        out: &mut [f32],
        mut room: Room<'_>,
    ) -> Option<()> {
        let Self { width, positions, queries } = self;
        let mut x = vectors(ActivationShape { tokens: queries, cols: width }, false, &mut room)?;
        for (query, elements) in span.queries.chunks_exact(width).enumerate() {
            Scalar.quantize(elements, query, &mut x);
        }
        let stride = padded_rows(positions);
        let mut scores = Columns::new(room.take(queries * stride)?, queries, stride);
        Scalar.matmul_i8(&span.keys, &x.as_activations(), 0..stride / LANES, &mut scores);
        let mut weights =
            vectors(ActivationShape { tokens: 2 * queries, cols: positions }, false, &mut room)?;
        for (query, softmax) in softmax.iter_mut().enumerate() {
            let scores = scores.token(query, 0..positions);
            Scalar.weights_i8(scores, span.value_logs, softmax, 0, query, &mut weights);
        }
        let height = padded_rows(width);
        let sums = room.take(2 * queries * height)?;
        let mut columns = Columns::new(sums, 2 * queries, height);
        Scalar.matmul_i8(&span.values, &weights.as_activations(), 0..height / LANES, &mut columns);
        Scalar.add_values(sums, softmax, out);
        Some(())
    }
}
