//! From a checkpoint to a written file that has no name yet, with progress and an ear for interrupts.

use super::compute::useful_threads;
use super::failure::Failure;
use super::interrupt;
use super::progress::Progress;
use crate::checkpoint::Checkpoint;
use crate::export::{ExportOptions, Pending, export};
use crate::golden;
use clap::{Args, ValueEnum};
use std::ops::ControlFlow;
use std::path::Path;
use whit::format::Encoding;
use whit::threads::ThreadPool;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Weights {
    /// As they are: the reference
    F32,
    /// Half the size
    F16,
    /// A quarter: one scale per row
    Int8,
    /// An eighth: one integer scale per group of columns
    Int4,
}

impl Weights {
    /// The encoding; `group` is that of int4.
    fn encoding(self, group: u16) -> Encoding {
        match self {
            Self::F32 => Encoding::F32,
            Self::F16 => Encoding::F16,
            Self::Int8 => Encoding::I8,
            Self::Int4 => Encoding::I4 { group },
        }
    }
}

/// Columns of an int4 group where the user does not say.
const GROUP: u16 = 32;

/// How to store a model's weights.
#[derive(Args, Clone, Debug)]
pub(super) struct WeightsArgs {
    /// How weights are stored
    #[arg(long, value_name = "ENCODING")]
    pub(super) weights: Option<Weights>,
    /// Columns that share an int4 scale: 16, 32, 64, 128, or 0 for whole rows [default: 32]
    #[arg(long, value_name = "N", value_parser = group)]
    pub(super) group: Option<u16>,
    /// How embedding, positions and output head are stored; by default as the weights, but int8 instead of int4
    #[arg(long, value_name = "ENCODING")]
    pub(super) embedding: Option<Weights>,
}

impl WeightsArgs {
    /// Whether any of them was given.
    pub(super) fn any(&self) -> bool {
        self.weights.is_some() || self.group.is_some() || self.embedding.is_some()
    }

    /// The options of an export; `weights` is the encoding where the user does not say.
    pub(super) fn options(&self, weights: Weights) -> Result<ExportOptions, Failure> {
        let (weights, group) = (self.weights.unwrap_or(weights), self.group.unwrap_or(GROUP));
        if self.group.is_some() && weights != Weights::Int4 && self.embedding != Some(Weights::Int4) {
            return Err(Failure::Usage(
                "--group: only int4 has groups; add --weights int4 or leave it out".into(),
            ));
        }
        Ok(ExportOptions {
            weights: weights.encoding(group),
            embedding: self.embedding.map(|embedding| embedding.encoding(group)),
            ..ExportOptions::default()
        })
    }
}

fn group(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(group @ (0 | 16 | 32 | 64 | 128)) => Ok(group),
        _ => Err("expected 16, 32, 64, 128, or 0 for whole rows".into()),
    }
}

/// Writes `checkpoint` beside `out` and records its golden transcript.
pub(super) fn convert(
    checkpoint: &Checkpoint<'_>,
    mut options: ExportOptions,
    out: &Path,
) -> Result<Pending, Failure> {
    options.golden = golden::shape(&checkpoint.description);
    let mut progress = Progress::new("import");
    let mut pending = export(checkpoint, &options, out, |step| {
        progress.set(step.done, step.total);
        if interrupt::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    drop(progress);
    let threads = useful_threads(pending.report().data_bytes);
    let pool = ThreadPool::new(threads).map_err(|error| format!("cannot start a thread: {error}"))?;
    golden::record(&mut pending, &pool)?;
    interrupt::check()?;
    Ok(pending)
}
