//! `.tflite` files of TensorFlow Lite: quantized LSTM, fully connected, softmax and reshape to a chain of integer
//! layers, bit for bit as TensorFlow Lite Micro runs them.

mod factor;
mod flatbuffer;
mod graph;
mod layers;
mod operands;

pub use graph::{Affine, Graph, Numeric, Operation, Operator, Tensor};

use super::{ImportError, Problem};
use crate::integer::Checkpoint;
use crate::map::Map;
use layers::Vectors;
use operands::{Fault, Operands};
use std::path::Path;

/// Whether a `.tflite` file is there; what cannot be read is the importer's to report.
pub fn is_one(path: &Path) -> bool {
    Map::open(path).is_ok_and(|map| map.get(4..8) == Some(b"TFL3"))
}

/// Reads a quantized model.
///
/// # Errors
/// If the file cannot be read, is damaged, or asks for what integer layers do not do.
pub fn import(path: &Path) -> Result<Checkpoint, ImportError> {
    let map = Map::open(path).map_err(|source| ImportError::io(path, source))?;
    let mut checkpoint = read(&map, &path.display().to_string())?;
    if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
        checkpoint.metadata.push(("name".into(), name.into()));
    }
    Ok(checkpoint)
}

/// Reads a quantized model in memory; `file` names it in messages.
///
/// # Errors
/// As [`import`].
pub fn read(bytes: &[u8], file: &str) -> Result<Checkpoint, ImportError> {
    let graph = Graph::parse(bytes).map_err(|found| Problem {
        file: file.into(),
        subject: "structure".into(),
        expected: "a TensorFlow Lite file".into(),
        found,
        remedy: "the file is damaged, or not what its name says",
    })?;
    let mut checkpoint = chain(&graph).map_err(|Fault { subject, expected, found }| Problem {
        file: file.into(),
        subject,
        expected,
        found,
        remedy: "convert the model again, with int8 weights and activations and a batch of one",
    })?;
    checkpoint.metadata.push(("source".into(), "TensorFlow Lite".into()));
    Ok(checkpoint)
}

/// The chain of layers that the operators are, from the only input to the only output.
fn chain(graph: &Graph<'_>) -> Result<Checkpoint, Fault> {
    let ends = |what: &str, ends: &[usize]| match *ends {
        [end] => Ok(end),
        _ => Err(Fault {
            subject: format!("{what} of the graph"),
            expected: "1".into(),
            found: ends.len().to_string(),
        }),
    };
    let (input, output) = (ends("inputs", &graph.inputs)?, ends("outputs", &graph.outputs)?);
    let mut operators = &graph.operators[..];
    let mut at = input;
    // Conversions at the ends only say what the bytes between them stand for.
    if let [first, rest @ ..] = operators
        && first.operation == Operation::Quantize
    {
        at = step(graph, first, at)?;
        operators = rest;
    }
    let last_is_dequantize = operators.last().is_some_and(|last| last.operation == Operation::Dequantize);
    let inner = &operators[..operators.len() - usize::from(last_is_dequantize)];
    let first = inner.first().ok_or_else(|| Fault {
        subject: "operators".into(),
        expected: "at least one layer".into(),
        found: "none".into(),
    })?;
    let mut vectors = Vectors::of(&graph.tensors[at]).ok_or_else(|| Fault {
        subject: format!("shape of tensor `{}`", graph.tensors[at].name),
        expected: "at least one dimension, none of them 0".into(),
        found: format!("{:?}", graph.tensors[at].shape),
    })?;
    let input = Operands { graph, operator: first }.quantization(0)?;
    let (mut layers, mut end) = (Vec::new(), input);
    for operator in inner {
        at = step(graph, operator, at)?;
        vectors = layers::append(graph, operator, vectors, &mut layers)?;
        end = Operands { graph, operator }.output_quantization()?;
    }
    if let (true, Some(last)) = (last_is_dequantize, operators.last()) {
        at = step(graph, last, at)?;
    }
    if at != output {
        let (expected, found) = (graph.tensors[at].name.clone(), graph.tensors[output].name.clone());
        return Err(Fault { subject: "output of the graph".into(), expected, found });
    }
    Ok(Checkpoint { layers, input, output: end, metadata: Vec::new() })
}

/// The tensor that an operator makes of `at`, which must be its first input.
fn step(graph: &Graph<'_>, operator: &Operator, at: usize) -> Result<usize, Fault> {
    let operands = Operands { graph, operator };
    if operator.inputs.first() != Some(&Some(at)) {
        let found = operands.input(0)?;
        return Err(operands.fault("input", &format!("tensor `{}`", graph.tensors[at].name), &found.name));
    }
    operands.output()?;
    Ok(operator.outputs[0])
}
