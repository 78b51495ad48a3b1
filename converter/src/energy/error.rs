//! Why energy could not be measured.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a source cannot be opened or read, or a recording not understood.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnergyError {
    /// Nothing there measures energy.
    #[error("{0}")]
    Absent(String),
    /// A source is there, but this user may not read it.
    #[error("{}: permission denied; {remedy}", path.display())]
    Denied {
        /// What may not be read.
        path: PathBuf,
        /// What to run.
        remedy: String,
    },
    /// A source was named in a way that means nothing.
    #[error("{0}")]
    Usage(String),
    /// Reading failed.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was read makes no sense.
    #[error("{place}: {problem}")]
    Nonsense {
        /// File, and line and column where there are any.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

impl EnergyError {
    /// That `place` holds what makes no sense.
    pub fn nonsense(place: impl ToString, problem: impl ToString) -> Self {
        Self::Nonsense { place: place.to_string(), problem: problem.to_string() }
    }

    /// That reading `path` failed; `remedy` is for those who lack permission.
    pub(crate) fn reading<'a>(path: &'a Path, remedy: &'a str) -> impl Fn(io::Error) -> Self + 'a {
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path: path.into(), remedy: remedy.to_owned() },
            _ => Self::Io { path: path.into(), source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lacks_permission_is_told_what_to_run() {
        let failed = EnergyError::reading(Path::new("/sys/energy_uj"), "sudo chmod a+r /sys/energy_uj");
        let denied = failed(io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.to_string(), "/sys/energy_uj: permission denied; sudo chmod a+r /sys/energy_uj");
        assert!(matches!(failed(io::ErrorKind::NotFound.into()), EnergyError::Io { .. }));
    }
}
