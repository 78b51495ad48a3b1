//! What is in a file that holds a chain of integer layers, as data. The fields are the JSON keys of
//! `whit inspect --json`.

use serde::Serialize;
use std::collections::BTreeMap;
use whit::format::{IntegerEntry, IntegerLayer, Quantization};
use whit::integer::IntegerModel;

/// A file's contents.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Version of the format.
    pub format_version: u16,
    /// Both checksums of the file, in hexadecimal.
    pub fingerprint: String,
    /// Always `integer`.
    pub architecture: &'static str,
    /// What the bytes of a frame stand for.
    pub input: End,
    /// What the bytes of an output vector stand for.
    pub output: End,
    /// Frames that give one output vector.
    pub frames_per_output: u64,
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// Weights and biases.
    pub parameters: u64,
    /// All tensors in the order of the file.
    pub tensors: Vec<Tensor>,
    /// What a session needs.
    pub memory: Memory,
    /// The golden record, if there is one.
    pub golden: Option<Golden>,
    /// Free metadata.
    pub metadata: BTreeMap<String, String>,
}

/// One end of the chain.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// Bytes of a vector.
    pub width: usize,
    /// The real value of one step.
    pub scale: f32,
    /// The byte that stands for zero.
    pub zero_point: i8,
}

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// `lstm`, `fully_connected`, `softmax` or `gather`.
    pub kind: &'static str,
    /// Width of the vectors that come in.
    pub inputs: usize,
    /// Width of the vectors that go out.
    pub outputs: usize,
    /// Products that one vector takes.
    pub macs: u64,
}

/// One tensor.
#[derive(Clone, Debug, Serialize)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// `int8` or `int32`.
    pub encoding: &'static str,
    /// Rows; 1 for a vector.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Bytes that it takes.
    pub bytes: u64,
}

/// Memory of one session.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Bytes that a stream remembers.
    pub state_bytes: usize,
    /// Bytes of the whole arena, exact.
    pub arena_bytes: usize,
}

/// The golden record.
#[derive(Clone, Debug, Serialize)]
pub struct Golden {
    /// Frames that go in.
    pub frames: u32,
    /// Vectors that come out.
    pub outputs: u32,
    /// Their checksum, in hexadecimal.
    pub crc32: String,
}

/// Looks into `model`.
pub fn inspect(model: &IntegerModel<'_>) -> Report {
    let file = model.file();
    let entries: Vec<IntegerEntry> = file.tensors.entries().collect();
    let counted =
        entries.iter().filter(|entry| entry.role.is_matrix() || entry.role.name().ends_with("bias"));
    Report {
        file_bytes: file.bytes().len() as u64,
        format_version: whit::format::VERSION,
        fingerprint: format!("{:016x}", file.fingerprint()),
        architecture: "integer",
        input: end(file.chain.inputs(), file.chain.input()),
        output: end(file.chain.outputs(), file.chain.output()),
        frames_per_output: file.chain.frames_per_output(),
        layers: file.chain.layers().map(layer).collect(),
        parameters: counted.map(|entry| u64::from(entry.rows) * u64::from(entry.cols)).sum(),
        tensors: entries.iter().map(tensor).collect(),
        memory: Memory { state_bytes: model.state_size(), arena_bytes: model.arena_size() },
        golden: file.golden.map(|golden| Golden {
            frames: golden.frames,
            outputs: golden.outputs,
            crc32: format!("{:08x}", golden.crc),
        }),
        metadata: file.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

fn end(width: usize, quantization: Quantization) -> End {
    End { width, scale: quantization.scale, zero_point: quantization.zero_point }
}

fn layer(layer: IntegerLayer) -> Layer {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let macs = match layer {
        IntegerLayer::Lstm { .. } => 4 * outputs * (inputs + outputs),
        IntegerLayer::FullyConnected { .. } => inputs * outputs,
        IntegerLayer::Softmax { .. } | IntegerLayer::Gather { .. } => 0,
    };
    Layer { kind: layer.name(), inputs, outputs, macs: macs as u64 }
}

fn tensor(entry: &IntegerEntry) -> Tensor {
    Tensor {
        name: format!("layers.{}.{}", entry.layer, entry.role.name()),
        encoding: if entry.role.is_matrix() { "int8" } else { "int32" },
        rows: entry.rows,
        cols: entry.cols,
        bytes: entry.len(),
    }
}
