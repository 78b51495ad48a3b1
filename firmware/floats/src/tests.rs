//! The functions against the FPU of the host.

use crate::{add, check::first_difference, div, mul};

#[test]
fn results_are_those_of_the_host() {
    if let Some(difference) = first_difference(20_000_000) {
        panic!("{difference}");
    }
}

/// What finds nothing common in its operands, where something is.
#[test]
fn the_rare_functions_are_right_of_all_numbers() {
    let mut bits = 1_u32;
    let mut next = || {
        bits = bits.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        bits ^ bits >> 15
    };
    for _ in 0..20_000_000 {
        let (a, b) = (next(), next());
        let b = if next() >> 31 == 0 { b } else { a ^ b >> 6 };
        assert_eq!(add::add_rare(a, b), add(a, b), "{a:#010x} + {b:#010x}");
        assert_eq!(mul::mul_rare(a, b), mul(a, b), "{a:#010x} × {b:#010x}");
        assert_eq!(div::div_rare(a, b), div(a, b), "{a:#010x} ÷ {b:#010x}");
    }
}
