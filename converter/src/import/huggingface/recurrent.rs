//! Recurrent models with the tensor names of PyTorch's `nn.LSTM`, `nn.GRU` and `nn.RNN`, and a small `config.json`;
//! `converter/README.md` has its fields.
//!
//! PyTorch's gates are i, f, g, o and r, z, n; a file's i, f, g, o and z, r, n. Its two biases of a gate are added,
//! but for those of a GRU's candidate, of which the reset gate weighs one.

use super::config::Fields;
use super::shards::Shards;
use super::{TokenizerRequest, all_well, card, family, special_tokens};
use crate::checkpoint::{Checkpoint, Rows, Tensor};
use crate::import::ImportError;
use crate::import::recurrent::{Layer, tensor};
use crate::import::rows::{Order, Stored, Values};
use std::path::Path;
use whit::format::{Cell, Direction, MOST_RECURRENT_LAYERS, Normalization, Recurrent, Role, Slots};

/// Names that an embedding or an output head may have; the first is what messages ask for.
const EMBEDDING: [&str; 6] =
    ["embedding.weight", "embed.weight", "embeddings.weight", "emb.weight", "encoder.weight", "wte.weight"];
const HEAD: [&str; 8] = [
    "head.weight",
    "decoder.weight",
    "fc.weight",
    "linear.weight",
    "out.weight",
    "output.weight",
    "classifier.weight",
    "lm_head.weight",
];
const FIRST: &str = "weight_ih_l0";

/// Prefix that names may have.
const PREFIX: &str = "model.";

/// The kind of layers that `model_type` names, if it names one.
pub(super) fn kind(fields: &Fields) -> Option<Kind> {
    match fields.get("model_type")?.as_str()? {
        "lstm" => Some(Kind::Lstm),
        "gru" => Some(Kind::Gru),
        "rnn" => Some(Kind::Rnn),
        _ => None,
    }
}

/// Modules of PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lstm,
    Gru,
    Rnn,
}

/// Reads the model in `directory`, whose configuration is in `fields`; `tokenizer` gives the tokenizer section.
pub(super) fn import(
    directory: &Path,
    mut fields: Fields,
    kind: Kind,
    tokenizer: impl FnOnce(&TokenizerRequest<'_>) -> Result<Vec<u8>, ImportError>,
) -> Result<Checkpoint<'static>, ImportError> {
    let mut recurrent = read(&mut fields, kind);
    let special = special_tokens(directory, &mut fields)?;
    all_well(fields.into_problems())?;

    let mut shards = Shards::open(directory, PREFIX)?;
    let names = Names::find(&shards);
    recurrent.head_bias = recurrent.head > 0 && shards.shape(&names.head_bias).is_some();
    let mut problems = Vec::new();
    family::check(&recurrent.into(), &mut problems);
    all_well(problems)?;
    if recurrent.tied {
        shards.ignore(|name| name == names.head);
    }
    let tensors = tensors(&recurrent, &names, &mut shards);
    let metadata = card::metadata(directory, kind.name(), &shards.dtypes());
    all_well(shards.into_problems())?;

    let vocabulary = recurrent.vocabulary;
    let request = TokenizerRequest {
        directory,
        vocabulary,
        beginning: special.beginning,
        ends: &special.ends,
        optional: true,
    };
    let tokenizer = if vocabulary > 0 { tokenizer(&request)? } else { Vec::new() };
    Ok(Checkpoint { architecture: recurrent.into(), tensors, tokenizer, stop_tokens: special.ends, metadata })
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
            Self::Rnn => "RNN",
        }
    }
}

/// The configuration; `fields` keeps the problems.
fn read(fields: &mut Fields, kind: Kind) -> Recurrent {
    const WIDEST: u32 = u16::MAX as u32;
    let absent = |fields: &Fields, name: &str| fields.get(name).is_none_or(|value| *value == 0);
    let vocabulary = if absent(fields, "vocab_size") { 0 } else { fields.count("vocab_size", None, 1 << 24) };
    let width = fields.count("hidden_size", None, WIDEST);
    let input = fields.count("input_size", (vocabulary > 0).then_some(width), 1 << 16);
    let layers = fields.count("num_layers", Some(1), MOST_RECURRENT_LAYERS as u32);
    let proj = if absent(fields, "proj_size") { 0 } else { fields.count("proj_size", None, WIDEST) };
    if proj > 0 && kind != Kind::Lstm {
        fields.problem("proj_size", "0: only LSTMs have a projection", proj.to_string(), "");
    }
    let head = match fields.get("output_size") {
        Some(value) if *value == 0 => 0,
        Some(_) => fields.count("output_size", None, 1 << 24),
        None => vocabulary,
    };
    let of_layers = |width: u32| {
        let mut widths = [0; MOST_RECURRENT_LAYERS];
        // Both are at most `WIDEST` and the array's length.
        widths[..layers as usize].fill(width as u16);
        widths
    };
    Recurrent {
        vocabulary,
        input,
        layers,
        head,
        cell: cell(fields, kind),
        direction: if fields.flag("bidirectional", false) { Direction::Both } else { Direction::Forward },
        normalization: normalization(fields),
        tied: fields.flag("tie_word_embeddings", false),
        bias: fields.flag("bias", true),
        head_bias: false,
        projected: proj > 0,
        hidden: of_layers(width),
        projection: of_layers(proj),
    }
}

