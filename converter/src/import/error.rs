//! What an importer reports: all problems it found, each with what was expected, what was found and what to do.

use crate::tokenizer::TokenizerFileError;
use std::{fmt, io, path::Path};

/// Why a checkpoint cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be opened or read.
    #[error("{file}: cannot be read: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The checkpoint contradicts itself, or asks for what whit cannot compute.
    #[error("{}", joined(.0))]
    Problems(Vec<Problem>),
    /// The tokenizer's files cannot be taken.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerFileError),
}

impl ImportError {
    /// A system error about `path`.
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { file: path.display().to_string(), source }
    }
}

impl From<Problem> for ImportError {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file.
    pub file: String,
    /// The field or tensor, with its kind: "field `hidden_act`".
    pub subject: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// What to do; may be empty.
    pub remedy: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, subject, expected, found, remedy } = self;
        write!(f, "{file}: {subject}: expected {expected}, found {found}")?;
        if remedy.is_empty() { Ok(()) } else { write!(f, "; {remedy}") }
    }
}

fn joined(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => {
            let lines: Vec<_> = many.iter().map(|problem| format!("\n  {problem}")).collect();
            format!("{} problems:{}", many.len(), lines.concat())
        }
    }
}
