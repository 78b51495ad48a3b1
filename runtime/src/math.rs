//! Stand-in.
#![allow(missing_docs)]
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    x
}
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x
}
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x
}
#[inline(always)]
pub fn gelu_erf(x: f32) -> f32 {
    x
}
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    x
}
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    x
}
#[inline(always)]
pub fn sin_cos(x: f32) -> (f32, f32) {
    (x, x)
}
