//! Sigmoid and tanh of 16-bit fixed point by one table with interpolation, as TensorFlow Lite has them.
//!
//! Both functions take |x| · 3 / 4 in steps of the table, 1/24, and tanh x = 2 sigmoid 2x − 1.

use crate::math::table::raised;

/// Elements of the table.
const LEN: usize = 256;

/// sigmoid(i / 24) · 2¹⁶ as [`raised`] has it, rounded to the nearest; the last is 2¹⁶ − 1.
///
/// They are the published table, which nowhere says how it was made.
static TABLE: [u16; LEN] = table();

/// The table, computed by the compiler in integers.
const fn table() -> [u16; LEN] {
    let raised = raised::<LEN>(24);
    let mut table = [0xffff; LEN];
    let mut i = 0;
    while i < LEN - 1 {
        table[i] = ((raised[i] + (1 << 35)) >> 36) as u16;
        i += 1;
    }
    table
}

/// Between the elements `index >> bits` and the next one, times `1 << bits`.
#[inline(always)]
fn interpolated(index: u32, bits: u32) -> Option<u32> {
    let at = (index >> bits) as usize;
    let [low, high] = *TABLE.get(at..)?.first_chunk::<2>()?;
    let fraction = index & ((1 << bits) - 1);
    Some((u32::from(low) << bits) + fraction * u32::from(high - low))
}

/// sigmoid of `x` in Q3.12, in Q0.15.
#[inline(always)]
pub fn sigmoid(x: i16) -> i16 {
    let index = 3 * i32::from(x);
    let positive = interpolated(index.unsigned_abs(), 9).unwrap_or(0x7fff << 10);
    let rounded = if index >= 0 { positive + (1 << 9) } else { (1 << 25) - positive + (1 << 9) - 1 };
    (rounded >> 10) as i16
}

/// tanh of `x · 2^shift` in Q3.12, in Q0.15, for shifts of −27 to 12; a negative shift rounds 3 x, ties upwards.
#[inline(always)]
pub fn tanh(x: i16, shift: i32) -> i16 {
    let tripled = 3 * i32::from(x);
    let index = if shift < 0 { (tripled + (1 << (-shift - 1))) >> -shift } else { tripled << shift };
    let positive = interpolated(index.unsigned_abs(), 8).unwrap_or(0xffff << 8) as i32;
    let rounded =
        if index >= 0 { positive - (1 << 23) + (1 << 7) } else { (1 << 23) - positive + (1 << 7) - 1 };
    (rounded >> 8) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Crc32;
    use std::vec::Vec;

    const PUBLISHED: u32 = 0xb84f_6ab4;

    /// From the definition, in f64, which has 37 bits to spare.
    fn table_f64() -> Vec<i64> {
        let sigmoid = |i: i32| 65_536.0 / (1.0 + (-f64::from(i) / 24.0).exp());
        let element = |i: i32| sigmoid(i) - (sigmoid(i + 1) - 2.0 * sigmoid(i) + sigmoid(i - 1)) / 16.0;
        (0..255).map(|i| element(i).round() as i64).chain([65_535]).collect()
    }

    #[test]
    fn every_element_is_the_published_one() {
        assert_eq!(TABLE.map(i64::from)[..], table_f64()[..]);
        // CRC-32 of the table of TensorFlow Lite and CMSIS-NN (`sigmoid_table_uint16`) as little-endian bytes.
        let mut crc = Crc32::default();
        TABLE.iter().for_each(|element| crc.update(&element.to_le_bytes()));
        assert_eq!(crc.value(), PUBLISHED);
    }

    /// Sixteenths of an element by straight division, in i64: the published reference, operation by operation.
    fn reference(index: i64, bits: u32, table: &[i64]) -> (i64, bool) {
        let (at, part) = (index.abs() >> bits, index.abs() % (1 << bits));
        if at >= 255 {
            return (0, true);
        }
        let (low, high) = (table[at as usize], table[at as usize + 1]);
        (low * (1 << bits) + part * (high - low), false)
    }

    #[test]
    fn sigmoid_is_the_reference_for_every_input() {
        let table = table_f64();
        for x in i16::MIN..=i16::MAX {
            let (between, saturated) = reference(3 * i64::from(x), 9, &table);
            let positive = if saturated { 0x7fff << 10 } else { between };
            let doubled = if x >= 0 { positive } else { (1 << 25) - positive - 1 };
            let expected = (doubled + 512).div_euclid(1024);
            assert_eq!(i64::from(sigmoid(x)), expected, "{x}");
        }
    }

    #[test]
    fn tanh_is_the_reference_for_every_input_and_shift() {
        let table = table_f64();
        for shift in [-27, -15, -4, -3, -2, -1, 0, 1, 2, 12] {
            for x in i16::MIN..=i16::MAX {
                let index = if shift < 0 {
                    (6 * i64::from(x) + (1 << -shift)).div_euclid(2 << -shift)
                } else {
                    3 * i64::from(x) * (1 << shift)
                };
                let (between, saturated) = reference(index, 8, &table);
                let positive = if saturated { 0xffff << 8 } else { between };
                let value = if index >= 0 { positive - (1 << 23) } else { (1 << 23) - positive - 1 };
                assert_eq!(i64::from(tanh(x, shift)), (value + 128).div_euclid(256), "{x}, {shift}");
            }
        }
    }

    #[test]
    fn both_are_near_the_real_functions() {
        // h² / 16 · max |f″| at steps h of 1/24 and 1/12, 0.4 and 11, and a unit for the roundings.
        for x in i16::MIN..=i16::MAX {
            let real = f64::from(x) / 4096.0;
            let exact = 32_768.0 / (1.0 + (-real).exp());
            assert!((f64::from(sigmoid(x)) - exact).abs() <= 2.0, "sigmoid {x}");
            let exact = 32_768.0 * real.tanh();
            assert!((f64::from(tanh(x, 0)) - exact).abs() <= 12.5, "tanh {x}");
        }
    }
}
