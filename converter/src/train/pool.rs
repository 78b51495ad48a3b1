//! Buffers that are used again: every pass over a shard asks for the same lengths, so after the first one nothing is
//! allocated, cleared or faulted in.

use super::packed::Packed;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

/// Bytes that a buffer begins at a multiple of: a cache line, so that no vector lies across two.
const ALIGNMENT: usize = 64;

/// Some f32 that begin with a cache line.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let data = vec![0.0; len + ALIGNMENT / size_of::<f32>()];
        let start = data.as_ptr().align_offset(ALIGNMENT);
        // Only an interpreter may refuse to align.
        let start = if start + len <= data.len() { start } else { 0 };
        Self { data, start, len }
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.start..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..][..self.len]
    }
}

/// The buffers of one thread that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: HashMap<usize, Vec<Buffer>>,
    packed: Vec<Packed>,
}

impl Pool {
    /// A buffer of `len` numbers, whatever they are.
    pub(super) fn take(&mut self, len: usize) -> Buffer {
        let free = self.free.get_mut(&len).and_then(Vec::pop);
        free.unwrap_or_else(|| Buffer::zeros(len))
    }

    /// A buffer of `len` zeros.
    pub(super) fn zeros(&mut self, len: usize) -> Buffer {
        let mut buffer = self.take(len);
        buffer.fill(0.0);
        buffer
    }

    /// A copy of `values`.
    pub(super) fn copy(&mut self, values: &[f32]) -> Buffer {
        let mut buffer = self.take(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// Takes a buffer back.
    pub(super) fn give(&mut self, buffer: Buffer) {
        if buffer.len > 0 {
            self.free.entry(buffer.len).or_default().push(buffer);
        }
    }

    /// Room to pack the right factor of a product into.
    pub(super) fn take_packed(&mut self) -> Packed {
        self.packed.pop().unwrap_or_default()
    }

    /// Takes such room back.
    pub(super) fn give_packed(&mut self, packed: Packed) {
        self.packed.push(packed);
    }
}
