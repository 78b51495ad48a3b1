//! Why nothing was counted.

use thiserror::Error;

/// Why a model cannot be counted on an emulated core.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmulatedError {
    /// Something that is needed is not installed.
    #[error("{core} cannot be emulated:{}", list(.missing))]
    Missing {
        /// The core.
        core: &'static str,
        /// What is missing, all of it.
        missing: Vec<Missing>,
    },
    /// The model does not fit the board.
    #[error("{file}: does not fit {machine} ({core}): {what} takes {needed} bytes, {available} are there")]
    TooLarge {
        /// The model's file.
        file: String,
        /// The board.
        machine: &'static str,
        /// Its core.
        core: &'static str,
        /// What does not fit.
        what: &'static str,
        /// Bytes that it takes, or at least these.
        needed: u64,
        /// Bytes that are there.
        available: u64,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A program, a part of Rust, or sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: String,
    /// How it comes here.
    pub remedy: String,
}

impl Missing {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(|Missing { what, remedy }| format!("\n  {what} is missing: {remedy}")).collect()
}

impl From<String> for EmulatedError {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}
