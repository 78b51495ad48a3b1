//! Opening a `.whit` file, with messages that name it.

use super::failure::Failure;
use crate::built_in;
use crate::export::Pending;
use crate::map::Map;
use std::path::{Path, PathBuf};
use whit::format::IntegerFile;
use whit::{Error, Model};

/// A mapped file, or the one in the program.
#[derive(Debug)]
pub(super) struct ModelFile {
    path: PathBuf,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Map),
    BuiltIn,
}

impl ModelFile {
    /// Maps the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(Failure::about(path)(
                &"expected a .whit file, found a directory; `whit import` makes one of it",
            ));
        }
        let map = Map::open(path)
            .map_err(|error| Failure::about(path)(&format_args!("cannot be read: {error}")))?;
        Ok(Self { path: path.to_owned(), bytes: Bytes::Mapped(map) })
    }

    /// The model in the program.
    pub(super) fn built_in() -> Self {
        Self { path: built_in::NAME.into(), bytes: Bytes::BuiltIn }
    }

    /// Maps a file that was never given a name; messages call it by the checkpoint `source`. On most systems its
    /// name is gone at once, on others when the process ends or later.
    pub(super) fn unnamed(pending: Pending, source: &Path) -> Result<Self, Failure> {
        let map = Map::open(pending.path())
            .map_err(|error| Failure::about(source)(&format_args!("its import cannot be read: {error}")))?;
        Ok(Self { path: source.to_owned(), bytes: Bytes::Mapped(map) })
    }

    /// Its name in messages and reports.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::BuiltIn => built_in::MODEL,
        }
    }

    /// The model in it.
    pub(super) fn model(&self) -> Result<Model<'_>, Failure> {
        if IntegerFile::is_one(self.bytes()) {
            return Err(
                self.fail(&"it holds a chain of integer layers, which takes frames; `whit apply` runs it")
            );
        }
        Model::parse(self.bytes()).map_err(|error| match error {
            Error::NotWhit => {
                self.fail(&format_args!("{error}; `whit import` makes a .whit file of a checkpoint"))
            }
            error => self.fail(&error),
        })
    }

    /// A failure about this file.
    pub(super) fn fail(&self, problem: &dyn std::fmt::Display) -> Failure {
        Failure::about(&self.path)(problem)
    }
}
