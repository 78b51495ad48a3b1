//! `metrics.jsonl`: what a run measured, one JSON object a line, in the order of the steps.

use super::files::write_whole;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The name of the file.
pub const FILE: &str = "metrics.jsonl";

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The steps since the record before.
    Training {
        /// Steps done.
        step: u64,
        /// Tokens trained on, from the first step on.
        tokens: u64,
        /// Mean of −ln p(token) over these steps, with what smoothing and dropout make of it.
        loss: f64,
        /// Of the last of these steps.
        learning_rate: f64,
        /// Of the last of these steps, before clipping.
        gradient_norm: f64,
        /// Speed over these steps, by the wall clock.
        tokens_per_s: f64,
        /// Since the run began, by the wall clock; pauses between resumed runs are left out.
        seconds: f64,
    },
    /// How well the model predicts text that it does not learn from.
    Validation {
        /// Steps done.
        step: u64,
        /// Mean of −ln p(token).
        loss: f64,
        /// The same per byte of text, in bits.
        bits_per_byte: f64,
        /// Whether no earlier one was better.
        best: bool,
    },
    /// The same for the best model on the text that was kept for the end.
    Test {
        /// Steps done when that model was saved.
        step: u64,
        /// Mean of −ln p(token).
        loss: f64,
        /// The same per byte of text, in bits.
        bits_per_byte: f64,
    },
}

impl Record {
    /// Steps that were done.
    pub fn step(&self) -> u64 {
        match *self {
            Self::Training { step, .. } | Self::Validation { step, .. } | Self::Test { step, .. } => step,
        }
    }
}

/// The records of a run's directory. A last line that a killed process did not finish is left out.
///
/// # Errors
/// If the file cannot be read, or a line is none of the records; the message names the line.
pub fn read(directory: &Path) -> io::Result<Vec<Record>> {
    let text = std::fs::read_to_string(directory.join(FILE))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let record = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", number + 1))
        })
    };
    whole.lines().enumerate().map(record).collect()
}

/// The file of a run under way.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    seconds: f64,
}

impl Log {
    /// Goes on with the file in `directory`, or begins it; what steps after `step` said is dropped, because they will be
    /// done again.
    pub(super) fn open(directory: &Path, step: u64) -> io::Result<Self> {
        let path = directory.join(FILE);
        let kept = if path.exists() { read(directory)? } else { Vec::new() };
        let is_kept = |record: &&Record| record.step() <= step && !matches!(record, Record::Test { .. });
        let kept: Vec<&Record> = kept.iter().filter(is_kept).collect();
        let lines = kept.iter().map(|record| line(record)).collect::<io::Result<Vec<_>>>()?;
        write_whole(&path, lines.concat().as_bytes())?;
        let seconds = kept.iter().rev().find_map(|record| match record {
            Record::Training { seconds, .. } => Some(*seconds),
            _ => None,
        });
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { file, seconds: seconds.unwrap_or(0.0) })
    }

    /// How long the run took until its last record that was kept.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Adds a line, in one piece.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        self.file.write_all(line(record)?.as_bytes())
    }
}

fn line(record: &Record) -> io::Result<String> {
    Ok(serde_json::to_string(record)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validation(step: u64) -> Record {
        Record::Validation { step, loss: 2.0, bits_per_byte: 2.9, best: true }
    }

    #[test]
    fn a_resumed_log_forgets_what_will_be_done_again() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let mut log = Log::open(folder.path(), 0).expect("opens");
        for step in [10, 20, 30] {
            log.append(&validation(step)).expect("written");
        }
        log.append(&Record::Test { step: 20, loss: 2.0, bits_per_byte: 2.9 }).expect("written");
        assert_eq!(read(folder.path()).expect("whole").len(), 4);
        let mut log = Log::open(folder.path(), 20).expect("opens");
        log.append(&validation(25)).expect("written");
        assert_eq!(read(folder.path()).expect("whole"), [validation(10), validation(20), validation(25)]);
    }

    #[test]
    fn an_unfinished_last_line_is_left_out_and_a_wrong_one_named() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let whole = line(&validation(10)).expect("JSON");
        std::fs::write(folder.path().join(FILE), format!("{whole}{{\"kind\":\"vali")).expect("written");
        assert_eq!(read(folder.path()).expect("one is whole"), [validation(10)]);
        std::fs::write(folder.path().join(FILE), format!("{whole}{{}}\n{whole}")).expect("written");
        let error = read(folder.path()).expect_err("line 2 is no record");
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }
}
