//! Recurrent models from ONNX graphs of the usual forms: embedding or frames, LSTM, GRU or RNN nodes, a linear layer,
//! softmax or sigmoid, with the transposes, squeezes and reshapes that exporters put between them.
//!
//! Initial states are zeros or what is fed (a session keeps them by itself). A softmax over a whole vocabulary is left
//! out, because sampling takes logits.

mod graph;
mod layer;
mod walk;
mod wire;

use super::recurrent::{Layer, tensor};
use super::rows::{Order, Values};
use super::{ImportError, Problem};
use crate::checkpoint::{Checkpoint, Rows, Tensor};
use crate::map::Map;
use graph::Constant;
use std::path::Path;
use std::sync::Arc;
use walk::Stream;
use whit::format::{MOST_RECURRENT_LAYERS, Normalization, Recurrent, Role, Slots};

/// Reads the model at `path`; `tokenizer` gives the tokenizer section for a vocabulary of so many tokens.
///
/// # Errors
/// [`ImportError::Io`] for a file that cannot be read, [`ImportError::Problems`] for a graph that cannot be computed,
/// naming the node; or what `tokenizer` returned.
pub fn import(
    path: &Path,
    tokenizer: impl FnOnce(u32) -> Result<Vec<u8>, ImportError>,
) -> Result<Checkpoint<'static>, ImportError> {
    let map = Arc::new(Map::open(path).map_err(|source| ImportError::io(path, source))?);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem = |subject: &str, expected: &str, found: String| Problem {
        file: file.clone(),
        subject: subject.to_owned(),
        expected: expected.to_owned(),
        found,
        remedy: "",
    };
    let graph = graph::parse(&map).ok_or_else(|| {
        problem("content", "an ONNX model with its weights in the file", "something else".to_owned())
    })?;
    let stream = walk::walk(&graph, &file)?;
    let recurrent = describe(&stream).map_err(|(expected, found)| problem("graph", expected, found))?;
    recurrent
        .check()
        .map_err(|error| problem("graph", "sizes that the file format can say", error.to_string()))?;
    let tensors = tensors(&recurrent, &stream, &map).ok_or_else(|| {
        problem("weights", "numbers of type float, float16 or bfloat16", "others".to_owned())
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let tokenizer = if recurrent.vocabulary > 0 { tokenizer(recurrent.vocabulary)? } else { Vec::new() };
    Ok(Checkpoint {
        architecture: recurrent.into(),
        tensors,
        tokenizer,
        stop_tokens: Vec::new(),
        metadata: vec![("name".into(), name), ("source".into(), "ONNX".into())],
    })
}

/// What the stream computes, or what was expected and what was found instead.
fn describe(stream: &Stream) -> Result<Recurrent, (&'static str, String)> {
    let (Some(first), Some(last)) = (stream.layers.first(), stream.layers.last()) else {
        return Err(("recurrent layers", "none".to_owned()));
    };
    if stream.layers.len() > MOST_RECURRENT_LAYERS {
        return Err(("at most 16 recurrent layers", stream.layers.len().to_string()));
    }
    let alike = |layer: &layer::Layers| (layer.cell, layer.direction) == (first.cell, first.direction);
    if let Some(other) = stream.layers.iter().find(|layer| !alike(layer)) {
        let found =
            format!("{:?} {:?} behind {:?} {:?}", other.cell, other.direction, first.cell, first.direction);
        return Err(("layers of one cell and one direction", found));
    }
    let mut hidden = [0; MOST_RECURRENT_LAYERS];
    for (width, layer) in hidden.iter_mut().zip(&stream.layers) {
        *width = u16::try_from(layer.hidden)
            .map_err(|_| ("layers of at most 65,535 elements", layer.hidden.to_string()))?;
    }
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let head = stream.head.as_ref().map(|head| head.shape()[0]);
    let mut recurrent = Recurrent {
        vocabulary: stream.embedding.as_ref().map_or(0, |table| size(table.dims[0])),
        input: size(first.input),
        layers: stream.layers.len() as u32,
        head: head.map_or(0, size),
        cell: first.cell,
        direction: last.direction,
        normalization: Normalization::None,
        tied: false,
        bias: stream.layers.iter().any(|layer| layer.bias.is_some()),
        head_bias: stream.head.as_ref().is_some_and(|head| head.bias.is_some()),
        projected: false,
        hidden,
        projection: [0; MOST_RECURRENT_LAYERS],
    };
    let is_sampled = stream.normalization == Normalization::Softmax && recurrent.is_language_model();
    if !is_sampled {
        recurrent.normalization = stream.normalization;
    }
    Ok(recurrent)
}

/// All tensors; `None` if one is not of floats, or not where it should be.
fn tensors(recurrent: &Recurrent, stream: &Stream, map: &Arc<Map>) -> Option<Vec<Tensor<'static>>> {
    let directions = |layer: &layer::Layers| -> Option<Vec<Layer>> {
        (0..recurrent.directions()).map(|direction| layer.direction(map, direction)).collect()
    };
    let layers = stream.layers.iter().map(directions).collect::<Option<Vec<_>>>()?;
    let vector =
        |constant: &Constant| -> Option<Box<dyn Rows>> { Some(Box::new(Values(constant.numbers(map)?))) };
    let one = |(role, layer): (Role, u16)| -> Option<Tensor<'static>> {
        let rows: Box<dyn Rows> = match role {
            Role::Embedding => {
                let table = stream.embedding.as_ref()?;
                Box::new(table.part(map, 0, [table.dims[0], table.dims[1]], Order::Rows)?)
            }
            Role::Head => {
                let head = stream.head.as_ref()?;
                let order = if head.outputs_first { Order::Rows } else { Order::Columns };
                Box::new(head.weight.part(map, 0, head.shape(), order)?)
            }
            Role::HeadBias => vector(stream.head.as_ref()?.bias.as_ref()?)?,
            role => {
                let parts: Vec<&Layer> = layers[usize::from(layer)].iter().collect();
                tensor(recurrent, role, &parts)
            }
        };
        Some(Tensor { role, layer, source: format!("{} of layer {layer}", role.name()), rows })
    };
    Slots::new(&(*recurrent).into()).iter().map(one).collect()
}
