//! `whit verify`: everything that can be proved about a file.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{note, print, print_json};
use crate::verify::{Check, Status, verify};
use std::path::PathBuf;

/// Prove that a file is whole: structure, checksums, tokenizer, numbers, and its golden transcript on every backend
///
/// JSON keys: file, ok, checks (name, status: ok, failed or absent, detail).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit file
    file: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report {
    file: String,
    ok: bool,
    checks: Vec<Check>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let file = ModelFile::open(&args.file)?;
    let (mut checks, mut printed) = (Vec::new(), Ok(()));
    verify(file.bytes(), |check| {
        if !args.json && printed.is_ok() {
            printed = print(line(&check));
        }
        checks.push(check);
    });
    let failed = checks.iter().filter(|check| check.status == Status::Failed).count();
    let report = Report { file: file.name(), ok: failed == 0, checks };
    if args.json {
        printed = print_json(&report);
    }
    if failed > 0 {
        note(format_args!("error: {}: {failed} of {} checks failed", report.file, report.checks.len()));
        return Err(Failure::Reported);
    }
    printed
}

fn line(check: &Check) -> String {
    let status = match check.status {
        Status::Ok => "ok",
        Status::Failed => "FAILED",
        Status::Absent => "absent",
    };
    format!("{status:<6}  {:<24}  {}\n", check.name, check.detail)
}
