//! What becomes of a checkpoint that an importer took.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use whit::format::Encoding;
use whit::{AlignedBytes, Model};
use whit_converter::checkpoint::Checkpoint;
use whit_converter::export::{ExportError, ExportOptions, export};

/// A folder that vanishes with the program.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    ///
    /// # Panics
    /// If the system cannot make one.
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, over the one that had its name.
    ///
    /// # Panics
    /// If the system cannot.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).expect("the folder can be written");
        path
    }
}

/// Exports in several encodings; what comes out must be a file that a runtime takes.
///
/// # Panics
/// If it is not, or for an error that only a mistake of the importer explains.
pub fn export_all(checkpoint: &Checkpoint<'_>, folder: &Path) {
    for weights in [Encoding::F32, Encoding::F16, Encoding::I8, Encoding::I4 { group: 16 }] {
        let options = ExportOptions { weights, ..ExportOptions::default() };
        match export(checkpoint, &options, &folder.join("out.whit"), |_| ControlFlow::Continue(())) {
            Ok(pending) => {
                let bytes = fs::read(pending.path()).expect("it was just written");
                let bytes = AlignedBytes::from(&bytes[..]);
                let model = Model::parse(&bytes).expect("an export is a file");
                model.file().verify_payload().expect("an export has its checksum");
            }
            // Numbers that an encoding cannot hold are the checkpoint's.
            Err(ExportError::Weights(_) | ExportError::TooWide { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
