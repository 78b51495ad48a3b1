//! Recurrent models with random weights.

use whit::format::{Cell, Direction, MOST_RECURRENT_LAYERS, Normalization, Recurrent};

/// A character model of two LSTM layers in which no size is a multiple of anything.
pub fn lstm() -> Recurrent {
    Recurrent {
        vocabulary: 67,
        input: 21,
        layers: 2,
        head: 67,
        cell: Cell::Lstm,
        direction: Direction::Forward,
        normalization: Normalization::None,
        tied: false,
        bias: true,
        head_bias: true,
        projected: false,
        hidden: widths(&[35, 18]),
        projection: widths(&[]),
    }
}

/// Widths of as many layers as are given.
pub fn widths(widths: &[u16]) -> [u16; MOST_RECURRENT_LAYERS] {
    let mut all = [0; MOST_RECURRENT_LAYERS];
    all[..widths.len()].copy_from_slice(widths);
    all
}

/// Models that between them use every choice of the description; those that predict tokens first.
pub fn recurrents() -> Vec<(&'static str, Recurrent)> {
    let lstm = lstm();
    let both = Recurrent { direction: Direction::Both, ..lstm };
    let frames = Recurrent { vocabulary: 0, input: 13, head: 5, ..lstm };
    vec![
        ("lstm", lstm),
        ("lstm without biases, tied", tied_lstm()),
        ("projected lstm", Recurrent { projected: true, projection: widths(&[11, 29]), ..lstm }),
        ("gru, reset after", Recurrent { cell: Cell::GruResetAfter, ..lstm }),
        ("gru, reset after, no biases", Recurrent { cell: Cell::GruResetAfter, bias: false, ..lstm }),
        ("gru, reset before", Recurrent { cell: Cell::GruResetBefore, ..lstm }),
        ("tanh", Recurrent { cell: Cell::Tanh, ..lstm }),
        ("relu", Recurrent { cell: Cell::Relu, ..lstm }),
        ("tagger", Recurrent { head: 4, normalization: Normalization::Softmax, ..both }),
        ("gru tagger", Recurrent { cell: Cell::GruResetAfter, head: 3, ..both }),
        (
            "gru tagger, reset before",
            Recurrent { cell: Cell::GruResetBefore, head: 0, head_bias: false, ..both },
        ),
        (
            "projected tagger",
            Recurrent { projected: true, projection: widths(&[7, 9]), head: 3, head_bias: false, ..both },
        ),
        ("reader from the end", Recurrent { direction: Direction::Reverse, head: 3, ..lstm }),
        ("frames", Recurrent { normalization: Normalization::Sigmoid, ..frames }),
        ("frames to vectors", Recurrent { head: 0, head_bias: false, ..frames }),
        ("frames from both ends", Recurrent { direction: Direction::Both, cell: Cell::Tanh, ..frames }),
    ]
}

fn tied_lstm() -> Recurrent {
    Recurrent { input: 18, tied: true, bias: false, head_bias: false, ..lstm() }
}
