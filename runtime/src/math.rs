//! The elementary functions and activations that decide output bits, defined operation by operation.
//!
//! Every function is built from IEEE 754 binary32 add, subtract, multiply, divide and square root, integer operations
//! on the bit pattern, and exact conversions. There is no fused multiply-add, no library function and no flush to
//! zero, so the same input gives the same bits on every target. The text that another implementer needs is in
//! `ARITHMETIC.md`; [`fingerprint`] proves agreement on a device.
//!
//! Except for [`sin`], [`cos`], [`sin_cos`], [`sqrt_soft`] and the two with a table, each function is straight-line code
//! without tables or branches, so a loop over `[f32; 16]` inlined into a `#[target_feature]` kernel becomes vector code.
//!
//! Errors are in ULP of the exact result (distance to it, in units of the spacing of `f32` around it; the spacing of
//! subnormals is 2^-149) and hold for every input: the tests sweep a stride of all bit patterns, and all 2^32 of them
//! when `WHIT_EXHAUSTIVE=1`. A NaN input gives a NaN; its payload and sign are unspecified.
//!
//! This is not a general libm: what the models do not use is not here.

pub(crate) mod activation;
mod erf;
pub(crate) mod exp;
pub mod fingerprint;
pub mod fixed;
mod log;
pub(crate) mod round;
mod sqrt;
#[cfg(test)]
pub(crate) mod sweep;
pub(crate) mod table;
mod trig;

pub use activation::{gelu_erf, gelu_tanh, relu, sigmoid, silu, tanh};
pub use erf::erf;
pub use exp::{exp, exp_nonpositive};
pub use log::log;
pub use round::{round_half_even, round_to_i32};
pub use sqrt::{rsqrt, sqrt, sqrt_soft};
pub use table::{table_sigmoid, table_tanh};
pub use trig::{cos, sin, sin_cos};
