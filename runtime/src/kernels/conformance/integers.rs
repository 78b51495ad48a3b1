//! The integer matrix products and the quantization that feeds them.

use super::cases::{GROUPS, SHAPES, TOKENS};
use super::{Fill, Mismatch, Random, Room, difference};
use crate::kernels::{Kernels, Scalar};
use crate::parallel::Columns;
use crate::tensor::{ActivationShape, Activations, ActivationsMut, LANES, MatrixI4, MatrixI8, padded_rows};
use core::ops::Range;

/// Every shape, number of tokens and fill for both encodings.
pub(super) fn run<K: Kernels>(
    kernels: K,
    memory: &mut [u64],
    report: &mut impl FnMut(&str),
) -> Result<(), Mismatch> {
    for (rows, cols) in SHAPES {
        // A wide matrix needs few tokens and fills: scalar code on a device is slow.
        let wide = rows * cols > 10_000;
        for tokens in TOKENS {
            if wide && !matches!(tokens, 1 | 3 | 8 | 9 | 23 | 33) {
                continue;
            }
            for fill in Fill::ALL {
                let case = Case { rows, cols, tokens, fill };
                let fits = case.int8(kernels, Room(memory))?;
                if fits.is_none() {
                    report("SKIP matmul_i8: not enough memory");
                }
                for group in GROUPS {
                    if case.int4(kernels, group, Room(memory))?.is_none() {
                        report("SKIP matmul_i4: not enough memory");
                    }
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Case {
    rows: usize,
    cols: usize,
    tokens: usize,
    fill: Fill,
}

impl Case {
    fn int8<K: Kernels>(self, kernels: K, mut room: Room<'_>) -> Result<Option<()>, Mismatch> {
        let mut random = Random::new(8);
        let (rows, cols) = (self.rows, self.cols);
        let Some(scale) = room.take::<f32>(padded_rows(rows)) else { return Ok(None) };
        scale.fill_with(|| random.scale());
        let Some(data) = self.weights::<i8>(MatrixI8::data_len(rows, cols), &mut room) else {
            return Ok(None);
        };
        for (i, w) in data.iter_mut().enumerate() {
            *w = self.fill.weight(i, -128, 127, &mut random) as i8;
        }
        let matrix = MatrixI8::new(rows, cols, scale, data).expect("the lengths are its own");
        self.compare("matmul_i8", 0, room, |scalar, x, blocks, out| match scalar {
            true => Scalar.matmul_i8(&matrix, x, blocks, out),
            false if blocks.start > 0 => kernels.matmul_i8(&matrix.among(usize::MAX), x, blocks, out),
            false => kernels.matmul_i8(&matrix, x, blocks, out),
        })
    }

    fn int4<K: Kernels>(self, kernels: K, group: usize, mut room: Room<'_>) -> Result<Option<()>, Mismatch> {
        let mut random = Random::new(4);
        let (rows, cols) = (self.rows, self.cols);
        let Some(row_scale) = room.take::<f32>(padded_rows(rows)) else { return Ok(None) };
        row_scale.fill_with(|| random.scale());
        let scales = MatrixI4::group_scale_len(rows, cols, group);
        let Some(group_scale) = room.take::<i8>(scales) else { return Ok(None) };
        for (i, s) in group_scale.iter_mut().enumerate() {
            *s = self.fill.weight(i, -127, 127, &mut random) as i8;
        }
        let Some(data) = self.weights::<u8>(MatrixI4::data_len(rows, cols), &mut room) else {
            return Ok(None);
        };
        for (i, w) in data.iter_mut().enumerate() {
            let mut nibble = |i| (self.fill.weight(i, -8, 7, &mut random) + 8) as u8;
            *w = nibble(i) | nibble(i + 1) << 4;
        }
        let matrix =
            MatrixI4::new(rows, cols, group, row_scale, group_scale, data).expect("the lengths are its own");
        self.compare("matmul_i4", group, room, |scalar, x, blocks, out| match scalar {
            true => Scalar.matmul_i4(&matrix, x, blocks, out),
            false if blocks.start > 0 => kernels.matmul_i4(&matrix.among(usize::MAX), x, blocks, out),
            false => kernels.matmul_i4(&matrix, x, blocks, out),
        })
    }

    /// Room for weights, which need not be aligned: for two tokens they begin a byte after a word does.
    fn weights<'a, T: bytemuck::Pod>(self, len: usize, room: &mut Room<'a>) -> Option<&'a mut [T]> {
        let skip = usize::from(self.tokens == 2);
        room.take(len + skip).map(|data| &mut data[skip..])
    }

    /// Runs `matmul` by `Scalar` and by the backend, once for all blocks and once without the first, from memory.
    fn compare(
        self,
        name: &'static str,
        group: usize,
        mut room: Room<'_>,
        matmul: impl Fn(bool, &Activations<'_>, Range<usize>, &mut Columns<'_>),
    ) -> Result<Option<()>, Mismatch> {
        let (tokens, stride) = (self.tokens, padded_rows(self.rows));
        let Some(found) = room.take::<f32>(tokens * stride) else { return Ok(None) };
        let Some(expected) = room.take::<f32>(tokens * stride) else { return Ok(None) };
        let Some(x) = activations(self, &mut room) else { return Ok(None) };
        let x = x.as_activations();
        let blocks = stride / LANES;
        for first in 0..blocks.min(2) {
            found.fill(0.0);
            expected.fill(0.0);
            matmul(true, &x, first..blocks, &mut Columns::new(expected, tokens, stride));
            matmul(false, &x, first..blocks, &mut Columns::new(found, tokens, stride));
            if let Some((index, found, expected)) = difference(found, expected) {
                let Self { rows, cols, .. } = self;
                return Err(Mismatch { name, rows, cols, group, tokens, index, found, expected });
            }
        }
        Ok(Some(()))
    }
}

/// Filled activations for a case.
fn activations<'a>(case: Case, room: &mut Room<'a>) -> Option<ActivationsMut<'a>> {
    let mut random = Random::new(1);
    let shape = ActivationShape { tokens: case.tokens, cols: case.cols };
    let mut x = ActivationsMut::new(
        shape,
        room.take(shape.data_len())?,
        room.take(shape.sums_len())?,
        room.take(shape.tokens)?,
        room.take(shape.tokens)?,
    )?;
    for token in 0..case.tokens {
        x.set(token, 0.237_109 + token as f32 / 3.0, |sixteen| {
            core::array::from_fn(|l| match sixteen * 16 + l {
                col if col < case.cols => case.fill.activation(token + col, &mut random),
                _ => 0,
            })
        });
    }
    Some(x)
}
