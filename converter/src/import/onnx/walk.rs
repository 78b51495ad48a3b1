//! Follows what is fed through a graph, node after node, and keeps what it goes through: an embedding, recurrent
//! layers, a linear head, softmax or sigmoid. Every other operation on it is a problem; what only computes shapes is
//! passed over.

use super::graph::{Constant, Graph, Node};
use super::layer::{Kind, Layers};
use crate::import::Problem;
use std::collections::HashMap;
use whit::format::Normalization;

/// What one axis of a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// An axis of the input.
    Input(usize),
    /// Directions of the last layer.
    Directions,
    /// The elements of a vector.
    Feature,
    /// Nothing: its size is one.
    One,
}

/// What was fed, and what it went through.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    axes: Vec<Axis>,
    /// Table of an embedding.
    pub(super) embedding: Option<Constant>,
    /// Width of a vector of the input, where there is no embedding.
    pub(super) frame: Option<usize>,
    pub(super) layers: Vec<Layers>,
    pub(super) head: Option<Head>,
    pub(super) normalization: Normalization,
}

/// A linear layer.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) weight: Constant,
    /// Whether the weights are `[outputs, inputs]`.
    pub(super) outputs_first: bool,
    pub(super) bias: Option<Constant>,
}

impl Head {
    /// Outputs and inputs.
    pub(super) fn shape(&self) -> [usize; 2] {
        let [a, b] = [self.weight.dims[0], self.weight.dims[1]];
        if self.outputs_first { [a, b] } else { [b, a] }
    }
}

/// A value of the graph.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a graph has few values")]
enum Value {
    Stream(Stream),
    Constant(Constant),
    /// A tensor of zeros of any shape.
    Zeros,
    /// Something computed from shapes, or a state that a session keeps by itself.
    Other,
}

/// What the graph does with its input, as far as its first output that comes from recurrent layers.
pub(super) fn walk(graph: &Graph, file: &str) -> Result<Stream, Problem> {
    let mut values: HashMap<&str, Value> = HashMap::new();
    for (name, constant) in &graph.constants {
        values.insert(name, Value::Constant(constant.clone()));
    }
    for (name, dims) in &graph.inputs {
        values.insert(name, Value::Stream(Stream::input(dims)));
    }
    for node in &graph.nodes {
        let walker = Walker { file, node, values: &values };
        let outputs = walker.outputs()?;
        for (name, value) in node.outputs.iter().zip(outputs) {
            values.insert(name, value);
        }
    }
    let found = graph.outputs.iter().find_map(|name| match values.get(name.as_str()) {
        Some(Value::Stream(stream)) if !stream.layers.is_empty() => Some(stream.clone()),
        _ => None,
    });
    found.ok_or_else(|| Problem {
        file: file.to_owned(),
        subject: "graph".to_owned(),
        expected: "an output that comes from LSTM, GRU or RNN nodes".to_owned(),
        found: format!("the operations {}", operations(graph)),
        remedy: "whit imports recurrent models only from ONNX",
    })
}

fn operations(graph: &Graph) -> String {
    let mut names: Vec<&str> = graph.nodes.iter().map(|node| node.op.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(12);
    names.join(", ")
}

impl Stream {
    fn input(dims: &[Option<usize>]) -> Self {
        Self {
            axes: (0..dims.len()).map(Axis::Input).collect(),
            embedding: None,
            frame: dims.last().copied().flatten(),
            layers: Vec::new(),
            head: None,
            normalization: Normalization::None,
        }
    }

    fn has_feature(&self) -> bool {
        self.axes.last() == Some(&Axis::Feature)
    }

    /// Directions of the last layer, if they are still an axis of their own.
    fn apart(&self) -> bool {
        self.axes.contains(&Axis::Directions)
            && self.layers.last().is_some_and(|layers| layers.directions() > 1)
    }
}

/// One node, and the values before it.
struct Walker<'w> {
    file: &'w str,
    node: &'w Node,
    values: &'w HashMap<&'w str, Value>,
}

