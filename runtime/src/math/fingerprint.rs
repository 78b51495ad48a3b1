//! One number per function that says whether this target computes the defined bits.
//!
//! Not a test of accuracy: that is proved on the host. A device, an emulator or another implementation runs
//! [`first_difference`], or computes the fingerprints of its own functions and compares with [`FUNCTIONS`].

use super::fixed::{exp2_down, log2_steps, whole_steps};
use super::{
    cos, erf, exp, exp_nonpositive, gelu_erf, gelu_tanh, log, round_half_even, rsqrt, sigmoid, silu, sin,
    sqrt, sqrt_soft, table_sigmoid, table_tanh, tanh,
};

/// A function's name, the function, and its fingerprint on a correct target.
pub type Entry = (&'static str, fn(f32) -> f32, u32);

/// Every function whose bits are worth proving; `relu` is one comparison.
pub const FUNCTIONS: [Entry; 20] = [
    ("exp", exp, 0x57d7_a320),
    ("exp_nonpositive", |x| exp_nonpositive(-x.abs()), 0x5fa8_6918),
    ("log", log, 0x3c23_9290),
    ("tanh", tanh, 0xcdaf_aa1c),
    ("sigmoid", sigmoid, 0xa4ea_4dfd),
    ("silu", silu, 0x8c61_b5bb),
    ("gelu_erf", gelu_erf, 0x9ae1_9261),
    ("gelu_tanh", gelu_tanh, 0x0904_e451),
    ("erf", erf, 0x55f0_f14d),
    ("table_sigmoid", table_sigmoid, 0x35d6_280f),
    ("table_tanh", table_tanh, 0xc68e_eadb),
    ("sin", sin, 0x3314_904a),
    ("cos", cos, 0x9602_d634),
    ("sqrt", sqrt, 0x1624_277d),
    ("sqrt_soft", sqrt_soft, 0x1624_277d),
    ("rsqrt", rsqrt, 0x3599_4733),
    ("round_half_even", round_half_even, 0x0199_166d),
    // Of integers their f32, which is rounded: below 2^24 exact.
    ("exp2_down", |x| exp2_down(x.to_bits() >> 12) as f32, 0xa927_cbc5),
    ("log2_steps", |x| log2_steps(x) as f32, 0xab35_a4c5),
    // A sum is no signalling NaN.
    ("whole_steps", |x| whole_steps(x + 0.0) as f32, 0xa3fd_fe54),
];

/// The name of the first function whose fingerprint is wrong on this target; `None` if all agree.
pub fn first_difference() -> Option<&'static str> {
    FUNCTIONS
        .iter()
        .find(|(_, function, expected)| fingerprint(*function) != *expected)
        .map(|(name, _, _)| *name)
}

/// FNV-1a, a 32-bit word at a time, over the results' bits; a NaN counts as 0x7fc00000.
///
/// The inputs, for k from 0 to 32767: the f32 of bits k · 2654435769 modulo 2^32, and then (k − 16384) / 1024.
pub fn fingerprint(function: fn(f32) -> f32) -> u32 {
    let anywhere = (0..32_768u32).map(|k| f32::from_bits(k.wrapping_mul(0x9e37_79b9)));
    let moderate = (0..=i16::MAX).map(|k| f32::from(k - 16_384) / 1024.0);
    anywhere.chain(moderate).map(function).fold(0x811c_9dc5, |hash, y| {
        let word = if y.is_nan() { 0x7fc0_0000 } else { y.to_bits() };
        (hash ^ word).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_target_computes_the_defined_bits() {
        for (name, function, expected) in FUNCTIONS {
            let got = fingerprint(function);
            assert_eq!(got, expected, "{name}: {got:#010x}");
        }
        assert_eq!(first_difference(), None);
    }
}
