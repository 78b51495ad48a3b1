//! Device trees from text: a line `path: contents` for each file.

use std::fs;
use std::path::Path;
use tempfile::TempDir;
use whit_converter::energy::sysfs::Tree;

/// A tree in a directory that vanishes with it.
pub(crate) struct Recorded {
    folder: TempDir,
}

impl Recorded {
    pub(crate) fn of(text: &str) -> Self {
        let recorded = Self { folder: tempfile::tempdir().unwrap() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (path, contents) = line.split_once(": ").unwrap_or_else(|| panic!("no contents: {line}"));
            recorded.set(path, contents);
        }
        recorded
    }

    /// Writes a file as the kernel shows it.
    pub(crate) fn set(&self, path: &str, contents: &str) {
        let path = self.folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{contents}\n")).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path.trim_start_matches('/'))).unwrap();
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::at(self.root())
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }
}
