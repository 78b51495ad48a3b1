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

/// Sixteen numbers: loops over them become whole vectors, where loops over many slices at once stay scalar, because
/// compilers do not see that the slices are apart.
pub(super) type Lanes = [f32; LANES];

/// f(l) for every lane.
#[inline(always)]
pub(super) fn lanes(mut f: impl FnMut(usize) -> f32) -> Lanes {
    let mut lanes = [0.0; LANES];
    for l in 0..LANES {
        lanes[l] = f(l);
    }
    lanes
}

/// f of every lane. (`map` of arrays may stay a call, and then is not compiled for the vectors.)
#[inline(always)]
pub(super) fn each(x: Lanes, f: impl Fn(f32) -> f32) -> Lanes {
    lanes(
        #[inline(always)]
        |l| f(x[l]),
    )
}

/// Elements `at ..` of `x`, zeros beyond the last.
#[inline(always)]
pub(super) fn load(x: &[f32], at: usize) -> Lanes {
    if let Some(lanes) = x[at..].first_chunk() {
        return *lanes;
    }
    let mut lanes = [0.0; LANES];
    lanes[..x.len() - at].copy_from_slice(&x[at..]);
    lanes
}

/// Writes `lanes` to elements `at ..` of `x`, as far as there are.
#[inline(always)]
pub(super) fn save(x: &mut [f32], at: usize, lanes: Lanes) {
    if let Some(own) = x[at..].first_chunk_mut() {
        *own = lanes;
    } else {
        let len = x.len() - at;
        x[at..].copy_from_slice(&lanes[..len]);
    }
}

/// Σ f(i) for `i` below `len`: element `i` in lane `i mod 16`, then the runtime's fixed tree.
#[inline(always)]
pub(super) fn sum_by(len: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let whole = len / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            sums[l] += f(start + l);
        }
    }
    for i in whole..len {
        sums[i % LANES] += f(i);
    }
    fold(sums)
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
    largest_by(x, |x| x)
}

/// The largest f(x); −∞ for none.
#[inline(always)]
pub(super) fn largest_by(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            let value = f(chunk[l]);
            lanes[l] = if value > lanes[l] { value } else { lanes[l] };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        let value = f(x);
        *lane = if value > *lane { value } else { *lane };
    }
    lanes.iter().fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most })
}
