//! One suite for every backend: each operation on named edge sizes must give the bits that [`Scalar`](super::Scalar) gives.
//!
//! No std, no alloc: the caller lends the memory, so the same source runs in `cargo test`, under emulation and on
//! a device. A case that does not fit the memory is reported, never passed over in silence. That `Scalar` itself
//! computes what is meant is proved in `conformance/reference.rs`, against plain sums in i64.

mod attention;
mod cases;
mod floats;
mod integers;
#[cfg(test)]
mod reference;

use super::Kernels;
pub use cases::{Fill, Random};
use core::fmt;

/// Bytes of memory with which [`run`] leaves out no case.
pub const ROOM: usize = 256 * 1024;

/// The first difference found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The operation.
    pub name: &'static str,
    /// Rows of the matrix, or 1.
    pub rows: usize,
    /// Columns of the matrix, or the length of the vector.
    pub cols: usize,
    /// Columns that share a scale, 0 where there are none.
    pub group: usize,
    /// Tokens, or 1.
    pub tokens: usize,
    /// Which element of the output differs.
    pub index: usize,
    /// Its bits as the backend computes it.
    pub found: u32,
    /// Its bits as `Scalar` computes it.
    pub expected: u32,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rows, cols, group, tokens, index, found, expected } = self;
        write!(
            f,
            "{name}: {rows} rows, {cols} columns, group {group}, {tokens} tokens: element {index} is \
             {found:#010x}, expected {expected:#010x}"
        )
    }
}

impl core::error::Error for Mismatch {}

/// Compares every operation of `kernels` with `Scalar`'s; `report` hears of what was left out for want of room.
///
/// # Errors
/// The first element whose bits differ.
pub fn run<K: Kernels>(kernels: K, room: &mut [u64], mut report: impl FnMut(&str)) -> Result<(), Mismatch> {
    integers::run(kernels, room, &mut report)?;
    floats::run(kernels, room, &mut report)?;
    attention::run(kernels, room, &mut report)
}

/// Takes pieces of the caller's memory one after the other.
struct Room<'a>(&'a mut [u64]);

impl<'a> Room<'a> {
    /// The next `len` values, whatever they hold, or `None` if the memory is used up.
    fn take<T: bytemuck::Pod>(&mut self, len: usize) -> Option<&'a mut [T]> {
        let words = (len * size_of::<T>()).div_ceil(8);
        if words > self.0.len() {
            return None;
        }
        let (taken, rest) = core::mem::take(&mut self.0).split_at_mut(words);
        self.0 = rest;
        Some(&mut bytemuck::cast_slice_mut(taken)[..len])
    }
}

/// Index and bits of the first difference. Any NaN equals any NaN: IEEE 754 leaves its bits open.
fn difference(found: &[f32], expected: &[f32]) -> Option<(usize, u32, u32)> {
    found.iter().zip(expected).enumerate().find_map(|(i, (a, b))| {
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        (!same).then_some((i, a.to_bits(), b.to_bits()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Backend, Scalar, WithKernels};
    use std::vec;

    struct Suite;

    impl WithKernels for Suite {
        type Output = ();
        fn call<K: Kernels>(self, kernels: K) {
            let mut room = vec![0; ROOM / 8];
            let mut left_out = 0;
            run(kernels, &mut room, |_| left_out += 1).unwrap_or_else(|m| panic!("{}: {m}", K::NAME));
            assert_eq!(left_out, 0, "ROOM is enough for every case");
        }
    }

    #[test]
    fn every_backend_here_agrees_with_scalar() {
        let mut names = vec![];
        for backend in Backend::available() {
            names.push(backend.name());
            backend.run(Suite);
        }
        std::println!("backends: {names:?}");
    }

    /// Every remainder after whole vectors, lines and spans.
    struct EveryLength;

    impl WithKernels for EveryLength {
        type Output = ();
        fn call<K: Kernels>(self, kernels: K) {
            let mut room = vec![0; ROOM / 8];
            floats::vectors_of(1..=300, kernels, &mut room, &mut |message| panic!("{message}"))
                .unwrap_or_else(|mismatch| panic!("{}: {mismatch}", K::NAME));
        }
    }

    #[test]
    fn operations_on_vectors_agree_with_scalar_at_every_length() {
        Backend::available().for_each(|backend| backend.run(EveryLength));
    }

    #[test]
    fn cases_without_room_are_reported() {
        let mut room = [0; 64];
        let mut left_out = 0;
        assert_eq!(run(Scalar, &mut room, |_| left_out += 1), Ok(()));
        assert!(left_out > 0);
    }
}
