//! The offline half of whit: importing checkpoints, quantizing them, writing and measuring `.whit` files.
//!
//! The library computes and returns values; [`cli`] alone prints.

pub mod arena;
pub mod bench;
pub mod built_in;
pub mod calibrate;
pub mod checkpoint;
pub mod cli;
pub mod emulated;
pub mod energy;
pub mod eval;
pub mod export;
pub mod golden;
pub mod import;
pub mod inspect;
pub mod integer;
pub mod machine;
mod map;
pub mod npy;
pub mod plot;
pub mod report;
pub mod tokenizer;
pub mod train;
pub mod usage;
pub mod verify;
