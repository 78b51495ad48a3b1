//! `whit` runs small language models anywhere, from one file, with the same bits on every core.
//!
//! `no_std`, no alloc, no global state: the caller owns the file's bytes and one arena.
#![no_std]
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod kernels;
pub mod math;
pub mod parallel;
pub mod quant;
pub mod tensor;
pub mod tokenizer;