fn cell(fields: &mut Fields, kind: Kind) -> Cell {
    match kind {
        Kind::Lstm => Cell::Lstm,
        Kind::Gru if fields.flag("reset_after", true) => Cell::GruResetAfter,
        Kind::Gru => Cell::GruResetBefore,
        Kind::Rnn => match fields.text("nonlinearity", "tanh").as_str() {
            "tanh" => Cell::Tanh,
            "relu" => Cell::Relu,
            other => {
                fields.problem("nonlinearity", "`tanh` or `relu`", format!("`{other}`"), "");
                Cell::Tanh
            }
        },
    }
}

fn normalization(fields: &mut Fields) -> Normalization {
    match fields.text("output", "none").as_str() {
        "none" => Normalization::None,
        "softmax" => Normalization::Softmax,
        "sigmoid" => Normalization::Sigmoid,
        other => {
            fields.problem("output", "`none`, `softmax` or `sigmoid`", format!("`{other}`"), "");
            Normalization::None
        }
    }
}

/// What the tensors of a checkpoint are called.
struct Names {
    embedding: String,
    /// In front of `weight_ih_l0` and the others of its module.
    module: String,
    head: String,
    head_bias: String,
}

impl Names {
    /// The names that are there; of what is missing, those that messages ask for.
    fn find(shards: &Shards) -> Self {
        let known = |names: &[&str]| {
            let there = names.iter().find(|name| shards.shape(name).is_some());
            (*there.unwrap_or(&names[0])).to_owned()
        };
        let head = known(&HEAD);
        Self {
            embedding: known(&EMBEDDING),
            module: shards.names().find_map(|name| name.strip_suffix(FIRST)).unwrap_or_default().to_owned(),
            head_bias: format!("{}bias", head.trim_end_matches("weight")),
            head,
        }
    }
}

/// All tensors that are there; `shards` keeps the problems.
fn tensors(recurrent: &Recurrent, names: &Names, shards: &mut Shards) -> Vec<Tensor<'static>> {
    let directions = recurrent.directions();
    let layers: Vec<Vec<Option<Layer>>> = (0..recurrent.layers as usize)
        .map(|layer| {
            (0..directions).map(|direction| take(recurrent, names, shards, layer, direction)).collect()
        })
        .collect();
    let mut tensors = Vec::new();
    for (role, layer) in Slots::new(&(*recurrent).into()).iter() {
        let shape = recurrent.shape(role, layer);
        let mut one = |name: &String, is_matrix: bool| -> Option<(String, Box<dyn Rows>)> {
            let stored = match is_matrix {
                true => shards.matrix(name, [shape.0, shape.1], Order::Rows),
                false => shards.vector(name, shape.1),
            };
            Some((name.clone(), Box::new(stored?)))
        };
        let found = match role {
            Role::Embedding => one(&names.embedding, true),
            Role::Head => one(&names.head, true),
            Role::HeadBias => one(&names.head_bias, false),
            role => {
                let parts: Option<Vec<&Layer>> =
                    layers[usize::from(layer)].iter().map(Option::as_ref).collect();
                parts.map(|parts| (format!("{}*_l{layer}", names.module), tensor(recurrent, role, &parts)))
            }
        };
        tensors.extend(found.map(|(source, rows)| Tensor { role, layer, source, rows }));
    }
    tensors
}

/// The tensors of one direction of a layer, its gates in the order of a file.
fn take(
    recurrent: &Recurrent,
    names: &Names,
    shards: &mut Shards,
    layer: usize,
    direction: usize,
) -> Option<Layer> {
    let suffix = if direction == 0 { "" } else { "_reverse" };
    let name = |kind: &str| format!("{}{kind}_l{layer}{suffix}", names.module);
    let (hidden, state) = (recurrent.hidden(layer), recurrent.state(layer));
    let rows = recurrent.cell.gates() * hidden;
    // All are taken before the first problem ends this layer, so that all are reported.
    let input = shards.matrix(&name("weight_ih"), [rows, recurrent.layer_input(layer)], Order::Rows);
    let of_state = shards.matrix(&name("weight_hh"), [rows, state], Order::Rows);
    let biases = recurrent.bias.then(|| ["bias_ih", "bias_hh"].map(|kind| shards.vector(&name(kind), rows)));
    let projection =
        recurrent.projected.then(|| shards.matrix(&name("weight_hr"), [state, hidden], Order::Rows));
    let [input_bias, state_bias] = match biases {
        None => [const { Vec::new() }; 2],
        Some([input, of_state]) => [numbers(&input?), numbers(&of_state?)],
    };
    let order = gate_order(recurrent.cell);
    let gates = |matrix: Stored| -> Vec<Stored> {
        order.iter().map(|gate| matrix.part(gate * hidden..(gate + 1) * hidden)).collect()
    };
    let biases = |bias: Vec<f32>| -> Vec<Vec<f32>> {
        let gate = |gate: &usize| bias[gate * hidden..(gate + 1) * hidden].to_vec();
        if bias.is_empty() { Vec::new() } else { order.iter().map(gate).collect() }
    };
    Some(Layer {
        input: gates(input?),
        state: gates(of_state?),
        input_bias: biases(input_bias),
        state_bias: biases(state_bias),
        projection: projection.map_or(Some(None), |projection| projection.map(Some))?,
    })
}

/// PyTorch's gates in the order of a file.
fn gate_order(cell: Cell) -> &'static [usize] {
    match cell {
        Cell::Lstm => &[0, 1, 2, 3],
        Cell::GruResetAfter | Cell::GruResetBefore => &[1, 0, 2],
        Cell::Tanh | Cell::Relu => &[0],
    }
}

fn numbers(vector: &Stored) -> Vec<f32> {
    Values::joined(std::slice::from_ref(vector)).0
}
