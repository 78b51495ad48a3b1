//! One tensor onto a disk, 16 rows at a time.

use super::error::BadWeights;
use super::options::encoding_name;
use crate::calibrate::Feedback;
use crate::checkpoint::Tensor;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use whit::format::{Encoding, TensorEntry};
use whit::quant::{MOST_WEIGHT, pack_block_i4, pack_block_i8, pack_digits_i4, pack_digits_i8, pack_f16};
use whit::tensor::{LANES, MatrixI4, MatrixI8};

/// Writes `tensor` to `out` at `at` as `entry` says, and names the weights that its encoding cannot hold. With
/// `feedback`, errors of rounding are passed on.
///
/// In memory: 16 rows, and the scales of the whole tensor, which stand before the numbers in the file.
pub(super) fn write_tensor(
    out: &mut (impl Write + Seek),
    at: u64,
    tensor: &Tensor<'_>,
    entry: &TensorEntry,
    feedback: Option<&Feedback>,
    mut progress: impl FnMut(u64) -> ControlFlow<()>,
) -> io::Result<ControlFlow<(), Option<BadWeights>>> {
    let (rows, cols) = (entry.rows as usize, entry.cols as usize);
    let layout = entry.encoding.layout(rows, cols);
    let mut packer = Packer::new(entry.encoding);
    let mut bad = None;
    let mut weights = vec![0.0; LANES.min(rows) * cols];
    out.seek(SeekFrom::Start(at + layout.numbers_at()))?;
    for first in (0..rows).step_by(LANES) {
        let block = &mut weights[..LANES.min(rows - first) * cols];
        tensor.rows.read_block(first, block);
        for (row, weights) in block.chunks_exact(cols).enumerate() {
            note_bad(&mut bad, tensor, entry.encoding, first + row, weights);
        }
        packer.pack(block, cols, feedback);
        out.write_all(&packer.numbers)?;
        if progress(block.len() as u64).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    if !packer.row_scales.is_empty() {
        out.seek(SeekFrom::Start(at))?;
        out.write_all(&packer.row_scales)?;
        out.seek(SeekFrom::Start(at + layout.group_scales_at()))?;
        out.write_all(&packer.group_scales)?;
    }
    Ok(ControlFlow::Continue(bad))
}

/// Counts the weights of `row` that `encoding` cannot hold.
fn note_bad(
    bad: &mut Option<BadWeights>,
    tensor: &Tensor<'_>,
    encoding: Encoding,
    row: usize,
    weights: &[f32],
) {
    for (col, &value) in weights.iter().enumerate().filter(|(_, weight)| !holds(encoding, **weight)) {
        let found = bad.get_or_insert_with(|| BadWeights {
            tensor: tensor.source.clone(),
            encoding: encoding_name(encoding),
            count: 0,
            first: [row, col],
            value,
        });
        found.count += 1;
    }
}

/// Whether `weight` stays a number in `encoding`.
fn holds(encoding: Encoding, weight: f32) -> bool {
    match encoding {
        Encoding::F32 => weight.is_finite(),
        // From here on, half to even rounds to infinity.
        Encoding::F16 => weight.abs() < 65520.0,
        Encoding::I8 | Encoding::I4 { .. } => weight.abs() <= MOST_WEIGHT,
    }
}

/// The bytes of one block, and the scales of all blocks so far.
struct Packer {
    encoding: Encoding,
    row_scales: Vec<u8>,
    group_scales: Vec<u8>,
    numbers: Vec<u8>,
    /// Group scales and int8 weights of one block before they are bytes.
    signed: Vec<i8>,
    /// Weights of one block that were rounded with feedback, `[rows][cols]`.
    digits: Vec<i8>,
}

impl Packer {
    fn new(encoding: Encoding) -> Self {
        let (row_scales, group_scales, numbers) = (Vec::new(), Vec::new(), Vec::new());
        Self { encoding, row_scales, group_scales, numbers, signed: Vec::new(), digits: Vec::new() }
    }

    /// Rounds the rows again, to the steps that were chosen for them, passing on errors.
    fn round(
        &mut self,
        rows: &[f32],
        cols: usize,
        feedback: &Feedback,
        most: [f32; 2],
        step: impl Fn(usize, usize) -> f32,
    ) {
        self.digits.resize(rows.len(), 0);
        let rows = rows.chunks_exact(cols).zip(self.digits.chunks_exact_mut(cols));
        for (lane, (row, digits)) in rows.enumerate() {
            feedback.round(row, |col| step(lane, col), most[0]..=most[1], digits);
        }
    }

    /// Packs up to 16 rows of `cols` weights.
    fn pack(&mut self, rows: &[f32], cols: usize, feedback: Option<&Feedback>) {
        self.numbers.clear();
        let mut scale = [0.0; LANES];
        match self.encoding {
            Encoding::F32 => self.numbers.extend(rows.iter().flat_map(|weight| weight.to_le_bytes())),
            Encoding::F16 => {
                let mut halves = vec![0; rows.len()];
                pack_f16(rows, &mut halves);
                self.numbers.extend(halves.into_iter().flat_map(u16::to_le_bytes));
            }
            Encoding::I8 => {
                self.signed.resize(MatrixI8::data_len(LANES, cols), 0);
                pack_block_i8(rows, cols, &mut scale, &mut self.signed);
                if let Some(feedback) = feedback {
                    self.round(rows, cols, feedback, [-127.0, 127.0], |lane, _| scale[lane]);
                    pack_digits_i8(&self.digits, cols, &mut self.signed);
                }
                self.numbers.extend(self.signed.iter().map(|&q| q as u8));
                self.row_scales.extend(scale.into_iter().flat_map(f32::to_le_bytes));
            }
            Encoding::I4 { group } => {
                let group = usize::from(group);
                self.signed.resize(MatrixI4::group_scale_len(LANES, cols, group), 0);
                self.numbers.resize(MatrixI4::data_len(LANES, cols), 0);
                pack_block_i4(rows, cols, group, &mut scale, &mut self.signed, &mut self.numbers);
                if let Some(feedback) = feedback {
                    let groups = core::mem::take(&mut self.signed);
                    self.round(rows, cols, feedback, [-8.0, 7.0], |lane, col| match group {
                        0 => scale[lane],
                        group => scale[lane] * f32::from(groups[col / group * LANES + lane]),
                    });
                    self.signed = groups;
                    pack_digits_i4(&self.digits, cols, &mut self.numbers);
                }
                self.group_scales.extend(self.signed.iter().map(|&s| s as u8));
                self.row_scales.extend(scale.into_iter().flat_map(f32::to_le_bytes));
            }
        }
    }
}
