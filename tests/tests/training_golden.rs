//! The published worked examples that the trainer can be driven with.
//!
//! Others of its areas that have nothing to drive here, and why: `rnn.elman`, `rnn.bidirectional`, `rnn.bptt`,
//! `rnn.lstm_update`, `rnn.decoder_step`, `rnn.scalar_mix`, and of `rnn.gru` the form with the reset before the product:
//! the runtime runs them, nothing trains them; `loss.bce*`, `.kl*`, `.distillation`, `.dpo`, `.negative_sampling`,
//! `.square_gradient`, `.router_z`: other losses; `loss.softmax_jacobian`, `.attention_gradient`: the trainer's own
//! finite differences; `train.adam*` and `.clip_norm`: beside the optimizer; `train.lr_noam`, `.memory*`, `.mlm_rates`,
//! `.xavier_uniform` and the plans: not used.

use serde_json::Value;
use whit_converter::train::{
    Batch, Cell, Config, Decay, Evaluator, Grid, IGNORED, Model, Quantization, Recurrent, Schedule, Settings,
    Trainer,
};
use whit_tests::examples::{assert_expected, assert_near, example, examples, list, matrix, number, vector};

/// A model of one layer of two units over tokens whose embeddings are the example's inputs.
fn layer(cell: Cell, xs: &[Vec<f32>]) -> Model {
    let vocabulary = xs.len() as u32;
    let config = Recurrent { cell, vocabulary, embedding: 2, width: 2, layers: 1, tied: false };
    let mut model = Model::new(&Config::Recurrent(config), 1).expect("sizes in range");
    model.set("embedding.weight", &[xs.len(), 2], &xs.concat()).expect("fits");
    model
}

/// The state after each of the tokens.
fn states(model: &Model, count: u32) -> Vec<Vec<f32>> {
    let mut evaluator = Evaluator::new(model, Quantization::NONE, 1);
    let mut state = model.state(1);
    (0..count)
        .map(|token| {
            let batch = Batch { tokens: &[token], targets: &[0], time: 1 };
            evaluator.nats(&batch, &mut state).expect("fits");
            state.values()
        })
        .collect()
}

/// Columns `first` and `first + 1` of the rows of several matrices, one below the other.
fn columns(inputs: &Value, names: &[&str], first: usize) -> Vec<f32> {
    let rows = names.iter().flat_map(|name| matrix(&inputs[*name]));
    rows.flat_map(|row| row[first..first + 2].to_vec()).collect()
}

fn vectors(inputs: &Value, names: &[&str]) -> Vec<f32> {
    names.iter().flat_map(|name| vector(&inputs[*name])).collect()
}

#[test]
fn lstm_steps() {
    let Some(examples) = examples("rnn.lstm") else { return };
    for example in examples {
        let inputs = &example["inputs"];
        let mut model = layer(Cell::Lstm, &matrix(&inputs["xs"]));
        let names = ["w_i", "w_f", "w_g", "w_o"];
        let (x, h) = if inputs["order"] == "[x,h]" { (0, 2) } else { (2, 0) };
        model.set("lstm.weight_ih_l0", &[8, 2], &columns(inputs, &names, x)).expect("fits");
        model.set("lstm.weight_hh_l0", &[8, 2], &columns(inputs, &names, h)).expect("fits");
        let biases = vectors(inputs, &["b_i", "b_f", "b_g", "b_o"]);
        model.set("lstm.bias_ih_l0", &[8], &biases).expect("fits");
        model.set("lstm.bias_hh_l0", &[8], &[0.0; 8]).expect("fits");
        let steps = list(&inputs["xs"]).len();
        for (step, state) in states(&model, steps as u32).iter().enumerate() {
            let (h, c) = state.split_at(2);
            assert_near(&example, "h", h, &example["expected"]["h"][step]);
            assert_near(&example, "c", c, &example["expected"]["c"][step]);
        }
    }
}

#[test]
fn gru_steps_with_the_reset_behind_the_product() {
    let Some(example) = example("gru-2") else { return };
    let inputs = &example["inputs"];
    let mut model = layer(Cell::Gru, &matrix(&inputs["xs"]));
    model.set("gru.weight_ih_l0", &[6, 2], &columns(inputs, &["wx_r", "wx_z", "wx_n"], 0)).expect("fits");
    model.set("gru.weight_hh_l0", &[6, 2], &columns(inputs, &["wh_r", "wh_z", "wh_n"], 0)).expect("fits");
    model.set("gru.bias_ih_l0", &[6], &vectors(inputs, &["b_r", "b_z", "b_n"])).expect("fits");
    let recurrent = [vec![0.0; 4], vector(&inputs["bh_n"])].concat();
    model.set("gru.bias_hh_l0", &[6], &recurrent).expect("fits");
    for (step, state) in states(&model, 3).iter().enumerate() {
        assert_near(&example, "h", state, &example["expected"]["h"][step]);
    }
}

#[test]
fn parameters_of_a_layer() {
    let Some(example) = example("lstm-params-1") else { return };
    let [width, embedding] = ["hidden", "input"].map(|name| number(&example["inputs"][name]) as u32);
    for (cell, name) in [(Cell::Lstm, "lstm_two_biases"), (Cell::Gru, "gru")] {
        let config = Recurrent { cell, vocabulary: 3, embedding, width, layers: 1, tied: false };
        let model = Model::new(&Config::Recurrent(config), 1).expect("sizes in range");
        let around = 3 * embedding + 3 * width + 3;
        let mut found = model.parameters() - around as usize;
        if cell == Cell::Gru {
            // The example counts one bias.
            found -= 3 * width as usize;
        }
        assert_eq!(found as f64, number(&example["expected"][name]), "{name}");
    }
}

