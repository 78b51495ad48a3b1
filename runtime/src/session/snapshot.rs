//! A session's state as bytes: what was read, and what is left of it.

use super::{Session, remember};
use crate::error::Error;
use crate::format::Crc32;
use crate::layout::CacheKind;

/// What stands before the contents of a snapshot: fingerprint of the model (two words), position (two words), tokens
/// remembered, kind of cache, CRC-32 of all that and the contents.
type SnapshotHeader = [u32; 7];

/// Place of the checksum.
const CRC: usize = 6;

const SNAPSHOT_HEADER: usize = size_of::<SnapshotHeader>();

impl Session<'_, '_> {
    /// Bytes that [`Session::save`] writes now.
    pub fn saved_len(&self) -> usize {
        self.len_of(self.position, self.remembered)
    }

    fn len_of(&self, position: usize, remembered: usize) -> usize {
        let mut len = SNAPSHOT_HEADER + 4 * (remembered + self.logits().len());
        self.state.save(position, |part| len += part.len());
        len
    }

    /// Writes the state (tokens, logits, keys and values or recurrent state; not the options) to `out`, for
    /// [`Session::load`] on the same model with the same kind of cache; returns its length. The context may be another,
    /// if it is large enough; without a limit of positions any will do, and the latest tokens that fit are remembered.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] if `out` has fewer than [`Session::saved_len`] bytes.
    pub fn save(&self, out: &mut [u8]) -> Result<usize, Error> {
        let (needed, found) = (self.saved_len(), out.len());
        let out = out.get_mut(..needed).ok_or(Error::BufferTooSmall { needed, found })?;
        let mut at = SNAPSHOT_HEADER;
        let mut write = |part: &[u8]| {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        write(bytemuck::cast_slice(&self.history[..self.remembered]));
        write(bytemuck::cast_slice(self.logits()));
        self.state.save(self.position, write);
        let mut header = self.header(self.position as u64, self.remembered as u32);
        header[CRC] = sealed(&header, &out[SNAPSHOT_HEADER..]);
        out[..SNAPSHOT_HEADER].copy_from_slice(bytemuck::bytes_of(&header));
        Ok(needed)
    }

    /// Replaces the state by one that [`Session::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if it belongs to another model or kind of cache, does not fit the context, or is damaged;
    /// the session is then unchanged.
    pub fn load(&mut self, saved: &[u8]) -> Result<(), Error> {
        let (position, remembered, contents) = self.check_snapshot(saved)?;
        let (ids, mut rest) = contents.split_at(4 * remembered);
        let ids = ids.as_chunks().0;
        // A smaller history takes the latest.
        self.remembered = 0;
        for &id in &ids[ids.len().saturating_sub(self.history.len())..] {
            remember(self.history, &mut self.remembered, &[u32::from_ne_bytes(id)]);
        }
        // The logits may have been drawn from before they were saved.
        (self.position, self.logits_hold) = (position, false);
        let outputs = self.model.architecture().outputs();
        let mut read = |part: &mut [u8]| {
            let (now, then) = rest.split_at(part.len());
            part.copy_from_slice(now);
            rest = then;
        };
        read(bytemuck::cast_slice_mut(&mut self.state.outputs_mut()[..outputs]));
        self.state.load(position, read);
        Ok(())
    }

    /// Position, tokens remembered and contents of a snapshot that this session can take.
    fn check_snapshot<'b>(&self, saved: &'b [u8]) -> Result<(usize, usize, &'b [u8]), Error> {
        let fail = |problem| Error::Snapshot { problem };
        let (header, contents) = saved.split_at_checked(SNAPSHOT_HEADER).ok_or(fail("it is cut short"))?;
        let header: SnapshotHeader = bytemuck::pod_read_unaligned(header);
        let [_, _, low, high, remembered, _, crc] = header;
        let position = u64::from(high) << 32 | u64::from(low);
        if header[..CRC] != self.header(position, remembered)[..CRC] {
            return Err(fail("it was taken from another model or with another kind of cache"));
        }
        let (position, remembered) = (usize::try_from(position).unwrap_or(usize::MAX), remembered as usize);
        if self.is_limited() && position > self.options.context {
            return Err(fail("it holds more positions than this session's context"));
        }
        if crc != sealed(&header, contents) {
            return Err(fail("it is damaged"));
        }
        let is_counted = if self.is_limited() { remembered == position } else { remembered <= position };
        // The first of these keeps the length within what can be counted.
        if remembered > contents.len() || !is_counted || self.len_of(position, remembered) != saved.len() {
            return Err(fail("its length does not follow from its position"));
        }
        let vocabulary = self.model.architecture().vocabulary();
        let ids = contents[..4 * remembered].as_chunks().0;
        if ids.iter().any(|&id| u32::from_ne_bytes(id) >= vocabulary) {
            return Err(fail("a token is not in the vocabulary"));
        }
        Ok((position, remembered, contents))
    }

    /// The header, but for the checksum.
    fn header(&self, position: u64, remembered: u32) -> SnapshotHeader {
        let [low, high] = [position as u32, (position >> 32) as u32];
        let fingerprint = self.model.file().fingerprint();
        let [first, second] = [fingerprint as u32, (fingerprint >> 32) as u32];
        [first, second, low, high, remembered, kind(self.options.cache), 0]
    }
}

/// The number of a kind of cache. 1 was an int8 cache that kept the values' scales instead of their logarithms.
fn kind(cache: CacheKind) -> u32 {
    match cache {
        CacheKind::F32 => 0,
        CacheKind::I8 => 2,
    }
}

/// The checksum of a snapshot.
fn sealed(header: &SnapshotHeader, contents: &[u8]) -> u32 {
    let mut crc = Crc32::default();
    crc.update(bytemuck::cast_slice(&header[..CRC]));
    crc.update(contents);
    crc.value()
}
