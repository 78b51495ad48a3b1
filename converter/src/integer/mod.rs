//! Chains of integer layers on their way to a file: what an importer makes, and the file that becomes of it.

mod export;
pub mod inspect;
pub mod verify;

pub use export::{to_bytes, write};

use whit::format::{IntegerLayer, Quantization};

/// A layer and its tensors, in the order and with the lengths that the layer asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it computes.
    pub layer: IntegerLayer,
    /// Matrices of weights, `[rows, cols]`, row-major.
    pub weights: Vec<Vec<i8>>,
    /// Vectors.
    pub vectors: Vec<Vec<i32>>,
}

/// A chain as an importer found it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// What the bytes of a frame stand for.
    pub input: Quantization,
    /// What the bytes of an output vector stand for.
    pub output: Quantization,
    /// Name, licence, origin.
    pub metadata: Vec<(String, String)>,
}