impl Walker<'_> {
    fn value(&self, i: usize) -> Option<&Value> {
        self.values.get(self.node.input(i))
    }

    fn constant(&self, i: usize) -> Option<&Constant> {
        match self.value(i) {
            Some(Value::Constant(constant)) => Some(constant),
            _ => None,
        }
    }

    fn stream(&self, i: usize) -> Option<&Stream> {
        match self.value(i) {
            Some(Value::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    fn problem(&self, expected: impl Into<String>, found: impl Into<String>) -> Problem {
        let Node { op, name, outputs, .. } = self.node;
        let output = outputs.iter().find(|output| !output.is_empty());
        let name = if name.is_empty() { output.unwrap_or(name) } else { name };
        Problem {
            file: self.file.to_owned(),
            subject: format!("node {op} `{name}`"),
            expected: expected.into(),
            found: found.into(),
            remedy: "whit does not compute this variant",
        }
    }

    fn outputs(&self) -> Result<Vec<Value>, Problem> {
        let stream = (0..self.node.inputs.len()).find_map(|i| Some((i, self.stream(i)?)));
        match (self.node.op.as_str(), stream) {
            ("LSTM" | "GRU" | "RNN", _) => self.recurrent(),
            ("Constant", _) => {
                let constant = self.node.tensor("value").cloned();
                Ok(vec![constant.map_or(Value::Other, Value::Constant)])
            }
            ("ConstantOfShape", _) => Ok(vec![Value::Zeros]),
            ("Shape", _) | (_, None) => Ok(vec![Value::Other; self.node.outputs.len()]),
            ("Gather", Some((1, stream))) if self.constant(0).is_some() => self.embedding(stream),
            // States that go in and come out are the session's.
            (_, Some((_, stream))) if stream.layers.is_empty() && !self.only_moves() => {
                Ok(vec![Value::Other; self.node.outputs.len()])
            }
            (_, Some((i, stream))) => self.one(i, stream.clone()).map(|stream| vec![Value::Stream(stream)]),
        }
    }

    /// Whether the operation leaves every number as it is.
    fn only_moves(&self) -> bool {
        matches!(
            self.node.op.as_str(),
            "Cast" | "Identity" | "Dropout" | "Transpose" | "Squeeze" | "Unsqueeze" | "Reshape"
        )
    }

    fn one(&self, at: usize, mut stream: Stream) -> Result<Stream, Problem> {
        match self.node.op.as_str() {
            "Cast" | "Identity" | "Dropout" => Ok(stream),
            "Transpose" => {
                let last = stream.axes.len() as i64 - 1;
                let reversed: Vec<i64> = (0..=last).rev().collect();
                let perm = self.node.ints("perm").unwrap_or(&reversed);
                let axes = perm.iter().map(|&axis| stream.axes.get(usize::try_from(axis).ok()?).copied());
                stream.axes = axes
                    .collect::<Option<_>>()
                    .ok_or_else(|| self.problem("axes that there are", format!("{perm:?}")))?;
                Ok(stream)
            }
            "Squeeze" => self.squeeze(stream),
            "Unsqueeze" => self.unsqueeze(stream),
            "Reshape" => self.reshape(stream),
            "MatMul" | "Gemm" if at == 0 => self.linear(stream),
            "Add" => self.bias(stream),
            "Softmax" | "Sigmoid" => self.normalize(stream),
            _ => Err(self.problem("an operation of a recurrent model", "this one")),
        }
    }

    /// The axes that the attribute or the second input names, counted from the front in a value of `rank`.
    fn axes(&self, rank: usize) -> Option<Vec<usize>> {
        let given = match self.constant(1) {
            Some(constant) => constant.ints.as_deref()?,
            None => self.node.ints("axes")?,
        };
        let rank = rank as i64;
        let from_front = |&axis: &i64| {
            let axis = if axis < 0 { axis + rank } else { axis };
            usize::try_from(axis).ok().filter(|_| axis < rank)
        };
        given.iter().map(from_front).collect()
    }

    fn squeeze(&self, mut stream: Stream) -> Result<Stream, Problem> {
        let axes = self.axes(stream.axes.len());
        let axes = axes.ok_or_else(|| self.problem("axes that are constant", "none"))?;
        if stream.apart() && axes.iter().any(|&axis| stream.axes[axis] == Axis::Directions) {
            return Err(self.problem("an axis of size one", "both directions"));
        }
        let mut i = 0;
        stream.axes.retain(|_| {
            i += 1;
            !axes.contains(&(i - 1))
        });
        Ok(stream)
    }

    fn unsqueeze(&self, mut stream: Stream) -> Result<Stream, Problem> {
        let axes =
            self.node.ints("axes").map_or(1, <[i64]>::len).max(self.constant(1).map_or(1, Constant::len));
        let mut axes = self
            .axes(stream.axes.len() + axes)
            .ok_or_else(|| self.problem("axes that are constant", "none"))?;
        axes.sort_unstable();
        for axis in axes {
            stream.axes.insert(axis.min(stream.axes.len()), Axis::One);
        }
        Ok(stream)
    }

    /// Directions and elements become one axis, or nothing becomes of them.
    fn reshape(&self, mut stream: Stream) -> Result<Stream, Problem> {
        let target = self.constant(1).and_then(|constant| constant.ints.clone());
        let target =
            target.ok_or_else(|| self.problem("a shape that is constant", "one that is computed"))?;
        let merged = match &stream.axes[..] {
            [rest @ .., Axis::Directions, Axis::Feature] => [rest, &[Axis::Feature]].concat(),
            _ => return Err(self.problem("directions and elements, to be joined", format!("{target:?}"))),
        };
        let width = stream.layers.last().map_or(0, Layers::width) as i64;
        let fits = target.len() == merged.len() && target.last().is_some_and(|&n| n == -1 || n == width);
        if !fits {
            let expected = format!("{} axes, the last of {width} elements", merged.len());
            return Err(self.problem(expected, format!("{target:?}")));
        }
        stream.axes = merged;
        Ok(stream)
    }

    fn embedding(&self, stream: &Stream) -> Result<Vec<Value>, Problem> {
        let table = self.constant(0).filter(|table| table.dims.len() == 2).cloned();
        let table = table.ok_or_else(|| self.problem("a table of two axes", "another"))?;
        if !stream.layers.is_empty() || stream.embedding.is_some() || self.node.int("axis", 0) != 0 {
            return Err(self.problem("rows of a table, chosen by what is fed", "another use"));
        }
        let mut stream = stream.clone();
        stream.axes.push(Axis::Feature);
        stream.embedding = Some(table);
        Ok(vec![Value::Stream(stream)])
    }

    fn recurrent(&self) -> Result<Vec<Value>, Problem> {
        let Some(stream) = self.stream(0) else {
            return Err(self.problem("an input that is fed, embedded or of a layer", "another"));
        };
        let constants = [1, 2, 3].map(|i| self.constant(i).cloned());
        if !self.node.input(4).is_empty() || !self.node.input(7).is_empty() {
            let which = if self.node.input(7).is_empty() { "lengths of sequences" } else { "peepholes" };
            return Err(self.problem("a layer without them", which));
        }
        let states = 5..if self.node.op == "LSTM" { 7 } else { 6 };
        for i in states.filter(|&i| !self.node.input(i).is_empty()) {
            match self.value(i) {
                // A state that is fed is the session's own.
                Some(Value::Zeros | Value::Other) => {}
                Some(Value::Stream(stream)) if stream.layers.is_empty() => {}
                Some(Value::Constant(constant)) if constant.is_zero => {}
                _ => return Err(self.problem("an initial state of zeros, or one that is fed", "another")),
            }
        }
        let kind = Kind::of(&self.node.op);
        let layers = Layers::new(self.node, kind, constants)
            .map_err(|(expected, found)| self.problem(expected, found))?;
        if stream.head.is_some() || stream.apart() || !self.fits(stream, &layers) {
            return Err(self.problem("vectors of what is fed or of the layer before", "others"));
        }
        let mut after = stream.clone();
        // Axis 0 of a layer's input, or with layout 1 axis 1, is the sequence.
        let outer = [stream.axes[0], stream.axes[1]];
        let by_batch = self.node.int("layout", 0) == 1;
        after.axes = match by_batch {
            true => vec![outer[0], outer[1], Axis::Directions, Axis::Feature],
            false => vec![outer[0], Axis::Directions, outer[1], Axis::Feature],
        };
        after.layers.push(layers);
        let mut last = after.clone();
        last.axes.remove(usize::from(by_batch));
        // The last state is the last output where sequences are read forward.
        let is_forward = last.layers.iter().all(|layers| layers.is_forward());
        let last = if is_forward { Value::Stream(last) } else { Value::Other };
        Ok(vec![Value::Stream(after), last, Value::Other])
    }

    /// Whether the vectors of `stream` are as wide as the layer's input, one axis behind two others.
    fn fits(&self, stream: &Stream, layers: &Layers) -> bool {
        let width = match (stream.layers.last(), &stream.embedding) {
            (Some(before), _) => before.width(),
            (None, Some(table)) => table.dims[1],
            (None, None) => stream.frame.unwrap_or(layers.input),
        };
        stream.axes.len() == 3 && width == layers.input
    }

    fn linear(&self, mut stream: Stream) -> Result<Stream, Problem> {
        let gemm = self.node.op == "Gemm";
        let plain = !gemm
            || (self.node.int("transA", 0) == 0
                && self.node.real("alpha", 1.0) == 1.0
                && self.node.real("beta", 1.0) == 1.0);
        let weight = self.constant(1).filter(|weight| weight.dims.len() == 2);
        let (Some(weight), true) = (weight, plain) else {
            return Err(self.problem("vectors times a constant matrix", "another product"));
        };
        if stream.head.is_some() || stream.apart() || !stream.has_feature() {
            return Err(self.problem("one linear layer behind the recurrent ones", "another"));
        }
        let bias = if gemm { self.constant(2).cloned() } else { None };
        let outputs_first = gemm && self.node.int("transB", 0) == 1;
        let head = Head { weight: weight.clone(), outputs_first, bias };
        let width = stream.layers.last().map_or(0, Layers::width);
        let [rows, cols] = head.shape();
        if cols != width || head.bias.as_ref().is_some_and(|bias| bias.len() != rows) {
            return Err(self.problem(format!("a matrix for vectors of {width}"), format!("{rows} × {cols}")));
        }
        stream.head = Some(head);
        Ok(stream)
    }

    fn bias(&self, mut stream: Stream) -> Result<Stream, Problem> {
        let constant = self.constant(0).or(self.constant(1)).cloned();
        match (&mut stream.head, constant) {
            (Some(head), Some(bias))
                if head.bias.is_none()
                    && bias.len() == head.shape()[0]
                    && stream.normalization == Normalization::None =>
            {
                head.bias = Some(bias);
                Ok(stream)
            }
            _ => Err(self.problem("the bias of a linear layer", "another sum")),
        }
    }

    fn normalize(&self, mut stream: Stream) -> Result<Stream, Problem> {
        let last = stream.axes.len() as i64 - 1;
        let axis = self.node.int("axis", -1);
        let over_vectors = self.node.op == "Sigmoid" || axis == -1 || axis == last;
        if !over_vectors || !stream.has_feature() || stream.normalization != Normalization::None {
            return Err(self.problem("one softmax or sigmoid over a vector", "another"));
        }
        stream.normalization =
            if self.node.op == "Softmax" { Normalization::Softmax } else { Normalization::Sigmoid };
        Ok(stream)
    }
}
