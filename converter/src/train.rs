//! Training small models on the host: from text to a checkpoint directory that `whit import` and other tools read.

pub mod curves;
pub mod data;
mod files;
pub mod metrics;
mod draw;
pub mod schedule;
pub mod settings;
pub mod shape;
mod tensors;
pub mod tokenizer;
