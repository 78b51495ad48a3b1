//! An ONNX file as nodes, constants, inputs and outputs: the fields of onnx.proto that recurrent graphs use.

use super::wire::{Field, fields};
use crate::import::rows::{Element, Order, Stored};
use crate::map::Map;
use std::collections::HashMap;
use std::sync::Arc;

/// Largest dimension that is believed.
const MOST: i64 = 1 << 31;

/// A graph.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: HashMap<String, Constant>,
    /// Names and dimensions, where they are given and fixed, of what is fed.
    pub(super) inputs: Vec<(String, Vec<Option<usize>>)>,
    pub(super) outputs: Vec<String>,
}

/// One operation.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) op: String,
    pub(super) name: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    attributes: HashMap<String, Attribute>,
}

/// The fields of an `AttributeProto`.
#[derive(Debug, Default)]
struct Attribute {
    number: Option<i64>,
    real: Option<f32>,
    text: String,
    numbers: Vec<i64>,
    reals: usize,
    texts: Vec<String>,
    tensor: Option<Constant>,
}

impl Node {
    /// A whole number, or `default`.
    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attributes.get(name).and_then(|attribute| attribute.number).unwrap_or(default)
    }

    /// A real number, or `default`.
    pub(super) fn real(&self, name: &str, default: f32) -> f32 {
        self.attributes.get(name).and_then(|attribute| attribute.real).unwrap_or(default)
    }

    /// Whole numbers, if they are given.
    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attributes.get(name).map(|attribute| &attribute.numbers[..])
    }

    /// A text; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", |attribute| &attribute.text)
    }

    /// Texts, in small letters.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.attributes.get(name).map_or(&[][..], |attribute| &attribute.texts);
        texts.iter().map(|text| text.to_lowercase()).collect()
    }

    /// Whether an attribute is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// A tensor.
    pub(super) fn tensor(&self, name: &str) -> Option<&Constant> {
        self.attributes.get(name)?.tensor.as_ref()
    }

    /// The name of input `i`; empty where it is left out.
    pub(super) fn input(&self, i: usize) -> &str {
        self.inputs.get(i).map_or("", |name| name)
    }
}

/// A tensor in the file.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) dims: Vec<usize>,
    /// Of floats, where they lie in the file.
    floats: Option<(Element, usize)>,
    /// Whether all of its bytes are zeros.
    pub(super) is_zero: bool,
    /// Of whole numbers, the numbers.
    pub(super) ints: Option<Vec<i64>>,
}

impl Constant {
    /// Numbers in it.
    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// `rows` × `cols` of its floats from number `start` on.
    pub(super) fn part(
        &self,
        map: &Arc<Map>,
        start: usize,
        [rows, cols]: [usize; 2],
        order: Order,
    ) -> Option<Stored> {
        let (element, at) = self.floats?;
        let end = rows.checked_mul(cols)?.checked_add(start)?;
        let at = start.checked_mul(element.len())?.checked_add(at)?;
        if end > self.len() { None } else { Stored::new(map.clone(), at, element, [rows, cols], order) }
    }

    /// All of its floats.
    pub(super) fn numbers(&self, map: &Arc<Map>) -> Option<Vec<f32>> {
        let row = self.part(map, 0, [1, self.len()], Order::Rows)?;
        Some(crate::import::rows::Values::joined(&[row]).0)
    }
}

/// The graph in `map`; `None` if it is not an ONNX model.
pub(super) fn parse(map: &Map) -> Option<Graph> {
    let model = fields(map)?;
    let graph = model.iter().find(|(number, _)| *number == 7)?.1.bytes();
    let mut parsed = Graph::default();
    for (number, field) in fields(graph)? {
        match number {
            1 => parsed.nodes.push(node(map, field.bytes())?),
            5 => {
                let (name, tensor) = tensor(map, field.bytes())?;
                parsed.constants.insert(name, tensor);
            }
            11 => parsed.inputs.push(value_info(field.bytes())?),
            12 => parsed.outputs.push(value_info(field.bytes())?.0),
            _ => {}
        }
    }
    let constants = &parsed.constants;
    parsed.inputs.retain(|(name, _)| !constants.contains_key(name));
    Some(parsed)
}

