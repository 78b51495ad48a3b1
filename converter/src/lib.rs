//! The offline half of whit: importing checkpoints, quantizing them, writing and measuring `.whit` files.

pub mod checkpoint;
pub mod export;
pub mod import;
mod map;
pub mod tokenizer;
