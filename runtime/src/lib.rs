//! `whit` runs small language models anywhere, from one file, with the same bits on every core.
//!
//! `no_std`, no alloc, no global state: the caller owns the file's bytes and one arena.
#![no_std]
#[cfg(any(feature = "std", test))]
extern crate std;

mod activations;
#[cfg(feature = "std")]
mod aligned;
mod architecture;
mod arena;
mod attention;
mod cache;
#[cfg(any(feature = "cost", test))]
pub mod cost;
pub mod error;
pub mod format;
mod generate;
pub mod integer;
pub mod kernels;
mod layout;
pub mod math;
mod model;
mod ops;
pub mod parallel;
mod parts;
mod proven;
pub mod quant;
mod recurrent;
pub mod sampler;
mod session;
mod state;
pub mod tensor;
#[cfg(feature = "std")]
pub mod threads;
pub mod tokenizer;
mod transformer;

#[cfg(feature = "std")]
pub use aligned::AlignedBytes;
pub use arena::Aligned;
pub use error::Error;
pub use generate::{Finish, Generation, Piece};
pub use layout::{CacheKind, SessionOptions, arena_size, arena_size_in_batches};
pub use model::Model;
pub use proven::Proven;
pub use sampler::Sampling;
pub use session::Session;
pub use tokenizer::Token;

/// The program in the README, compiled.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../README.md")]
struct Readme;
