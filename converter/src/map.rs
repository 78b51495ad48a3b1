//! A file as bytes, without reading it: pages come in when they are touched and leave when memory is short.

use memmap2::Mmap;
use std::{fs::File, io, ops::Deref, path::Path};

/// A read-only memory map of a whole file.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps the file at `path`. As with every memory map, the process dies if the file is cut short while mapped.
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    #[allow(unsafe_code)]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the map is private to this value and read-only. Another process that writes to the file can
        // change the numbers that are read, which are plain bytes that every reader checks or may be anything.
        Ok(Self(unsafe { Mmap::map(&file)? }))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
