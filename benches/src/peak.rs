//! What the multipliers of one core do on registers alone: the ceiling of every kernel, however well it is fed.
#![allow(unsafe_code, reason = "calls of functions with target features, after detection")]

use crate::clock::Clock;
#[cfg(target_arch = "x86_64")]
use std::hint::black_box;

/// Not measured on this architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn integer_peaks(_: &mut Clock) -> Vec<(&'static str, f64)> {
    vec![]
}

/// GOP/s of the byte products on registers alone: the ceiling of every kernel here.
#[cfg(target_arch = "x86_64")]
pub fn integer_peaks(clock: &mut Clock) -> Vec<(&'static str, f64)> {
    use std::arch::x86_64::*;

    const REPEAT: usize = 10_000;

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn vpdpbusd_512() {
        let mut sums = [_mm512_setzero_si512(); 24];
        let x = black_box(_mm512_set1_epi8(3));
        for _ in 0..REPEAT {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, x, x);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2")]
    fn vpmaddubsw_256() {
        let mut sums = [_mm256_setzero_si256(); 12];
        let x = black_box(_mm256_set1_epi8(3));
        let ones = black_box(_mm256_set1_epi16(1));
        for _ in 0..REPEAT {
            for sum in &mut sums {
                // Depends on the sum so that the products cannot be hoisted out of the loop.
                let w = _mm256_sign_epi8(*sum, x);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
            }
        }
        black_box(sums);
    }

    let mut peaks = vec![];
    if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: just detected.
        let seconds = clock.best(|| unsafe { vpdpbusd_512() });
        peaks.push(("vpdpbusd, 512 bits", (REPEAT * 24 * 128) as f64 / seconds / 1e9));
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: just detected.
        let seconds = clock.best(|| unsafe { vpmaddubsw_256() });
        peaks.push((
            "vpsignb + vpmaddubsw + vpmaddwd + vpaddd, 256 bits",
            (REPEAT * 12 * 64) as f64 / seconds / 1e9,
        ));
    }
    peaks
}
