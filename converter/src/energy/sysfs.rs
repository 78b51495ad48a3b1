//! Files of the kernel that hold one number each, below a root that tests replace.

use super::EnergyError;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file system as this machine shows it, or as another did.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Default for Tree {
    /// This machine's.
    fn default() -> Self {
        Self::at(Path::new("/"))
    }
}

impl Tree {
    /// One that starts at `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where an absolute path is.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Whether this is the machine itself: devices are opened and programs run only there.
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The entries of a directory whose names start with `prefix`, in the order of their numbers; none if there is no
    /// such directory.
    pub fn entries(&self, absolute: &str, prefix: &str) -> Vec<PathBuf> {
        entries(&self.path(absolute), prefix)
    }
}

/// As [`Tree::entries`].
pub(super) fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        folder.flatten().map(|entry| entry.path()).filter(|path| name(path).starts_with(prefix)).collect();
    // hwmon10 comes after hwmon2.
    paths.sort_by_key(|path| (name(path).len(), name(path)));
    paths
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The text of a file, without white space around it; `None` if there is no such file, or an empty one.
pub(super) fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The number in a file.
pub(super) fn number<N: FromStr>(path: &Path, remedy: &str) -> Result<N, EnergyError> {
    let text = fs::read_to_string(path).map_err(EnergyError::reading(path, remedy))?;
    let text = text.trim();
    text.parse()
        .map_err(|_| EnergyError::nonsense(path.display(), format!("expected a number, found `{text}`")))
}
