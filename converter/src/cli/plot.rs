//! `whit plot`: the curves of training runs.

use super::failure::Failure;
use super::output::note;
use crate::train::curves::{Run, pictures};
use crate::train::metrics;
use std::fs;
use std::path::{Path, PathBuf};

/// Draw the loss and the learning rate of training runs as SVG
///
/// Reads the metrics.jsonl that `whit train` keeps in its directory, also while the run is under way, and writes loss.svg
/// (training, smoothed, and validation) and learning-rate.svg. Several runs share the pictures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  whit plot poems                          loss.svg and learning-rate.svg in poems
  whit plot poems poems-lstm -o pictures   both runs in one picture")]
pub(super) struct Args {
    /// The directories of the runs
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// The folder for the pictures; by default the first run's directory
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let runs = args.directories.iter().map(|directory| read(directory)).collect::<Result<Vec<_>, _>>()?;
    let folder = args.output.as_ref().unwrap_or(&args.directories[0]);
    let fail = |error| Failure::about(folder)(&format_args!("cannot be written: {error}"));
    fs::create_dir_all(folder).map_err(fail)?;
    for (name, picture) in pictures(&runs) {
        let path = folder.join(name);
        fs::write(&path, picture).map_err(fail)?;
        note(format_args!("{} written", path.display()));
    }
    Ok(())
}

/// A run, by the last component of its path.
fn read(directory: &Path) -> Result<Run, Failure> {
    let file = directory.join(metrics::FILE);
    let about = Failure::about(&file);
    let records = metrics::read(directory).map_err(|error| {
        about(&format_args!("cannot be read: {error}; expected what `whit train` wrote to its directory"))
    })?;
    if records.is_empty() {
        return Err(about(&"expected a step or more, found none; wait until the run has made some"));
    }
    let resolved = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let name = resolved.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok((name.unwrap_or_else(|| "run".to_owned()), records))
}
