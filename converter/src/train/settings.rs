//! Everything that decides the bits of a run; a resumed run must have the same.

use super::data::{Order, Shares, Windows};
use super::schedule::Schedule;
use super::shape::Shape;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Weights that training computes with as the runtime will store them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integers {
    /// int8 everywhere.
    Int8,
    /// int4 in groups of 32; embedding and output head int8.
    Int4,
}

/// Training with the runtime's own quantization in the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qat {
    /// How weights will be stored.
    pub weights: Integers,
    /// Steps that are trained without it before.
    pub from: u64,
}

/// What is trained, on what, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The model.
    pub shape: Shape,
    /// How text becomes tokens: as the command line has it, or `given` with a model to begin from.
    pub tokenizer: String,
    /// The text between two documents.
    pub separator: Option<String>,
    /// What is kept from training.
    pub shares: Shares,
    /// CRC-32 of the tokens: the text itself.
    pub text: u32,
    /// Names the random numbers.
    pub seed: u64,
    /// Rows of a batch.
    pub rows: usize,
    /// Tokens of a row.
    pub cols: usize,
    /// The learning rate; its total is the number of steps.
    pub schedule: Schedule,
    /// AdamW's.
    pub weight_decay: f32,
    /// The norm that gradients are cut down to; 0 for any.
    pub clip: f32,
    /// Share of the activations that is dropped.
    pub dropout: f32,
    /// Share of the probability that targets give to all tokens alike.
    pub label_smoothing: f32,
    /// Quantization in the loop.
    pub qat: Option<Qat>,
    /// Steps between two validations.
    pub eval_every: u64,
    /// Validations without a gain after which training ends; 0 for any number.
    pub patience: u32,
}

impl Settings {
    /// The batches.
    pub fn windows(&self) -> Windows {
        let order = if self.shape.kind.is_recurrent() { Order::Streams } else { Order::Random };
        Windows { order, rows: self.rows, cols: self.cols }
    }

    /// The first field in which `self`, which is asked for, differs from `saved`, as a message has it.
    pub(super) fn difference(&self, saved: &Self) -> Option<String> {
        let [own, saved] = [self, saved].map(|settings| serde_json::to_value(settings).unwrap_or_default());
        first_difference("", &own, &saved)
    }
}

fn first_difference(name: &str, own: &Value, saved: &Value) -> Option<String> {
    match (own, saved) {
        (Value::Object(own), Value::Object(saved)) => own.iter().find_map(|(field, value)| {
            let path = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
            first_difference(&path, value, saved.get(field).unwrap_or(&Value::Null))
        }),
        _ if own == saved => None,
        _ => Some(format!("{name}: expected {saved}, as the run began, found {own}")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::train::schedule::Decay;
    use crate::train::shape::{Kind, Preset};

    pub(in crate::train) fn settings() -> Settings {
        Settings {
            shape: Preset::P50k.shape(Kind::Llama),
            tokenizer: "chars".into(),
            separator: None,
            shares: Shares { validation: 0.1, test: 0.0 },
            text: 7,
            seed: 1,
            rows: 4,
            cols: 16,
            schedule: Schedule { peak: 1e-3, least: 1e-4, warmup: 2, total: 10, decay: Decay::Cosine },
            weight_decay: 0.1,
            clip: 1.0,
            dropout: 0.1,
            label_smoothing: 0.0,
            qat: None,
            eval_every: 5,
            patience: 3,
        }
    }

    #[test]
    fn the_field_that_differs_is_named_with_both_values() {
        assert_eq!(settings().difference(&settings()), None);
        let mut other = settings();
        other.schedule.peak = 2e-3;
        let message = "schedule.peak: expected 0.002, as the run began, found 0.001";
        assert_eq!(settings().difference(&other).as_deref(), Some(message));
        let other = Settings { qat: Some(Qat { weights: Integers::Int4, from: 5 }), ..settings() };
        assert!(settings().difference(&other).expect("they differ").starts_with("qat: expected {"));
    }

    #[test]
    fn settings_survive_json() {
        let text = serde_json::to_string(&settings()).expect("JSON");
        assert_eq!(serde_json::from_str::<Settings>(&text).expect("settings"), settings());
    }
}