/// A model whose logits are `logits` whatever it reads.
fn constant(logits: &[f32]) -> Model {
    let mut model = layer(Cell::Lstm, &vec![vec![0.5, -0.5]; logits.len()]);
    model.set("head.weight", &[logits.len(), 2], &vec![0.0; 2 * logits.len()]).expect("fits");
    model.set("head.bias", &[logits.len()], logits).expect("fits");
    model
}

fn first_step(logits: &[f32], target: u32, label_smoothing: f32) -> whit_converter::train::Step {
    let settings = Settings { label_smoothing, ..Settings::default() };
    let mut trainer = Trainer::new(constant(logits), settings);
    let mut state = trainer.model().state(1);
    let batch = Batch { tokens: &[0], targets: &[target], time: 1 };
    trainer.step(&batch, &mut state, 0.0).expect("fits")
}

#[test]
fn cross_entropy_its_gradient_and_smoothing() {
    let Some(example) = example("ce-2") else { return };
    let target = |example: &Value| number(&example["inputs"]["target"]) as u32;
    let step = first_step(&vector(&example["inputs"]["logits"]), target(&example), 0.0);
    assert_near(
        &example,
        "loss",
        &[step.loss as f32],
        &Value::from(vec![example["expected"]["loss"].clone()]),
    );
    // The head's weights meet what the layer gives, which is small but not nothing.
    let gradient = vector(&example["expected"]["grad"]).iter().map(|g| g * g).sum::<f32>().sqrt();
    assert!((step.gradient_norm as f32 / gradient - 1.0).abs() < 0.05, "{} {gradient}", step.gradient_norm);
    for example in examples("loss.label_smoothing").expect("the data is there") {
        let smoothing = number(&example["inputs"]["epsilon"]) as f32;
        let step = first_step(&vector(&example["inputs"]["logits"]), target(&example), smoothing);
        let expected = Value::from(vec![example["expected"]["loss"].clone()]);
        assert_near(&example, "loss", &[step.loss as f32], &expected);
    }
}

#[test]
fn ignored_targets_do_not_count() {
    let Some(example) = example("ignore-index-1") else { return };
    let mut sums = Vec::new();
    for (logits, target) in
        matrix(&example["inputs"]["logits"]).iter().zip(list(&example["inputs"]["targets"]))
    {
        let target = target.as_u64().map_or(IGNORED, |target| target as u32);
        let model = constant(logits);
        let batch = Batch { tokens: &[0, 1], targets: &[target, IGNORED], time: 2 };
        let nats = Evaluator::new(&model, Quantization::NONE, 1).nats(&batch, &mut model.state(1));
        assert_eq!(batch.counted(), usize::from(target != IGNORED));
        match target {
            IGNORED => assert_eq!(nats, Ok(0.0)),
            _ => sums.push(nats.expect("fits") as f32),
        }
    }
    assert_expected(&example, "losses", &sums);
}

#[test]
fn rates_rise_and_fall() {
    for (area, decay) in [("train.lr_linear", Decay::Linear), ("train.lr_cosine", Decay::Cosine)] {
        let Some(examples) = examples(area) else { return };
        for example in examples {
            let inputs = &example["inputs"];
            let schedule = Schedule {
                peak: number(&inputs["peak"]),
                minimum: inputs["minimum"].as_f64().unwrap_or(0.0),
                warmup: number(&inputs["warmup"]) as u64,
                total: number(&inputs["total"]) as u64,
                decay,
            };
            let rate = |step: &Value| schedule.rate(number(step) as u64) as f32;
            let found: Vec<f32> = list(&inputs["steps"]).iter().map(rate).collect();
            assert_expected(&example, "lr", &found);
        }
    }
}

#[test]
fn fake_quantization_rounds_once_and_cuts_gradients_beyond_its_ends() {
    let Some(example) = example("fake-quant-1") else { return };
    let inputs = &example["inputs"];
    let zero = number(&inputs["zero_point"]);
    // A zero-point moves the ends of a row of steps around zero.
    let end = |name: &str| (number(&inputs[name]) - zero) as f32;
    let grid = Grid { step: number(&inputs["scale"]) as f32, low: end("q_min"), high: end("q_max") };
    let x = vector(&inputs["x"]);
    let once: Vec<f32> = x.iter().map(|&x| grid.round(x)).collect();
    assert_expected(&example, "y", &once);
    assert_expected(&example, "y_again", &once.iter().map(|&y| grid.round(y)).collect::<Vec<_>>());
    assert_expected(&example, "ste_gradient", &x.iter().map(|&x| grid.gradient(x)).collect::<Vec<_>>());
}

#[test]
fn a_straight_through_step_moves_a_weight_to_the_next_point() {
    let Some(example) = example("qat-step-1") else { return };
    let (inputs, expected) = (&example["inputs"], &example["expected"]);
    let [w, x, target, rate] = ["w", "x", "target", "lr"].map(|name| number(&inputs[name]) as f32);
    let high = number(&inputs["q_max"]) as f32;
    let grid = Grid { step: number(&inputs["scale"]) as f32, low: -high, high };
    let gradient = 2.0 * (grid.round(w) * x - target) * x * grid.gradient(w);
    let moved = w - rate * gradient;
    let found = [grid.round(w), gradient, moved, grid.round(moved)];
    let names = ["fake_w", "grad_w", "w_new", "fake_w_new"];
    let expected = names.map(|name| expected[name].clone()).to_vec();
    assert_near(&example, "step", &found, &Value::from(expected));
}
