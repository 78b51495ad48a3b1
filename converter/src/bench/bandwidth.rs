//! How fast these threads can read these bytes: the roof over decoding, which reads every weight once per token.

use std::hint::black_box;
use std::time::{Duration, Instant};
use whit::kernels::{Backend, Kernels, WithKernels};
use whit::parallel::{Workers, share};

/// Long enough that starting and stopping do not count.
const AT_LEAST: Duration = Duration::from_millis(200);

/// 10⁹ bytes per second that `workers` read, each its share of `bytes` again and again, in the widest loads that
/// `backend` has. The best pass counts: what the machine can do, not what disturbed it.
pub(super) fn read_gb_per_s(backend: Backend, bytes: &[u8], workers: &dyn Workers) -> f64 {
    let (words, _) = bytes.as_chunks::<64>();
    // Many passes over a small buffer, so that handing out the work does not count.
    let passes = (32 << 20) / (bytes.len() + 1) + 1;
    let (start, mut best) = (Instant::now(), Duration::MAX);
    while start.elapsed() < AT_LEAST || best == Duration::MAX {
        let begin = Instant::now();
        workers.run(&|worker| {
            let part = &words[share(words.len(), worker, workers.count())];
            for _ in 0..passes {
                black_box(backend.run(Sum(black_box(part))));
            }
        });
        best = best.min(begin.elapsed());
    }
    (bytes.len() * passes) as f64 / best.as_secs_f64() / 1e9
}

/// Adds all words of 32 bits, in 64 running sums.
struct Sum<'a>(&'a [[u8; 64]]);

impl WithKernels for Sum<'_> {
    type Output = u32;

    fn call<K: Kernels>(self, kernels: K) -> u32 {
        kernels.enter(
            #[inline(always)]
            || sum(self.0),
        )
    }
}

#[inline(always)]
fn sum(steps: &[[u8; 64]]) -> u32 {
    const STEPS: usize = 4;
    let mut sums = [[0u32; 16]; STEPS];
    let (quads, rest) = steps.as_chunks::<STEPS>();
    for quad in quads {
        for (sums, step) in sums.iter_mut().zip(quad) {
            add(sums, step);
        }
    }
    for step in rest {
        add(&mut sums[0], step);
    }
    sums.iter().flatten().fold(0, |total, &sum| total.wrapping_add(sum))
}

#[inline(always)]
fn add(sums: &mut [u32; 16], step: &[u8; 64]) {
    let (words, _) = step.as_chunks::<4>();
    for (sum, &word) in sums.iter_mut().zip(words) {
        *sum = sum.wrapping_add(u32::from_le_bytes(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_by_every_backend() {
        let mut steps = vec![[0u8; 64]; 7];
        for (i, step) in steps.iter_mut().enumerate() {
            step.fill(i as u8 + 1);
        }
        // Each step i holds sixteen words of four bytes i + 1.
        let expected: u32 = (1..=7).map(|i| 16 * (i * 0x0101_0101)).sum();
        for backend in Backend::available() {
            assert_eq!(backend.run(Sum(&steps)), expected, "{}", backend.name());
        }
    }
}
