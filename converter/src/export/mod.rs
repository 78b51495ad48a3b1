//! A checkpoint to a `.whit` file: the payload streamed in blocks of 16 rows, the tables written last.
//!
//! The file grows under a temporary name in the folder of the output and takes its name when it is whole. The same
//! checkpoint and options give the same bytes.

mod block;
mod error;
mod options;
mod pending;
mod tables;
#[cfg(test)]
mod tests;

pub use error::{BadWeights, ExportError};
pub use options::{ExportOptions, GoldenShape, TensorEncoding, encoding_name};
pub(crate) use pending::write_whole;
pub use pending::{Pending, Report};

use crate::calibrate::Forward;
use crate::checkpoint::Checkpoint;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;
use tables::Tables;

/// Bytes of a page that spares the processor's tables of pages 511 others.
const HUGE_PAGE: usize = 1 << 21;

/// How far an export is, in weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The tensor being written, as the source names it.
    pub tensor: &'a str,
    /// Weights written.
    pub done: u64,
    /// Weights of all tensors.
    pub total: u64,
}

/// Writes `checkpoint` beside `out`, complete but for its name: [`Pending::commit`] gives it that.
///
/// # Errors
/// If the checkpoint contradicts its description, a matrix is too wide or a weight not finite or too large for its
/// encoding (all tensors with such weights are named), or the folder cannot be written; [`ExportError::Stopped`] if
/// `progress` breaks off. Nothing is left behind.
pub fn export(
    checkpoint: &Checkpoint<'_>,
    options: &ExportOptions,
    out: &Path,
    mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Pending, ExportError> {
    let tables = Tables::new(checkpoint, options)?;
    let mut pending = Pending::create(tables, out)?;
    let io = ExportError::io(out);
    let total = pending.report().weights;
    let (mut done, mut bad) = (0, Vec::new());
    let ([.., tokenizer_at, data_at], end) = pending.tables.writer().offsets();
    let file = pending.file.as_file_mut();
    reserve(file, end).map_err(&io)?;
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    writer.seek(SeekFrom::Start(tokenizer_at)).map_err(&io)?;
    writer.write_all(&checkpoint.tokenizer).map_err(&io)?;
    let calibrated = options.calibration.as_ref().zip(checkpoint.architecture.transformer());
    let mut forward = calibrated.map(|(texts, description)| Forward::new(checkpoint, *description, texts));
    for (tensor, entry) in checkpoint.tensors.iter().zip(&pending.tables.entries) {
        let step = |weights| {
            done += weights;
            progress(Progress { tensor: &tensor.source, done, total })
        };
        let at = data_at + entry.offset;
        let feedback =
            forward.as_mut().and_then(|pass| pass.feedback(entry.role, entry.layer, entry.encoding));
        match block::write_tensor(&mut writer, at, tensor, entry, feedback.as_ref(), step).map_err(&io)? {
            ControlFlow::Continue(found) => bad.extend(found),
            ControlFlow::Break(()) => return Err(ExportError::Stopped),
        }
    }
    writer.flush().map_err(&io)?;
    drop(writer);
    if !bad.is_empty() {
        return Err(ExportError::Weights(bad));
    }
    pending.seal()?;
    Ok(pending)
}

/// Makes `file` `len` zeros long; the gaps between the parts of a model stay so.
///
/// Written, not only promised: a full disk says so before the work. And a system that keeps what large writes wrote in huge pages
/// (Linux with large folios) will map those; pieces of a few kilobytes it would keep and map in small ones, and weights are
/// read from these at 20 to 25 % less.
fn reserve(file: &mut File, len: u64) -> io::Result<()> {
    let zeros = vec![0; usize::try_from(len).map_or(HUGE_PAGE, |len| len.min(HUGE_PAGE))];
    for start in (0..len).step_by(HUGE_PAGE) {
        let left = usize::try_from(len - start).unwrap_or(usize::MAX);
        file.write_all(&zeros[..left.min(HUGE_PAGE)])?;
    }
    Ok(())
}
