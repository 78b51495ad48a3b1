//! Sweeps over the bit patterns of `f32` against references in `f64`, for the tests of this module.

use std::println;

/// Every bit pattern when `WHIT_EXHAUSTIVE=1`; otherwise each 521st: 8.2 million inputs over all
/// exponents, and, 521 being prime to 2^32, over all low-order digits.
pub(crate) fn inputs() -> impl Iterator<Item = u32> {
    (0..=u32::MAX).step_by(if exhaustive() { 1 } else { 521 })
}

fn exhaustive() -> bool {
    std::env::var_os("WHIT_EXHAUSTIVE").is_some_and(|value| value == "1")
}

/// The largest error of `f` in ULP of `reference` over all inputs that are not NaN.
pub(super) fn max_ulp(name: &str, f: fn(f32) -> f32, reference: fn(f64) -> f64) -> f64 {
    max_ulp_where(name, f, reference, |_| true)
}

/// [`max_ulp`] over the inputs that `domain` accepts.
pub(super) fn max_ulp_where(
    name: &str,
    f: impl Fn(f32) -> f32,
    reference: impl Fn(f64) -> f64,
    domain: impl Fn(f32) -> bool,
) -> f64 {
    worst(name, "ULP", f, reference, domain, ulp_error)
}

/// The largest absolute error of `f` over the inputs that `domain` accepts.
pub(super) fn max_error(
    name: &str,
    f: impl Fn(f32) -> f32,
    reference: impl Fn(f64) -> f64,
    domain: impl Fn(f32) -> bool,
) -> f64 {
    worst(name, "absolute", f, reference, domain, |got, want| (f64::from(got) - want).abs())
}

fn worst(
    name: &str,
    unit: &str,
    f: impl Fn(f32) -> f32,
    reference: impl Fn(f64) -> f64,
    domain: impl Fn(f32) -> bool,
    error: impl Fn(f32, f64) -> f64,
) -> f64 {
    let (mut largest, mut at) = (0.0, 0.0);
    for x in inputs().map(f32::from_bits).filter(|x| !x.is_nan() && domain(*x)) {
        let found = error(f(x), reference(f64::from(x)));
        if found > largest {
            (largest, at) = (found, x);
        }
    }
    let extent = if exhaustive() { "all" } else { "SKIP all, sampled" };
    println!("{name} ({extent}): largest error {largest:.6e} {unit} at {at:e} ({:#010x})", at.to_bits());
    largest
}

fn ulp_error(got: f32, want: f64) -> f64 {
    if want.is_nan() || got.is_nan() {
        return if want.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    // Half a spacing past the largest f32, and from there on, the rounded result is infinite.
    if want.abs() >= 2f64.powi(128) - 2f64.powi(103) {
        return if f64::from(got) == f64::INFINITY.copysign(want) { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((want.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(-126);
    let spacing = f64::from_bits(((1023 + exponent - 23) as u64) << 52);
    (f64::from(got) - want).abs() / spacing
}

/// erf in `f64`: the series e^(−x²) · 2/√π · Σ 2^k x^(2k+1) / (2k+1)!! (Abramowitz and Stegun 7.1.6), all of one sign.
pub(super) fn erf_reference(x: f64) -> f64 {
    let a = x.abs();
    if a > 3.0 {
        return (1.0 - erfc_fraction(a)).copysign(x);
    }
    let (mut term, mut sum, mut k) = (a, a, 1.0);
    while term > sum * 1e-17 {
        term *= 2.0 * a * a / (2.0 * k + 1.0);
        sum += term;
        k += 1.0;
    }
    (core::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp() * sum).copysign(x)
}

/// erfc in `f64`, with a small relative error also where it is tiny.
pub(super) fn erfc_reference(x: f64) -> f64 {
    if x > 3.0 { erfc_fraction(x) } else { 1.0 - erf_reference(x) }
}

/// erfc for x > 3 by the continued fraction e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 1½/(x + …)))) (7.1.14), from the inside.
fn erfc_fraction(x: f64) -> f64 {
    // Below the least f64 from here on.
    if x > 28.0 {
        return 0.0;
    }
    let mut tail = x;
    for k in (1..60).rev() {
        tail = x + 0.5 * f64::from(k) / tail;
    }
    (-x * x).exp() * 0.5 * core::f64::consts::FRAC_2_SQRT_PI / tail
}

#[test]
fn the_erf_reference_meets_known_values() {
    let erf =
        [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (2.0, 0.995_322_265_018_952_7)];
    for (x, want) in erf {
        assert!((erf_reference(x) / want - 1.0).abs() < 4e-16, "{x}");
    }
    let erfc = [
        (3.5, 7.430_983_723_414_128e-7),
        (4.0, 1.541_725_790_028_002e-8),
        (5.0, 1.537_459_794_428_034_8e-12),
    ];
    for (x, want) in erfc {
        assert!((erfc_reference(x) / want - 1.0).abs() < 2e-15, "{x}");
    }
    // The two methods meet where one takes over from the other.
    assert!((erf_reference(3.0) + erfc_fraction(3.0) - 1.0).abs() < 4e-16);
}
