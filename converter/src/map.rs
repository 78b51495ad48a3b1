//! A file as bytes, without reading it: pages come in when they are touched and leave when memory is short.
//!
//! As with every memory map, another process that cuts the file short while it is mapped kills this one; one that
//! writes to it changes the numbers that are read. Both need a program that edits a checkpoint during its import.

use memmap2::Mmap;
use std::{fs::File, io, ops::Deref, ops::Range, path::Path};

/// A read-only memory map of a whole file.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// If it cannot be opened or mapped, or is not a regular file: a pipe or a device has no length to map.
    #[allow(unsafe_code, reason = "the system promises nothing about who else writes to the file")]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Asked before opening: opening a pipe would wait for its writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        // SAFETY: the map is read-only and private to this value, and a regular file is mapped. That nobody changes or
        // shortens the file meanwhile is beyond this program; its bytes are read as plain numbers whose every value
        // is harmless, so that a writer spoils results, and one that shortens the file ends the process.
        let map = unsafe { Mmap::map(&file)? };
        // What is not in memory yet comes in huge pages then, where the file system has them: reading weights from them is a
        // quarter faster. Advice that the system does not take costs nothing.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self(map))
    }

    /// Gives back the memory of the pages that hold `range`; reading them again brings them in again. Without this, a
    /// program that reads a whole map once counts all of it as its own until memory is short.
    #[allow(unsafe_code, reason = "advice about pages that may lose what was written to them")]
    pub(crate) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            // SAFETY: `DontNeed` loses changes that are not in the file, and a read-only map has none.
            let released = unsafe {
                self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
            };
            // Advice that the system does not take costs memory, not correctness.
            drop(released);
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_missing_file_are_errors() {
        let folder = std::env::temp_dir();
        assert_eq!(Map::open(&folder).expect_err("a folder").kind(), io::ErrorKind::InvalidInput);
        let missing = folder.join("there is no such file.whit");
        assert_eq!(Map::open(&missing).expect_err("missing").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn an_empty_file_is_no_bytes() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(Map::open(file.path()).expect("mapped").len(), 0);
    }
}
