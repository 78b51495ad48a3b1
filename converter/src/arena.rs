//! Memory for a session, aligned as the runtime asks.

use memmap2::MmapMut;

/// Zeroed bytes that start at a page. Pages that no one writes cost nothing, and each arena starts afresh: memory from
/// the heap may have to be cleared first, which at the size of a session takes longer than opening a model.
#[derive(Debug)]
pub struct Arena {
    map: MmapMut,
    len: usize,
}

impl Arena {
    /// `len` bytes.
    ///
    /// # Errors
    /// A message with the size, if there is no memory for it.
    pub fn new(len: usize) -> Result<Self, String> {
        // No system maps nothing.
        MmapMut::map_anon(len.max(1))
            .map(|map| Self { map, len })
            .map_err(|_| format!("no memory for a session of {len} bytes; ask for a smaller --context"))
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.map[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whit::format::ALIGNMENT;

    #[test]
    fn an_arena_is_aligned_zeroed_and_as_long_as_asked() {
        for len in [0, 1, 63, 64, 65, 4096, 100_000] {
            let mut arena = Arena::new(len).expect("little memory");
            assert_eq!(arena.bytes().len(), len);
            assert_eq!(arena.bytes().as_ptr().addr() % ALIGNMENT, 0);
            assert!(arena.bytes().iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(Arena::new(usize::MAX).is_err());
        assert!(Arena::new(usize::MAX / 2).is_err());
    }
}
