//! Memory for a session on the heap, aligned as the runtime asks.

use whit::format::ALIGNMENT;

/// Zeroed bytes that start at a multiple of 64. Pages that no one writes cost nothing where the system maps them
/// lazily.
#[derive(Debug)]
pub struct Arena {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Arena {
    /// `len` bytes.
    ///
    /// # Errors
    /// A message with the size, if there is no memory for it.
    pub fn new(len: usize) -> Result<Self, String> {
        let whole = len.saturating_add(ALIGNMENT);
        // An allocation that cannot be must be an error, and a zeroed one must stay lazy; no one call does both.
        let mut trial = Vec::<u8>::new();
        trial
            .try_reserve_exact(whole)
            .map_err(|_| format!("no memory for a session of {len} bytes; ask for a smaller --context"))?;
        drop(std::hint::black_box(trial));
        let bytes = vec![0; whole];
        let start = bytes.as_ptr().addr().wrapping_neg() % ALIGNMENT;
        Ok(Self { bytes, start, len })
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_aligned_and_as_long_as_asked() {
        for len in [0, 1, 63, 64, 65, 4096, 100_000] {
            let mut arena = Arena::new(len).expect("little memory");
            assert_eq!(arena.bytes().len(), len);
            assert_eq!(arena.bytes().as_ptr().addr() % ALIGNMENT, 0);
        }
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(Arena::new(usize::MAX).is_err());
        assert!(Arena::new(usize::MAX / 2).is_err());
    }
}
