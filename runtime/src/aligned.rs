//! Bytes on the heap that start at a multiple of 64 (feature `std`): arenas and files in memory, for hosts.
#![allow(unsafe_code, reason = "the standard vector cannot be told an alignment")]

use crate::format::ALIGNMENT;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// A buffer of fixed length, zeroed, aligned as files and arenas must be. Pages that are never touched cost nothing.
#[derive(Debug)]
pub struct AlignedBytes {
    data: NonNull<u8>,
    len: usize,
}

// SAFETY: the buffer is owned, like that of a `Vec<u8>`.
unsafe impl Send for AlignedBytes {}
// SAFETY: shared access only reads, like that of a `Vec<u8>`.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// `len` zeros.
    ///
    /// # Panics
    /// If `len` exceeds what can be addressed.
    pub fn zeroed(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not 0.
        let data = unsafe { alloc_zeroed(layout) };
        let data = NonNull::new(data).unwrap_or_else(|| handle_alloc_error(layout));
        Self { data, len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len.max(1), ALIGNMENT).expect("a length that can be addressed")
    }
}

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with the same layout, and not used any more.
        unsafe { dealloc(self.data.as_ptr(), Self::layout(self.len)) }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes were allocated and zeroed; they are borrowed as `self` is.
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.copy_from_slice(bytes);
        aligned
    }
}

impl Clone for AlignedBytes {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}
