//! Loops compiled for the vectors of the machine that runs them, chosen at run time: no flags, no unsafe code here.
//!
//! Bits do not depend on the choice: nothing is contracted that is not written as a fused multiply-add, reductions run
//! in 16 lanes whatever the vectors' width, and the elementary functions are the runtime's.

use pulp::Arch;
use std::sync::LazyLock;
use whit::kernels::lanes::fold;
use whit::tensor::LANES;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// What the machine can do.
pub(super) fn arch() -> Arch {
    *ARCH
}

/// Runs `job` compiled for the machine's vectors; it must be `#[inline(always)]`, and all that it calls.
#[inline(always)]
pub(super) fn vectorized<R>(job: impl FnOnce() -> R) -> R {
    arch().dispatch(job)
}

/// Σ f(i) for `i` below `len`: element `i` in lane `i mod 16`, then the runtime's fixed tree.
#[inline(always)]
pub(super) fn sum_by(len: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = len / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            lanes[l] += f(start + l);
        }
    }
    for i in whole..len {
        lanes[i % LANES] += f(i);
    }
    fold(lanes)
}

/// Σ aᵢ bᵢ in 16 lanes; the slices must be equally long.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let b = &b[..a.len()];
    sum_by(
        a.len(),
        #[inline(always)]
        |i| a[i] * b[i],
    )
}

/// The largest element; −∞ for none.
#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            lanes[l] = if chunk[l] > lanes[l] { chunk[l] } else { lanes[l] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most })
}
