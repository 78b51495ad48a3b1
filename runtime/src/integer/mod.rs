//! The integer layers of TensorFlow Lite Micro and CMSIS-NN, bit for bit: LSTM, fully connected, softmax.
//!
//! int8 in and out, exact i32 sums, fixed-point requantization, an int16 cell, activations by table: no float in here,
//! so a core without FPU pays nothing for one. `ARITHMETIC.md` has the normative text. The zero points of inputs are
//! not seen here: Σ w · (x − z) = Σ w · x − z · Σ w, and the second term, which no input changes, is in the biases.

mod activation;
mod fully_connected;
mod golden;
mod lstm;
mod model;
mod requantize;
mod session;
mod softmax;
mod weights;

pub use activation::{sigmoid, tanh};
pub use fully_connected::FullyConnected;
pub use lstm::{Gate, Lstm, LstmParameters, LstmState, Order, Scratch};
pub use model::IntegerModel;
pub use requantize::Requantize;
pub use session::IntegerSession;
pub use softmax::Softmax;
pub use weights::Weights;

/// `value` clamped to i16.
#[inline(always)]
fn saturate_i16(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// `value` clamped to i8.
#[inline(always)]
fn saturate_i8(value: i32) -> i8 {
    value.clamp(i32::from(i8::MIN), i32::from(i8::MAX)) as i8
}
