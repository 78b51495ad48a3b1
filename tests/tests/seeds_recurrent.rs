//! The published worked examples of recurrent cells, as files that the runtime runs.
//!
//! `rnn.vanishing` is a power of a number; attention over an encoder's states (`rnn.decoder_step`'s context) is an
//! input like any other to the cell.

use serde_json::Value;
use whit::format::{Architecture, Cell, Direction, Encoding, Normalization, Recurrent, Role, Slots};
use whit::kernels::cells;
use whit::{AlignedBytes, Model, SessionOptions};
use whit_tests::examples::{assert_expected, assert_near, examples, list, matrix, number, vector};
use whit_tests::synthetic::{Encodings, model_with, widths};

/// One layer of two elements over frames of two numbers, without a head.
fn small(cell: Cell) -> Recurrent {
    Recurrent {
        vocabulary: 0,
        input: 2,
        layers: 1,
        head: 0,
        cell,
        direction: Direction::Forward,
        normalization: Normalization::None,
        tied: false,
        bias: true,
        head_bias: false,
        projected: false,
        hidden: widths(&[2]),
        projection: widths(&[]),
    }
}

/// The states after every one of the example's inputs.
fn states(
    recurrent: Recurrent,
    example: &Value,
    weights: impl FnMut(Role, u16) -> Vec<f32>,
) -> Vec<Vec<f32>> {
    let bytes = model_with(recurrent, Encodings::all(Encoding::F32), &[], weights);
    let model = Model::parse(&bytes).expect("parses");
    let frames = matrix(&example["inputs"]["xs"]);
    let options = SessionOptions { batch: frames.len(), ..model.options(1) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let mut states = Vec::new();
    session.feed_frames(&frames.concat(), |_, h| states.push(h.to_vec())).expect("whole frames");
    states
}

fn assert_states(example: &Value, found: &[Vec<f32>]) {
    let expected = list(&example["expected"]["h"]);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_near(example, "h", found, expected);
    }
}

#[test]
fn lstm_in_both_orders_of_columns() {
    let Some(examples) = examples("rnn.lstm") else { return };
    assert_eq!(examples.len(), 4);
    for example in examples {
        let inputs = &example["inputs"];
        assert!([&inputs["h0"], &inputs["c0"]].iter().all(|start| vector(start).iter().all(|&x| x == 0.0)));
        let input_first = inputs["order"] == "[x,h]";
        let columns = |first: bool| -> Vec<f32> {
            let gates = ["w_i", "w_f", "w_g", "w_o"].map(|gate| matrix(&inputs[gate]));
            let rows = gates.iter().flatten();
            rows.flat_map(|row| if first { row[..2].to_vec() } else { row[2..].to_vec() }).collect()
        };
        let found = states(small(Cell::Lstm), &example, |role, _| match role {
            Role::RecurrentInput => columns(input_first),
            Role::RecurrentHidden => columns(!input_first),
            Role::RecurrentInputBias => {
                ["b_i", "b_f", "b_g", "b_o"].iter().flat_map(|gate| vector(&inputs[gate])).collect()
            }
            role => panic!("{role:?}"),
        });
        assert_states(&example, &found);
    }
}

/// The gates are given; what they come from is found backwards.
#[test]
fn lstm_update_of_one_step() {
    let Some(examples) = examples("rnn.lstm_update") else { return };
    let logit = |p: f64| (p / (1.0 - p)).ln() as f32;
    for example in examples {
        let inputs = &example["inputs"];
        let of = |name: &str, back: &dyn Fn(f64) -> f32| -> Vec<f32> {
            list(&inputs[name]).iter().map(|value| back(number(value))).collect()
        };
        let candidate = of("candidate", &|g| g.atanh() as f32);
        let gates = [of("input", &logit), of("forget", &logit), candidate, of("output", &logit)].concat();
        let mut c = vector(&inputs["c_prev"]);
        let mut h = vec![0.0; c.len()];
        cells::lstm::<cells::Precise>(&gates, &vec![0.0; gates.len()], &mut c, &mut h);
        assert_expected(&example, "c", &c);
        assert_expected(&example, "h", &h);
    }
}

#[test]
fn gru_with_the_reset_on_either_side_and_z_of_either_meaning() {
    let Some(examples) = examples("rnn.gru") else { return };
    assert_eq!(examples.len(), 2);
    for example in examples {
        let inputs = &example["inputs"];
        let convention = inputs["convention"].as_str().expect("a text");
        let before = convention.contains("before the matrix product");
        // The file's z weighs the old state.
        let sign = if convention.contains("(1-z)*h_prev") { -1.0 } else { 1.0 };
        let gate = |name: &str, gate: &str| -> Vec<f32> {
            let value = &inputs[format!("{name}_{gate}")];
            let flat = if value[0].is_array() { matrix(value).concat() } else { vector(value) };
            flat.into_iter().map(|x| if gate == "z" { sign * x } else { x }).collect()
        };
        let cell = if before { Cell::GruResetBefore } else { Cell::GruResetAfter };
        let all = |name: &str, gates: &[&str]| gates.iter().flat_map(|g| gate(name, g)).collect();
        let found = states(small(cell), &example, |role, _| match role {
            Role::RecurrentInput => all("wx", &["z", "r", "n"]),
            Role::RecurrentInputBias => all("b", &["z", "r", "n"]),
            Role::RecurrentHidden if before => all("wh", &["z", "r"]),
            Role::RecurrentHidden => all("wh", &["z", "r", "n"]),
            Role::RecurrentCandidate => all("wh", &["n"]),
            Role::RecurrentCandidateBias => all("bh", &["n"]),
            role => panic!("{role:?}"),
        });
        assert_states(&example, &found);
    }
}

