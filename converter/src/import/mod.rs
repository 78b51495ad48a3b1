//! Importers: a foreign checkpoint to a [`Checkpoint`](crate::checkpoint::Checkpoint), each in its own file.

mod error;
pub mod huggingface;
pub mod llama2c;
mod rows;

pub use error::{ImportError, Problem};
