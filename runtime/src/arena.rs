//! The caller's memory: aligned bytes for files and arenas, and how an arena is carved into typed parts.

use crate::error::Error;
use crate::format::ALIGNMENT;
use bytemuck::Pod;

/// Bytes that start at a multiple of 64, as a file and an arena must. [`crate::include_model!`] makes one.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

impl<const N: usize> core::ops::Deref for Aligned<[u8; N]> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> core::ops::DerefMut for Aligned<[u8; N]> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const N: usize> Aligned<[u8; N]> {
    /// `N` zeros: an arena on the stack or in a `static`.
    pub const fn zeroed() -> Self {
        Self([0; N])
    }
}

/// Includes a `.whit` file in the program as a `&'static [u8]` that starts at a multiple of 64.
///
/// # Example
/// ```ignore
/// static MODEL: &[u8] = whit::include_model!("poems.whit");
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        const BYTES: &$crate::Aligned<[u8; include_bytes!($path).len()]> =
            &$crate::Aligned(*include_bytes!($path));
        const SLICE: &[u8] = &BYTES.0;
        SLICE
    }};
}

/// Bytes that a part of `len` elements of `size` bytes takes in an arena; saturates, so that what cannot be
/// addressed is simply too large for every arena.
// Once in a program, for all that layouts ask it.
#[inline(never)]
pub(crate) const fn part_len(len: usize, size: usize) -> usize {
    len.saturating_mul(size).div_ceil(ALIGNMENT).saturating_mul(ALIGNMENT)
}

/// Takes typed parts off the front of an arena, each at a multiple of 64.
#[derive(Debug)]
pub(crate) struct Carver<'a> {
    rest: &'a mut [u8],
}

impl<'a> Carver<'a> {
    /// # Errors
    /// [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what is needed.
    pub(crate) fn new(arena: &'a mut [u8], needed: usize) -> Result<Self, Error> {
        let found = arena.len();
        let excess = arena.as_ptr().addr() % ALIGNMENT;
        if excess != 0 {
            return Err(Error::Misaligned { part: "the arena", excess });
        }
        let rest = arena.get_mut(..needed).ok_or(Error::ArenaTooSmall { needed, found })?;
        Ok(Self { rest })
    }

    /// The next `len` elements.
    ///
    /// # Panics
    /// If the arena ends before: the layout that sized it is not the one that carves it.
    pub(crate) fn take<T: Pod>(&mut self, len: usize) -> &'a mut [T] {
        let rest = core::mem::take(&mut self.rest);
        let (part, rest) = rest.split_at_mut(part_len(len, size_of::<T>()));
        self.rest = rest;
        bytemuck::cast_slice_mut(&mut part[..len * size_of::<T>()])
    }

    /// Bytes not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}