#[test]
fn elman_of_both_functions_and_from_both_ends() {
    let (Some(one), Some(both)) = (examples("rnn.elman"), examples("rnn.bidirectional")) else { return };
    assert_eq!((one.len(), both.len()), (2, 1));
    for example in one.into_iter().chain(both) {
        let inputs = &example["inputs"];
        let directions = match inputs.get("forward") {
            Some(forward) => vec![forward, &inputs["backward"]],
            None => vec![inputs],
        };
        let cell = if inputs["activation"] == "relu" { Cell::Relu } else { Cell::Tanh };
        let direction = if directions.len() == 2 { Direction::Both } else { Direction::Forward };
        let all = |name: &str| directions.iter().flat_map(|d| matrix(&d[name]).concat()).collect();
        let found = states(Recurrent { direction, ..small(cell) }, &example, |role, _| match role {
            Role::RecurrentInput => all("wx"),
            Role::RecurrentInputBias => directions.iter().flat_map(|d| vector(&d["b"])).collect(),
            Role::RecurrentHidden => matrix(&directions[0]["wh"]).concat(),
            Role::RecurrentHiddenReverse => matrix(&directions[1]["wh"]).concat(),
            role => panic!("{role:?}"),
        });
        assert_states(&example, &found);
    }
}

#[test]
fn a_decoder_s_step_is_a_cell_over_word_and_context() {
    let Some(examples) = examples("rnn.decoder_step") else { return };
    for example in examples {
        let inputs = &example["inputs"];
        let product = |weights: &str, x: &str| -> Vec<f32> {
            let x = vector(&inputs[x]);
            let dot = |row: &Vec<f32>| row.iter().zip(&x).map(|(w, x)| w * x).sum();
            matrix(&inputs[weights]).iter().map(dot).collect()
        };
        let [y, s, context] =
            [("wy", "y_prev"), ("ws", "s_prev"), ("wc", "context")].map(|(w, x)| product(w, x));
        let input: Vec<f32> =
            y.iter().zip(&context).zip(vector(&inputs["b"])).map(|((y, c), b)| y + c + b).collect();
        let mut state = vec![0.0; s.len()];
        cells::elman_tanh::<cells::Precise>(&input, &s, &mut state);
        assert_expected(&example, "s", &state);
    }
}

/// Numbers in all tensors that the file asks for.
fn parameters(recurrent: Recurrent) -> u64 {
    let architecture = Architecture::from(recurrent);
    let size = |(role, layer)| {
        let (rows, cols) = architecture.shape(role, layer);
        (rows * cols) as u64
    };
    Slots::new(&architecture).iter().map(size).sum()
}

#[test]
fn parameters_of_cells_and_stacks() {
    let (Some(one), Some(stack)) = (examples("rnn.params"), examples("rnn.params_stack")) else { return };
    let count = |value: &Value| number(value) as u64;
    for example in one {
        let (inputs, expected) = (&example["inputs"], &example["expected"]);
        let (input, hidden) = (count(&inputs["input"]) as u32, count(&inputs["hidden"]) as u16);
        let lstm = Recurrent { input, hidden: widths(&[hidden]), ..small(Cell::Lstm) };
        assert_eq!(parameters(lstm), count(&expected["lstm"]));
        let gru = Recurrent { cell: Cell::GruResetBefore, ..lstm };
        assert_eq!(parameters(gru), count(&expected["gru"]));
        let bare = Recurrent { bias: false, ..lstm };
        assert_eq!(parameters(bare), count(&expected["bytes_int8_weights"]));
    }
    for example in stack {
        let (inputs, expected) = (&example["inputs"], &example["expected"]);
        let (width, layers) = (count(&inputs["hidden"]) as u16, count(&inputs["layers"]));
        assert_eq!((u64::from(width), layers), (count(&inputs["input"]), 2));
        let lstm =
            Recurrent { input: width.into(), layers: 2, hidden: widths(&[width; 2]), ..small(Cell::Lstm) };
        assert_eq!(parameters(lstm), count(&expected["lstm"]));
        let bytes = model_with(lstm, Encodings::all(Encoding::F32), &[], |role, layer| {
            let (rows, cols) = lstm.shape(role, layer);
            vec![0.0; rows * cols]
        });
        let model = Model::parse(&bytes).expect("parses");
        let state = model.cache_size(&model.options(1)).expect("possible");
        assert_eq!(state as u64, 4 * count(&expected["state_floats"]));
    }
}
