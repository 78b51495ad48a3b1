//! The description of a recurrent model in words.

use serde::Serialize;
use whit::format::{Cell, Direction, Normalization, Recurrent};

/// [`Recurrent`] as it is shown: the same fields, choices as words.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are those of whit::format::Recurrent")]
pub struct RecurrentWords {
    /// `recurrent`.
    pub kind: &'static str,
    /// Tokens that can be fed; 0 where frames are.
    pub vocabulary: u32,
    pub input: u32,
    pub layers: u32,
    /// `lstm`, `gru_reset_after`, `gru_reset_before`, `tanh` or `relu`.
    pub cell: &'static str,
    /// `forward`, `reverse` or `both`.
    pub direction: &'static str,
    /// Width of every layer's cell.
    pub hidden: Vec<u16>,
    /// Width of every layer's projected state, if there are projections.
    pub projection: Vec<u16>,
    /// Numbers that come out for every token or frame.
    pub outputs: usize,
    /// `none`, `softmax` or `sigmoid`.
    pub normalization: &'static str,
    /// Whether there is an output head.
    pub head: bool,
    pub tied: bool,
    /// What has a bias: `layers`, `head`.
    pub biases: Vec<&'static str>,
    /// Whether a text can be continued.
    pub language_model: bool,
}

impl RecurrentWords {
    /// The words for `recurrent`.
    pub fn of(recurrent: &Recurrent) -> Self {
        let layers = recurrent.layers as usize;
        let biases = [("layers", recurrent.bias), ("head", recurrent.head_bias)];
        Self {
            kind: "recurrent",
            vocabulary: recurrent.vocabulary,
            input: recurrent.input,
            layers: recurrent.layers,
            cell: cell(recurrent.cell),
            direction: match recurrent.direction {
                Direction::Forward => "forward",
                Direction::Reverse => "reverse",
                Direction::Both => "both",
            },
            hidden: recurrent.hidden[..layers].to_vec(),
            projection: if recurrent.projected { recurrent.projection[..layers].to_vec() } else { vec![] },
            outputs: recurrent.outputs(),
            normalization: match recurrent.normalization {
                Normalization::None => "none",
                Normalization::Softmax => "softmax",
                Normalization::Sigmoid => "sigmoid",
            },
            head: recurrent.head > 0,
            tied: recurrent.tied,
            biases: biases.into_iter().filter_map(|(name, there)| there.then_some(name)).collect(),
            language_model: recurrent.is_language_model(),
        }
    }
}

fn cell(cell: Cell) -> &'static str {
    match cell {
        Cell::Lstm => "lstm",
        Cell::GruResetAfter => "gru_reset_after",
        Cell::GruResetBefore => "gru_reset_before",
        Cell::Tanh => "tanh",
        Cell::Relu => "relu",
    }
}
