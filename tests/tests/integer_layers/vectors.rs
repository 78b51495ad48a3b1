//! CMSIS-NN's own vectors: `Tests/UnitTest/TestCases/TestData`, converted to JSON.

use crate::made_up::{Packed, fold, pack};
use crate::reference::{Factor, Layer};
use serde_json::Value;
use whit::integer::{FullyConnected, Order, Softmax, Weights};
use whit::kernels::Backend;
use whit_tests::data::data;

/// One case.
struct Case {
    name: String,
    json: Value,
}

impl Case {
    fn read(name: &str) -> Option<Self> {
        let path = data(&format!("cmsis_nn/{name}.json"))?;
        let text = std::fs::read_to_string(path).expect("the file can be read");
        Some(Self { name: name.into(), json: serde_json::from_str(&text).expect("JSON") })
    }

    fn define(&self, name: &str) -> &Value {
        &self.json["defines"][format!("{}_{name}", self.name.to_uppercase())]
    }

    fn number(&self, name: &str) -> i32 {
        self.define(name).as_i64().unwrap_or_else(|| panic!("{name} is a number")) as i32
    }

    fn factor(&self, name: &str) -> Factor {
        (self.number(&format!("{name}_MULTIPLIER")), self.number(&format!("{name}_SHIFT")))
    }

    fn array<T: TryFrom<i64>>(&self, name: &str) -> Vec<T> {
        let values = self.json["arrays"][format!("{}_{name}", self.name)]["values"].as_array();
        let values = values.unwrap_or_else(|| panic!("{name} is an array"));
        values
            .iter()
            .map(|value| T::try_from(value.as_i64().expect("integers")).ok().expect("in range"))
            .collect()
    }

    fn lstm(&self) -> Layer {
        let gates = ["input", "forget", "cell", "output"];
        let factor = |gate: &str, of: &str| self.factor(&format!("{}_GATE_{of}", gate.to_uppercase()));
        Layer {
            inputs: self.number("INPUT_SIZE") as usize,
            hidden: self.number("HIDDEN_SIZE") as usize,
            input_weights: gates.map(|gate| self.array(&format!("{gate}_gate_input_weights"))),
            hidden_weights: gates.map(|gate| self.array(&format!("{gate}_gate_hidden_weights"))),
            // All outputs were made with biases of zero. Two cases also hold others, from an older generation of the
            // same vectors, beside its `input`, `output_ref` and `*_eff_bias`: with those 55 of 63 outputs would differ.
            bias: gates.map(|_| vec![0; self.number("HIDDEN_SIZE") as usize]),
            // The vectors state what is added to the input.
            input_zero_point: -self.number("INPUT_ZERO_POINT"),
            zero_point: self.number("OUTPUT_ZERO_POINT"),
            factors: gates.map(|gate| [factor(gate, "INPUT"), factor(gate, "HIDDEN")]),
            forget_to_cell: self.factor("FORGET_TO_CELL"),
            input_to_cell: self.factor("INPUT_TO_CELL"),
            output: self.factor("OUTPUT"),
            cell_power: self.number("CELL_SCALE_POWER"),
            cell_clip: self.number("CELL_CLIP") as i16,
        }
    }
}

#[test]
fn every_lstm_vector_is_reproduced() {
    let names = ["lstm_1", "lstm_2", "lstm_one_time_step", "lstm_stateful_batch_major_multibatch"];
    for name in names {
        let Some(case) = Case::read(name) else { return };
        let layer = case.lstm();
        let order = if case.define("TIME_MAJOR") == "true" { Order::TimeMajor } else { Order::BatchMajor };
        let (input, output) = (case.array("input_tensor"), case.array::<i8>("output"));
        for backend in Backend::available() {
            let mut states = vec![layer.start(); case.number("BATCH_SIZE") as usize];
            let found = Packed::new(&layer).run(backend, order, &mut states, &input);
            assert_eq!(found, output, "{name}, {}", backend.name());
        }
    }
}

#[test]
fn every_fully_connected_vector_is_reproduced() {
    let names = [
        "fully_connected",
        "fully_connected_mve_0",
        "fully_connected_mve_1",
        "fully_connected_null_bias_0",
        "fully_connected_out_activation",
    ];
    for name in names {
        let Some(case) = Case::read(name) else { return };
        let (rows, cols) = (case.number("OUT_CH") as usize, case.number("ACCUMULATION_DEPTH") as usize);
        let (weights, bias) = (case.array::<i8>("weights"), case.array("biases"));
        let (multiplier, shift) = case.factor("OUTPUT");
        let packed = pack(&weights, cols);
        let layer = FullyConnected {
            weights: Weights::new(rows, cols, &packed).expect("fits"),
            bias: &fold(&bias, &weights, cols, -case.number("INPUT_OFFSET")),
            multipliers: &vec![multiplier; rows],
            shifts: &vec![shift; rows],
            zero_point: case.number("OUTPUT_OFFSET") as i8,
            range: [case.number("OUT_ACTIVATION_MIN") as i8, case.number("OUT_ACTIVATION_MAX") as i8],
        };
        let (mut found, mut sums) = (Vec::new(), vec![0; rows]);
        for x in case.array::<i8>("input").chunks_exact(cols) {
            let mut out = vec![0; rows];
            layer.apply(x, &mut sums, &mut out);
            found.extend(out);
        }
        assert_eq!(found, case.array::<i8>("output_ref"), "{name}");
    }
}

#[test]
fn every_softmax_vector_is_reproduced() {
    let Some(case) = Case::read("softmax") else { return };
    let softmax = Softmax::new(case.number("INPUT_MULT"), case.number("INPUT_LEFT_SHIFT") as u32);
    let softmax = softmax.expect("in range");
    let width = case.number("ROW_SIZE") as usize;
    let (input, output) = (case.array::<i8>("input"), case.array::<i8>("output_ref"));
    for (x, expected) in input.chunks_exact(width).zip(output.chunks_exact(width)) {
        let mut out = vec![0; width];
        softmax.apply(x, &mut out);
        assert_eq!(out, expected);
    }
}
