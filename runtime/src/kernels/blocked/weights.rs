//! The weights that a tile reads, a byte each: unpacked into a buffer, or as the file has them.
#![allow(unsafe_code, reason = "what is written of a buffer that nobody clears")]

use super::{GROUP, STRETCH, Step};
use crate::tensor::LANES;
use core::mem::MaybeUninit;

/// Weights of `R` row blocks, a byte each.
pub(crate) trait Weights<const R: usize>: Copy {
    /// Whether they are as the file has them, so that a tile must flip them itself.
    #[cfg(target_arch = "x86_64")]
    const PACKED: bool;

    /// Steps of each row block.
    fn steps(self) -> usize;

    /// The first `steps` of them: what follows needs no bounds checks.
    fn first(self, steps: usize) -> Self;

    /// One step of row block `r`.
    fn at(&self, step: usize, r: usize) -> &Step;

    /// Steps `4 · four ..` of row block `r`.
    #[cfg(target_arch = "aarch64")]
    fn four(&self, four: usize, r: usize) -> [&Step; 4];
}

/// Unpacked weights.
impl<const R: usize> Weights<R> for &[[Step; R]] {
    #[cfg(target_arch = "x86_64")]
    const PACKED: bool = false;

    #[inline(always)]
    fn steps(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn first(self, steps: usize) -> Self {
        &self[..steps]
    }

    #[inline(always)]
    fn at(&self, step: usize, r: usize) -> &Step {
        &self[step][r]
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn four(&self, four: usize, r: usize) -> [&Step; 4] {
        let [a, b, c, d] = &self.as_chunks().0[four];
        [&a[r], &b[r], &c[r], &d[r]]
    }
}

/// Packed int8 weights.
impl<const R: usize> Weights<R> for [&[Step]; R] {
    #[cfg(target_arch = "x86_64")]
    const PACKED: bool = true;

    #[inline(always)]
    fn steps(self) -> usize {
        self[0].len()
    }

    #[inline(always)]
    fn first(mut self, steps: usize) -> Self {
        for weights in &mut self {
            *weights = &weights[..steps];
        }
        self
    }

    #[inline(always)]
    fn at(&self, step: usize, r: usize) -> &Step {
        &self[r][step]
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn four(&self, four: usize, r: usize) -> [&Step; 4] {
        self[r].as_chunks().0[four].each_ref()
    }
}

/// A stretch of weights, a byte each: `[steps][R]` steps and `[groups][R]` scales.
///
/// Only what was written is read; clearing the rest for every product cost 6 % of a prefill of a 15M model and 23 %
/// of a decoding of a 260K one.
// So that no step lies in two cache lines.
#[repr(align(64))]
pub(crate) struct Unpacked {
    pub(crate) steps: [MaybeUninit<Step>; GROUP * STRETCH / 4],
    pub(crate) scales: [MaybeUninit<[i32; LANES]>; GROUP * STRETCH / 16],
    /// Steps that are written, from the first on.
    pub(crate) written_steps: usize,
    /// Scales that are written, from the first on.
    pub(crate) written_scales: usize,
}

impl Unpacked {
    pub(super) fn new() -> Self {
        Self {
            steps: [const { MaybeUninit::uninit() }; GROUP * STRETCH / 4],
            scales: [const { MaybeUninit::uninit() }; GROUP * STRETCH / 16],
            written_steps: 0,
            written_scales: 0,
        }
    }

    /// What was unpacked of `R` row blocks.
    #[inline(always)]
    pub(crate) fn steps<const R: usize>(&self) -> &[[Step; R]] {
        // SAFETY: that many are written.
        unsafe { self.steps[..self.written_steps].assume_init_ref() }.as_chunks().0
    }

    /// The group scales of `R` row blocks.
    #[inline(always)]
    pub(crate) fn scales<const R: usize>(&self) -> &[[[i32; LANES]; R]] {
        // SAFETY: that many are written.
        unsafe { self.scales[..self.written_scales].assume_init_ref() }.as_chunks().0
    }
}
