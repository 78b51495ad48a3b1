//! Packed matrices as vectors take them: 16 rows × 4 columns at a time, and their activations.

/// Weights of 16 rows × 4 columns, `[16][4]`.
pub(super) type Step = [u8; 64];

/// The activations of one token, four columns (a step) at a time.
pub(super) type Quads<'a> = &'a [[i8; 4]];

/// Weights of `R` row blocks, a byte each.
pub(super) trait Weights<const R: usize>: Copy {
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
    #[cfg(any(target_arch = "aarch64", target_feature = "simd128"))]
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

    #[cfg(any(target_arch = "aarch64", target_feature = "simd128"))]
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

    #[cfg(any(target_arch = "aarch64", target_feature = "simd128"))]
    #[inline(always)]
    fn four(&self, four: usize, r: usize) -> [&Step; 4] {
        self[r].as_chunks().0[four].each_ref()
    }
}
