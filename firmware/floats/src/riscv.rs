//! The functions that the compiler calls on RV32 without F, by the names of libgcc.
#![allow(unsafe_code, reason = "names that the compiler knows, with its meaning")]

use crate::{SIGN, add, div, equal, from_i32, from_u32, less, less_or_equal, mul, to_i32, unordered};

macro_rules! function {
    ($name:ident($($x:ident: $of:ty),+) -> $result:ty $body:block) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name($($x: $of),+) -> $result $body
    };
}

function!(__addsf3(a: u32, b: u32) -> u32 { add(a, b) });
function!(__subsf3(a: u32, b: u32) -> u32 { add(a, b ^ SIGN) });
function!(__mulsf3(a: u32, b: u32) -> u32 { mul(a, b) });
function!(__divsf3(a: u32, b: u32) -> u32 { div(a, b) });
function!(__floatsisf(x: i32) -> u32 { from_i32(x) });
function!(__floatunsisf(x: u32) -> u32 { from_u32(x) });
function!(__fixsfsi(x: u32) -> i32 { to_i32(x) });

// Of comparisons the sign counts: as that of a − b, and of a NaN what is false.
function!(__eqsf2(a: u32, b: u32) -> i32 { i32::from(!equal(a, b)) });
function!(__nesf2(a: u32, b: u32) -> i32 { i32::from(!equal(a, b)) });
function!(__ltsf2(a: u32, b: u32) -> i32 { -i32::from(less(a, b)) });
function!(__lesf2(a: u32, b: u32) -> i32 { i32::from(!less_or_equal(a, b)) });
function!(__gtsf2(a: u32, b: u32) -> i32 { i32::from(less(b, a)) });
function!(__gesf2(a: u32, b: u32) -> i32 { -i32::from(!less_or_equal(b, a)) });
function!(__unordsf2(a: u32, b: u32) -> i32 { i32::from(unordered(a, b)) });
