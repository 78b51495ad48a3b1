//! How fast these threads can read these bytes: the roof over decoding, which reads every weight once per token.

use std::hint::black_box;
use std::time::{Duration, Instant};
use whit::kernels::{Backend, Kernels, WithKernels};
use whit::parallel::{Workers, share};

/// Long enough that starting and stopping do not count.
const AT_LEAST: Duration = Duration::from_millis(100);

/// Passes over a large buffer, of which the best counts.
const PASSES: usize = 8;

/// 10⁹ bytes per second that `workers` read, each its share of `bytes` again and again, in the widest loads that
/// `backend` has, from one place at a time or from several. The best pass counts: what the machine can do, not what
/// disturbed it.
pub(super) fn read_gb_per_s(backend: Backend, bytes: &[u8], workers: &dyn Workers) -> f64 {
    let passes = WAYS.map(|way| best_pass(bytes.len(), || pass(way, backend, bytes, workers)));
    bytes.len() as f64 / passes.into_iter().fold(f64::INFINITY, f64::min) / 1e9
}

/// Seconds of the fastest of several calls of `pass`, which reads `len` bytes.
fn best_pass(len: usize, pass: impl Fn()) -> f64 {
    // Many passes over a small buffer between two looks at the clock.
    let group = (8 << 20) / (len + 1) + 1;
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    let mut groups = 0;
    while groups < PASSES || start.elapsed() < AT_LEAST {
        let begin = Instant::now();
        (0..group).for_each(|_| pass());
        best = best.min(begin.elapsed().as_secs_f64() / group as f64);
        groups += 1;
    }
    best
}

/// One pass of all workers.
fn pass(way: Read, backend: Backend, bytes: &[u8], workers: &dyn Workers) {
    let (steps, _) = bytes.as_chunks::<64>();
    workers.run(&|worker| way(backend, &steps[share(steps.len(), worker, workers.count())]));
}

/// Reads all bytes once, in the widest loads that the backend has.
pub(super) type Read = fn(Backend, &[[u8; 64]]);

/// From one place at a time, from four and from sixteen, and from one with what comes next asked for, far ahead, near or both:
/// which is the fastest is the machine's.
pub(super) const WAYS: [Read; 6] = [
    read::<1, 0, 0>,
    read::<4, 0, 0>,
    read::<16, 0, 0>,
    read::<1, 0, 256>,
    read::<1, 3072, 256>,
    read::<1, 6144, 0>,
];

fn read<const STREAMS: usize, const FAR: usize, const NEAR: usize>(backend: Backend, steps: &[[u8; 64]]) {
    black_box(backend.run(Sum::<STREAMS, FAR, NEAR>(black_box(steps))));
}

/// Adds all words of 32 bits, `STREAMS` stretches of the bytes side by side, and asks for what lies `FAR` and `NEAR` bytes on,
/// where these are not 0.
struct Sum<'a, const STREAMS: usize, const FAR: usize, const NEAR: usize>(&'a [[u8; 64]]);

impl<const STREAMS: usize, const FAR: usize, const NEAR: usize> WithKernels for Sum<'_, STREAMS, FAR, NEAR> {
    type Output = u32;

    fn call<K: Kernels>(self, kernels: K) -> u32 {
        kernels.enter(
            #[inline(always)]
            || sum::<STREAMS, FAR, NEAR>(self.0),
        )
    }
}

#[inline(always)]
fn sum<const STREAMS: usize, const FAR: usize, const NEAR: usize>(steps: &[[u8; 64]]) -> u32 {
    let (pieces, rest) = steps.as_chunks::<STEPS>();
    let len = pieces.len() / STREAMS;
    let streams: [&[[[u8; 64]; STEPS]]; STREAMS] =
        core::array::from_fn(|stream| &pieces[stream * len..][..len]);
    let mut sums = [0; 16 * STEPS];
    for at in 0..len {
        for stream in streams {
            stream[at].iter().for_each(prefetch::<FAR, NEAR>);
            add(&mut sums, stream[at].as_flattened());
        }
    }
    for piece in &pieces[STREAMS * len..] {
        add(&mut sums, piece.as_flattened());
    }
    add(&mut sums, rest.as_flattened());
    sums.iter().fold(0, |total, &sum| total.wrapping_add(sum))
}

/// Steps read together: so many running sums that no addition waits for the one before.
const STEPS: usize = 4;

/// Asks for the step `FAR` bytes on to come near, and for that `NEAR` bytes on to come all the way, wherever they are; where this
/// architecture has no such calls, for nothing.
#[inline(always)]
#[allow(unsafe_code, reason = "a call for the instruction")]
fn prefetch<const FAR: usize, const NEAR: usize>(step: &[u8; 64]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        let at = step.as_ptr().cast::<i8>();
        if FAR > 0 {
            // SAFETY: every core has the instruction, which has no effect on what a program sees.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(FAR)) };
        }
        if NEAR > 0 {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(NEAR)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = step;
}

/// One loop over all sums: of one in another, over steps and their words, compilers made gathers of every sixteenth word, and
/// caches seemed a third as fast as they are.
#[inline(always)]
fn add(sums: &mut [u32; 16 * STEPS], bytes: &[u8]) {
    for (sum, &word) in sums.iter_mut().zip(bytes.as_chunks().0) {
        *sum = sum.wrapping_add(u32::from_le_bytes(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 71 steps: one whole round of sixteen streams of four, and seven over.
    #[test]
    fn every_word_is_read_by_every_backend() {
        let mut steps = vec![[0u8; 64]; 71];
        for (i, step) in steps.iter_mut().enumerate() {
            step.fill(i as u8 + 1);
        }
        // Step i holds sixteen words of four bytes i + 1.
        let expected = (1..=71u32).fold(0u32, |sum, i| sum.wrapping_add((i * 0x0101_0101).wrapping_mul(16)));
        for backend in Backend::available() {
            assert_eq!(backend.run(Sum::<1, 0, 0>(&steps)), expected, "{}", backend.name());
            assert_eq!(backend.run(Sum::<4, 0, 0>(&steps)), expected, "{}", backend.name());
            assert_eq!(backend.run(Sum::<16, 0, 0>(&steps)), expected, "{}", backend.name());
            assert_eq!(backend.run(Sum::<1, 128, 64>(&steps)), expected, "{}", backend.name());
        }
    }
}
