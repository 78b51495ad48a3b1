//! What the machine computes, by an FPU or by the functions that programs are linked with, against the functions of this crate.

use crate::{FRACTION, INFINITY, QUIET, SIGN, is_nan};
use core::fmt;

/// The first operands of which the machine makes other bits than this crate: those special, each with each, and `count` random
/// pairs, by every operation.
pub fn first_difference(count: u32) -> Option<Difference> {
    let signs = [(0, 0), (SIGN, 0), (0, SIGN), (SIGN, SIGN)];
    let special = SPECIAL.into_iter().flat_map(|a| SPECIAL.map(|b| (a, b)));
    let special = special.flat_map(|(a, b)| signs.map(|(s, t)| (a | s, b | t)));
    let mut random = Random(1);
    let mut pairs = special.chain((0..count).map(|_| random.pair()));
    pairs.find_map(|(a, b)| OPERATIONS.iter().find_map(|operation| operation.difference(a, b)))
}

/// What was computed, and found other than it should be.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    operation: &'static str,
    operands: [u32; 2],
    machine: u32,
    here: u32,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([a, b], name) = (self.operands, self.operation);
        write!(f, "{a:#010x} {name} {b:#010x} is {:#010x}, not {:#010x}", self.here, self.machine)
    }
}

/// By name, of bits: as the machine has it, and as this crate.
struct Operation {
    name: &'static str,
    machine: fn(f32, f32) -> u32,
    here: fn(u32, u32) -> u32,
    is_float: bool,
}

impl Operation {
    const fn float(name: &'static str, machine: fn(f32, f32) -> u32, here: fn(u32, u32) -> u32) -> Self {
        Self { name, machine, here, is_float: true }
    }

    const fn integer(name: &'static str, machine: fn(f32, f32) -> u32, here: fn(u32, u32) -> u32) -> Self {
        Self { name, machine, here, is_float: false }
    }

    fn difference(&self, a: u32, b: u32) -> Option<Difference> {
        let (machine, here) = ((self.machine)(f32::from_bits(a), f32::from_bits(b)), (self.here)(a, b));
        let quiet_nan = |x: u32| is_nan(x) && x & QUIET != 0;
        let same = machine == here || self.is_float && quiet_nan(machine) && quiet_nan(here);
        (!same).then_some(Difference { operation: self.name, operands: [a, b], machine, here })
    }
}

static OPERATIONS: [Operation; 12] = [
    Operation::float("+", |a, b| (a + b).to_bits(), crate::add),
    Operation::float("−", |a, b| (a - b).to_bits(), |a, b| crate::add(a, b ^ SIGN)),
    Operation::float("×", |a, b| (a * b).to_bits(), crate::mul),
    Operation::float("÷", |a, b| (a / b).to_bits(), crate::div),
    Operation::integer("<", |a, b| (a < b).into(), |a, b| crate::less(a, b).into()),
    Operation::integer("≤", |a, b| (a <= b).into(), |a, b| crate::less_or_equal(a, b).into()),
    Operation::integer(">", |a, b| (a > b).into(), |a, b| crate::less(b, a).into()),
    Operation::integer("≥", |a, b| (a >= b).into(), |a, b| crate::less_or_equal(b, a).into()),
    Operation::integer("=", |a, b| (a == b).into(), |a, b| crate::equal(a, b).into()),
    Operation::integer(
        "or NaN",
        |a, b| a.partial_cmp(&b).is_none().into(),
        |a, b| crate::unordered(a, b).into(),
    ),
    Operation::integer("from", from, |a, b| {
        let [a, b] = shifted(a, b);
        crate::from_u32(a).wrapping_add(crate::from_i32(b.cast_signed()).rotate_left(16))
    }),
    Operation::integer("to", |a, _| (a as i32).cast_unsigned(), |a, _| crate::to_i32(a).cast_unsigned()),
];

/// Both conversions of integers.
fn from(a: f32, b: f32) -> u32 {
    let [a, b] = shifted(a.to_bits(), b.to_bits());
    (a as f32).to_bits().wrapping_add((b.cast_signed() as f32).to_bits().rotate_left(16))
}

/// Integers of all lengths.
fn shifted(a: u32, b: u32) -> [u32; 2] {
    [a >> (b % 32), (a.cast_signed() >> (b % 32)).cast_unsigned()]
}

/// The ends of every range, and numbers about them.
const SPECIAL: [u32; 30] = [
    0,
    1,
    2,
    3,
    0x0040_0000,
    0x007f_fffe,
    0x007f_ffff,
    0x0080_0000,
    0x0080_0001,
    0x00ff_ffff,
    0x0100_0000,
    0x0180_0000,
    0x1f80_0000,
    0x2000_0000,
    0x3380_0000,
    0x3400_0000,
    0x3f00_0000,
    0x3f7f_ffff,
    0x3f80_0000,
    0x3f80_0001,
    0x3f80_0003,
    0x3fff_ffff,
    0x4b00_0001,
    0x5f80_0000,
    0x7e80_0000,
    0x7f00_0000,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7f80_0001,
    0x7fc0_0000,
];

/// xorshift32 (Marsaglia 2003).
struct Random(u32);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.wrapping_mul(0x9e37_79b1)
    }

    fn one(&mut self) -> u32 {
        let bits = self.bits();
        match self.bits() >> 29 {
            0 | 1 => SPECIAL[bits as usize % SPECIAL.len()] ^ bits & SIGN,
            // Few bits set.
            2 | 3 => bits & (SIGN | INFINITY) | u32::MAX << (bits % 24) & self.bits() & FRACTION,
            _ => bits,
        }
    }

    /// Any two, or such that ties, carries and cancellation are met.
    fn pair(&mut self) -> (u32, u32) {
        let (a, b, bits) = (self.one(), self.one(), self.bits());
        let by = bits % 64;
        match bits >> 30 {
            0 => (a, b),
            // Exponents near each other.
            1 => (a, b & !INFINITY | a.wrapping_add(by << 23).wrapping_sub(32 << 23) & INFINITY),
            2 => (a, (a ^ bits << 2 & SIGN).wrapping_add(by).wrapping_sub(32)),
            // Both about one.
            _ => (a & !INFINITY | (by + 96) << 23, b & !INFINITY | ((bits >> 8) % 64 + 96) << 23),
        }
    }
}
