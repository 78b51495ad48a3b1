//! How a command ends when it does not succeed.

use super::output::note;
use crate::emulated::EmulatedError;
use crate::energy::EnergyError;
use crate::export::ExportError;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Why a command stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It could not do its work; the message names the file and what to do. Exit code 1.
    Failed(String),
    /// It was asked for what does not exist. Exit code 2.
    Usage(String),
    /// Nothing there measures energy, or it may not be read; the message says what was looked for. Exit code 3.
    NoSource(String),
    /// A program that the work needs is not installed; the message says how it comes here. Exit code 4.
    Missing(String),
    /// Whoever read stdout has seen enough. Exit code 0.
    Closed,
    /// The report that was printed says it all. Exit code 1.
    Reported,
    /// The user broke off. Exit code 130, as shells have it.
    Interrupted,
    /// The same, but what was done is saved; the message says where.
    Saved(String),
}

impl Failure {
    /// A failure about the file at `path`.
    pub(super) fn about(path: &Path) -> impl Fn(&dyn Display) -> Self {
        let path = path.display().to_string();
        move |problem| Self::Failed(format!("{path}: {problem}"))
    }

    /// A failure to write to stdout.
    pub(super) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Failed(format!("standard output: cannot be written: {error}"))
        }
    }

    /// Tells the user, and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        let (code, message) = match self {
            Self::Failed(message) => (1, message),
            Self::Usage(message) => (2, message),
            Self::NoSource(message) => (3, message),
            Self::Missing(message) => (4, message),
            Self::Closed => return ExitCode::SUCCESS,
            Self::Reported => return ExitCode::FAILURE,
            Self::Interrupted => (super::interrupt::EXIT_CODE, "interrupted; nothing was written".to_owned()),
            Self::Saved(message) => (super::interrupt::EXIT_CODE, format!("interrupted; {message}")),
        };
        note(format_args!("error: {message}"));
        ExitCode::from(code)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Stopped => Self::Interrupted,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<EnergyError> for Failure {
    fn from(error: EnergyError) -> Self {
        let message = error.to_string();
        match error {
            EnergyError::Absent(_) | EnergyError::Denied { .. } => {
                Self::NoSource(message.trim_end().to_owned())
            }
            EnergyError::Usage(_) => Self::Usage(message),
            _ => Self::Failed(message),
        }
    }
}

impl From<EmulatedError> for Failure {
    fn from(error: EmulatedError) -> Self {
        match error {
            EmulatedError::Missing { .. } => Self::Missing(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}
