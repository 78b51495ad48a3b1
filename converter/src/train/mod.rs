//! Training of small language models on the host: the computing half.
//!
//! ```text
//! Config ──▶ Model ──▶ Trainer ── step(batch, state, rate) ──▶ Step { loss, gradient_norm }
//!              │           └──── tensors, resume: what the optimizer remembers
//!              └── tensors, set: what a checkpoint holds
//! Evaluator ── nats(batch, state): the loss on other text, rounded as the runtime will round
//! ```
//!
//! A reverse-mode tape of few coarse operations works on shards of a batch: how a batch is shared out depends on its
//! shape alone, shards add to the gradients in their order, and every product and sum has a fixed order. So the same
//! seed and batches give the same bits with any number of threads and on any machine.
//!
//! With a [`Quantization`], every pass computes with what the runtime will: weights in their encoding, inputs of
//! products and cached keys and values in int8, by the runtime's own functions. What it does not follow is the rounding
//! of attention weights to two digits of 8 bits each, and the order of f32 sums.

mod config;
mod error;
mod gemm;
mod gradients;
mod init;
mod model;
mod ops;
mod optimizer;
mod packed;
mod parameters;
mod pass;
mod pool;
mod quantize;
mod random;
mod schedule;
mod simd;
mod tape;
mod threads;
mod trainer;
mod weights;

pub use config::{Cell, Config, Family, Recurrent, Sizes, Transformer};
pub use error::TrainError;
pub use model::{Model, State};
pub use ops::IGNORED;
pub use optimizer::AdamW;
pub use parameters::NamedTensor;
pub use pass::Batch;
pub use quantize::{Grid, Quantization};
pub use schedule::{Decay, Schedule};
pub use trainer::{Evaluator, Settings, Step, Trainer};
