//! What a measurement ran on, and in which state that was before and after: part of every result.
//!
//! Everything is read from files under a root, `/` on a running system, so that recorded trees can be read as well.
//! What a system does not tell is `None`, never a guess.

mod conditions;
mod identity;

pub use conditions::{Conditions, Throttling};
pub use identity::Machine;

use std::path::{Path, PathBuf};

/// Where the files of a system lie.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Default for Root {
    /// The running system.
    fn default() -> Self {
        Self::at("/")
    }
}

impl Root {
    /// A tree recorded at `path`.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }

    /// The text of a file, without white space and zero bytes around it.
    fn text(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.path(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The number that is the first word of a file.
    fn number(&self, path: &str) -> Option<f64> {
        self.text(path)?.split_whitespace().next()?.parse().ok()
    }

    /// Names in a folder that begin with `start`, sorted; none if there is no such folder.
    fn names(&self, folder: &str, start: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(start)).collect();
        names.sort();
        names
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

/// `name : value` lines of a file such as `/proc/cpuinfo`: the first value of each name that is asked for.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    fields(text, name).next()
}

/// All values of `name`.
fn fields<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name && !value.trim().is_empty()).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests;
