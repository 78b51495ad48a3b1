//! Recurrent checkpoints as PyTorch saves them, with random weights, and what PyTorch computes with them: the formulas
//! of its documentation in f64, in its own order of gates.

use crate::synthetic::Random;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

type Vector = Vec<f64>;

/// A module of PyTorch and what stands around it.
#[derive(Clone, Debug)]
pub struct Torch {
    /// `lstm`, `gru` or `rnn`.
    pub kind: &'static str,
    /// Tokens; 0 for frames.
    pub vocabulary: usize,
    /// Width of embedding or frame.
    pub input: usize,
    /// Width of the cells.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Width of projected states, or 0.
    pub projection: usize,
    /// Whether sequences are read from both ends.
    pub both: bool,
    /// Whether layers and head have biases.
    pub bias: bool,
    /// Rows of the head, or 0.
    pub outputs: usize,
    /// Names of embedding, module and head, as their authors chose.
    pub names: [&'static str; 3],
    /// By name; shape and numbers.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Torch {
    /// A character model with random weights, but for `change`.
    pub fn new(kind: &'static str, change: impl FnOnce(&mut Self)) -> Self {
        let mut this = Self {
            kind,
            vocabulary: 11,
            input: 5,
            hidden: 6,
            layers: 2,
            projection: 0,
            both: false,
            bias: true,
            outputs: 11,
            names: ["embedding", kind, "head"],
            tensors: BTreeMap::new(),
        };
        change(&mut this);
        this.fill();
        this
    }

    fn state(&self) -> usize {
        if self.projection > 0 { self.projection } else { self.hidden }
    }

    fn gates(&self) -> usize {
        match self.kind {
            "lstm" => 4,
            "gru" => 3,
            _ => 1,
        }
    }

    fn suffixes(&self) -> &'static [&'static str] {
        if self.both { &["", "_reverse"] } else { &[""] }
    }

    fn fill(&mut self) {
        let mut random = Random(77);
        let [embedding, module, head] = self.names;
        let dot = if module.is_empty() { "" } else { "." };
        let (rows, state, top) =
            (self.gates() * self.hidden, self.state(), self.suffixes().len() * self.state());
        let mut shapes = Vec::new();
        if self.vocabulary > 0 {
            shapes.push((format!("{embedding}.weight"), vec![self.vocabulary, self.input]));
        }
        for layer in 0..self.layers {
            for suffix in self.suffixes() {
                let name = |part: &str| format!("{module}{dot}{part}_l{layer}{suffix}");
                let input = if layer == 0 { self.input } else { top };
                shapes.push((name("weight_ih"), vec![rows, input]));
                shapes.push((name("weight_hh"), vec![rows, state]));
                if self.bias {
                    shapes.push((name("bias_ih"), vec![rows]));
                    shapes.push((name("bias_hh"), vec![rows]));
                }
                if self.projection > 0 {
                    shapes.push((name("weight_hr"), vec![state, self.hidden]));
                }
            }
        }
        if self.outputs > 0 {
            shapes.push((format!("{head}.weight"), vec![self.outputs, top]));
            if self.bias {
                shapes.push((format!("{head}.bias"), vec![self.outputs]));
            }
        }
        for (name, shape) in shapes {
            let numbers = (0..shape.iter().product()).map(|_| random.uniform()).collect();
            self.tensors.insert(name, (shape, numbers));
        }
    }

    /// `config.json`.
    pub fn config(&self) -> Value {
        json!({
            "model_type": self.kind,
            "vocab_size": self.vocabulary,
            "input_size": self.input,
            "hidden_size": self.hidden,
            "num_layers": self.layers,
            "proj_size": self.projection,
            "bidirectional": self.both,
            "bias": self.bias,
            "output_size": self.outputs,
        })
    }

    /// Writes `config.json` and `model.safetensors`.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn write(&self, folder: &Path, config: &Value) {
        std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, (shape, numbers)) in &self.tensors {
            let start = data.len();
            data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            let offsets = [start, data.len()];
            header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
        }
        let header = Value::Object(header).to_string().into_bytes();
        let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        std::fs::write(folder.join("model.safetensors"), file).expect("written");
    }

    /// What PyTorch computes for token ids, or for frames.
    pub fn outputs(&self, inputs: &[Vector]) -> Vec<Vector> {
        let mut vectors = inputs.to_vec();
        for layer in 0..self.layers {
            let mut sides: Vec<Vec<Vector>> = Vec::new();
            for suffix in self.suffixes() {
                let mut sequence = vectors.clone();
                if !suffix.is_empty() {
                    sequence.reverse();
                }
                let (mut h, mut c) = (vec![0.0; self.state()], vec![0.0; self.hidden]);
                for x in &mut sequence {
                    h = self.step(layer, suffix, x, &h, &mut c);
                    x.clone_from(&h);
                }
                if !suffix.is_empty() {
                    sequence.reverse();
                }
                sides.push(sequence);
            }
            vectors =
                (0..inputs.len()).map(|t| sides.iter().flat_map(|side| side[t].clone()).collect()).collect();
        }
        if self.outputs == 0 {
            return vectors;
        }
        let head = self.names[2];
        vectors.iter().map(|x| self.linear(&format!("{head}.weight"), &format!("{head}.bias"), x)).collect()
    }

    /// Rows of the embedding.
    pub fn embedded(&self, ids: &[u32]) -> Vec<Vector> {
        let (_, numbers) = &self.tensors[&format!("{}.weight", self.names[0])];
        let row = |&id: &u32| numbers[id as usize * self.input..][..self.input].iter().map(|&x| x.into());
        ids.iter().map(|id| row(id).collect()).collect()
    }

    fn step(&self, layer: usize, suffix: &str, x: &Vector, h: &Vector, c: &mut Vector) -> Vector {
        let module = self.names[1];
        let dot = if module.is_empty() { "" } else { "." };
        let name = |part: &str| format!("{module}{dot}{part}_l{layer}{suffix}");
        let own = self.linear(&name("weight_ih"), &name("bias_ih"), x);
        let fed = self.linear(&name("weight_hh"), &name("bias_hh"), h);
        let n = self.hidden;
        let both = |at: usize| own[at] + fed[at];
        match self.kind {
            "lstm" => {
                let y: Vector = (0..n)
                    .map(|k| {
                        let (i, f) = (sigmoid(both(k)), sigmoid(both(n + k)));
                        let (g, o) = (both(2 * n + k).tanh(), sigmoid(both(3 * n + k)));
                        c[k] = f * c[k] + i * g;
                        o * c[k].tanh()
                    })
                    .collect();
                if self.projection > 0 { self.linear(&name("weight_hr"), "", &y) } else { y }
            }
            "gru" => (0..n)
                .map(|k| {
                    let (r, z) = (sigmoid(both(k)), sigmoid(both(n + k)));
                    let new = (own[2 * n + k] + r * fed[2 * n + k]).tanh();
                    (1.0 - z) * new + z * h[k]
                })
                .collect(),
            _ => (0..n).map(|k| both(k).tanh()).collect(),
        }
    }

    /// weight × x, plus the bias where there is one of that name.
    fn linear(&self, weight: &str, bias: &str, x: &Vector) -> Vector {
        let (shape, numbers) = &self.tensors[weight];
        let bias = self.tensors.get(bias).map(|(_, numbers)| numbers);
        let row = |row: usize| {
            let weights = &numbers[row * shape[1]..][..shape[1]];
            let sum: f64 = weights.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
            sum + bias.map_or(0.0, |bias| bias[row].into())
        };
        (0..shape[0]).map(row).collect()
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
