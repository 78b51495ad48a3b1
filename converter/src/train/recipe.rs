//! Everything that decides the bits of a run; a resumed run must have the same.

use super::data::Shares;
use super::optimizer::AdamW;
use super::quantize::Quantization;
use super::schedule::{Decay, Schedule};
use super::trainer::Settings;
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

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fall {
    /// Along half a cosine.
    Cosine,
    /// In a line.
    Linear,
    /// Not at all.
    Constant,
}

/// What is trained, on what, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The model, as its config.json.
    pub model: Value,
    /// CRC-32 of the weights that training began with, where they are not random.
    pub init_crc32: Option<u32>,
    /// How text becomes tokens, as the command line has it.
    pub tokenizer: String,
    /// The text between two documents.
    pub separator: Option<String>,
    /// What is kept from training.
    pub shares: Shares,
    /// CRC-32 of all tokens.
    pub text_crc32: u32,
    /// Names the random numbers.
    pub seed: u64,
    /// Rows of a batch.
    pub rows: usize,
    /// Tokens of a row.
    pub cols: usize,
    /// Steps.
    pub steps: u64,
    /// Learning rate at the end of the warm-up.
    pub learning_rate: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// What comes after the warm-up, down to a tenth.
    pub decay: Fall,
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

impl Recipe {
    /// The learning rate over the steps.
    pub(super) fn schedule(&self) -> Schedule {
        let decay = match self.decay {
            Fall::Cosine => Decay::Cosine,
            Fall::Linear => Decay::Linear,
            Fall::Constant => Decay::Constant,
        };
        let (peak, warmup, total) = (self.learning_rate, self.warmup, self.steps);
        Schedule { peak, minimum: peak / 10.0, warmup, total, decay }
    }

    /// What a pass rounds to when `steps` are done.
    pub(super) fn quantization(&self, steps: u64) -> Quantization {
        match self.qat {
            Some(Qat { weights: Integers::Int8, from }) if steps >= from => Quantization::INT8,
            Some(Qat { weights: Integers::Int4, from }) if steps >= from => Quantization::INT4,
            _ => Quantization::NONE,
        }
    }

    /// The trainer's settings when `steps` are done.
    pub(super) fn settings(&self, steps: u64, threads: usize) -> Settings {
        Settings {
            optimizer: AdamW { weight_decay: self.weight_decay, ..AdamW::default() },
            quantization: self.quantization(steps),
            dropout: self.dropout,
            label_smoothing: self.label_smoothing,
            clip: if self.clip == 0.0 { f32::INFINITY } else { self.clip },
            seed: self.seed,
            threads,
        }
    }

    /// The first field in which `self`, which is asked for, differs from `saved`, as a message has it.
    pub(super) fn difference(&self, saved: &Self) -> Option<String> {
        let [own, saved] = [self, saved].map(|recipe| serde_json::to_value(recipe).unwrap_or_default());
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
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            model: serde_json::json!({"hidden_size": 48}),
            init_crc32: None,
            tokenizer: "chars".into(),
            separator: None,
            shares: Shares { validation: 0.1, test: 0.0 },
            text_crc32: 7,
            seed: 1,
            rows: 4,
            cols: 16,
            steps: 10,
            learning_rate: 1e-3,
            warmup: 2,
            decay: Fall::Cosine,
            weight_decay: 0.1,
            clip: 0.0,
            dropout: 0.1,
            label_smoothing: 0.0,
            qat: Some(Qat { weights: Integers::Int4, from: 5 }),
            eval_every: 5,
            patience: 3,
        }
    }

    #[test]
    fn the_field_that_differs_is_named_with_both_values() {
        assert_eq!(recipe().difference(&recipe()), None);
        let other = Recipe { model: serde_json::json!({"hidden_size": 64}), ..recipe() };
        let message = "model.hidden_size: expected 64, as the run began, found 48";
        assert_eq!(recipe().difference(&other).as_deref(), Some(message));
        let other = Recipe { qat: None, ..recipe() };
        let message = recipe().difference(&other).expect("they differ");
        assert!(message.starts_with("qat: expected null, as the run began, found {"), "{message}");
    }

    #[test]
    fn recipes_survive_json() {
        let text = serde_json::to_string(&recipe()).expect("JSON");
        assert_eq!(serde_json::from_str::<Recipe>(&text).expect("a recipe"), recipe());
    }

    #[test]
    fn rounding_begins_where_it_is_asked_to() {
        assert_eq!(recipe().quantization(4), Quantization::NONE);
        assert_eq!(recipe().quantization(5), Quantization::INT4);
        assert_eq!(recipe().settings(5, 2).clip, f32::INFINITY);
        let int8 = Recipe { qat: Some(Qat { weights: Integers::Int8, from: 0 }), ..recipe() };
        assert_eq!(int8.quantization(0), Quantization::INT8);
    }
}