fn node(map: &Map, bytes: &[u8]) -> Option<Node> {
    let mut node = Node::default();
    for (number, field) in fields(bytes)? {
        match number {
            1 => node.inputs.push(field.text().to_owned()),
            2 => node.outputs.push(field.text().to_owned()),
            3 => field.text().clone_into(&mut node.name),
            4 => field.text().clone_into(&mut node.op),
            5 => {
                let (name, attribute) = attribute(map, field.bytes())?;
                node.attributes.insert(name, attribute);
            }
            _ => {}
        }
    }
    Some(node)
}

fn attribute(map: &Map, bytes: &[u8]) -> Option<(String, Attribute)> {
    let (mut name, mut attribute) = (String::new(), Attribute::default());
    for (number, field) in fields(bytes)? {
        match (number, field) {
            (1, _) => field.text().clone_into(&mut name),
            (2, Field::Word(word)) => attribute.real = Some(f32::from_le_bytes(word)),
            (3, _) => attribute.number = Some(field.number()),
            (4, _) => field.text().clone_into(&mut attribute.text),
            (5, _) => attribute.tensor = Some(tensor(map, field.bytes())?.1),
            (7, _) => attribute.reals += 1,
            (8, _) => attribute.numbers.extend(field.numbers()),
            (9, _) => attribute.texts.push(field.text().to_owned()),
            _ => {}
        }
    }
    Some((name, attribute))
}

fn tensor(map: &Map, bytes: &[u8]) -> Option<(String, Constant)> {
    let (mut name, mut dims, mut kind) = (String::new(), Vec::new(), 0);
    let (mut floats, mut raw, mut ints): (&[u8], Option<&[u8]>, Vec<i64>) = (&[], None, Vec::new());
    for (number, field) in fields(bytes)? {
        match number {
            1 => dims.extend(field.numbers()),
            2 => kind = field.number(),
            4 => floats = field.bytes(),
            7 => ints.extend(field.numbers()),
            8 => field.text().clone_into(&mut name),
            9 => raw = Some(field.bytes()),
            _ => {}
        }
    }
    let dims = dims.into_iter().map(dimension).collect::<Option<Vec<_>>>()?;
    let len = dims.iter().try_fold(1usize, |len, &dim| len.checked_mul(dim))?;
    let element = match kind {
        1 => Some(Element::F32),
        10 => Some(Element::F16),
        16 => Some(Element::Bf16),
        _ => None,
    };
    let bytes = raw.unwrap_or(floats);
    let floats = match element {
        Some(_) if len == 0 => None,
        Some(element) if bytes.len() == len.checked_mul(element.len())? => {
            Some((element, bytes.as_ptr().addr() - map.as_ptr().addr()))
        }
        Some(_) => return None,
        None => None,
    };
    let ints = (kind == 7).then(|| match raw {
        Some(raw) => raw.as_chunks().0.iter().map(|&number| i64::from_le_bytes(number)).collect(),
        None => ints,
    });
    let is_zero = bytes.iter().all(|&byte| byte == 0);
    Some((name, Constant { dims, floats, is_zero, ints }))
}

fn dimension(dimension: i64) -> Option<usize> {
    usize::try_from(dimension).ok().filter(|_| dimension < MOST)
}

/// Name and dimensions of a `ValueInfoProto`.
fn value_info(bytes: &[u8]) -> Option<(String, Vec<Option<usize>>)> {
    let name = first(bytes, 1)?.text().to_owned();
    // TypeProto, its tensor, its shape.
    let shape = first(bytes, 2).and_then(|t| first(t.bytes(), 1)).and_then(|t| first(t.bytes(), 2));
    let Some(shape) = shape else { return Some((name, Vec::new())) };
    let dims = all(shape.bytes(), 1)?.into_iter();
    let fixed = |dim: Field<'_>| dimension(first(dim.bytes(), 1)?.number());
    Some((name, dims.map(fixed).collect()))
}

/// The fields `wanted` of a message.
fn all(message: &[u8], wanted: u64) -> Option<Vec<Field<'_>>> {
    Some(
        fields(message)?
            .into_iter()
            .filter(|(number, _)| *number == wanted)
            .map(|(_, field)| field)
            .collect(),
    )
}

/// The first of them.
fn first(message: &[u8], wanted: u64) -> Option<Field<'_>> {
    all(message, wanted)?.first().copied()
}
