//! What no single package can check, and what such checks need: real data, random checkpoints, and independent
//! references in f64. Nothing here is part of what whit ships.

pub mod checkpoints;
pub mod data;
pub mod examples;
pub mod hostile;
pub mod imported;
pub mod loss;
pub mod npz;
pub mod onnx;
pub mod oracle;
pub mod reference;
pub mod seeds;
pub mod synthetic;
pub mod tokenizers;
pub mod whole;
