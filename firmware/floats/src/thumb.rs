//! The functions that the compiler calls on ARMv6-M, by the names of Arm's run-time ABI for its processors.
#![allow(
    unsafe_code,
    reason = "functions written in assembly, and names that the compiler knows, with its meaning"
)]

mod add;
mod compare;
mod div;
mod mul;

use crate::{from_i32, from_u32, to_i32};

#[unsafe(no_mangle)]
extern "aapcs" fn __aeabi_i2f(x: i32) -> u32 {
    from_i32(x)
}

#[unsafe(no_mangle)]
extern "aapcs" fn __aeabi_ui2f(x: u32) -> u32 {
    from_u32(x)
}

#[unsafe(no_mangle)]
extern "aapcs" fn __aeabi_f2iz(x: u32) -> i32 {
    to_i32(x)
}
