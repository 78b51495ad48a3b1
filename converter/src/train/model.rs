//! A model that is trained: its parameters, and what it computes of them.

mod recurrent;
mod state;
mod transformer;

pub use state::State;

use super::config::Config;
use super::error::TrainError;
use super::init::Builder;
use super::ops::dropout;
use super::parameters::{NamedTensor, Parameter};
use super::random::Key;
use super::tape::{Tape, Var};
use recurrent::Stack;
use state::LayerState;
use transformer::Decoder;

/// Parameters and what is computed of them.
#[derive(Clone, Debug)]
pub struct Model {
    config: Config,
    pub(super) parameters: Vec<Parameter>,
    graph: Graph,
}

#[derive(Clone, Debug)]
enum Graph {
    Decoder(Decoder),
    Stack(Stack),
}

/// Where a pass drops elements out, and which.
pub(super) struct Drops {
    pub(super) rate: f32,
    pub(super) key: Key,
}

impl Drops {
    /// Whether nothing is dropped.
    fn are_none(&self, tape: &Tape<'_>) -> bool {
        self.rate == 0.0 || !tape.records()
    }

    /// Drops some elements of `x`, other ones in every call.
    fn apply(&mut self, tape: &mut Tape<'_>, x: Var) -> Var {
        self.key = self.key.part(0);
        dropout(tape, x, self.rate, self.key)
    }
}

impl Model {
    /// A model that has learned nothing; the same `seed` gives the same one.
    ///
    /// # Errors
    /// If `config` is one that cannot be written.
    pub fn new(config: &Config, seed: u64) -> Result<Self, TrainError> {
        let mut builder = Builder::new(seed);
        let graph = match config {
            Config::Transformer(transformer) => {
                Graph::Decoder(Decoder::new(transformer, transformer.family()?, &mut builder))
            }
            Config::Recurrent(recurrent) => {
                recurrent.check()?;
                Graph::Stack(Stack::new(recurrent, &mut builder))
            }
        };
        Ok(Self { config: config.clone(), parameters: builder.parameters, graph })
    }

    /// What it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Trained numbers.
    pub fn parameters(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }

    /// Every tensor of its checkpoint, under the names that the importers and other tools know.
    pub fn tensors(&self) -> impl Iterator<Item = NamedTensor> + '_ {
        self.parameters.iter().flat_map(Parameter::tensors)
    }

    /// Takes the values of one tensor of a checkpoint, row-major.
    ///
    /// # Errors
    /// If there is none of this name, or its shape is another.
    pub fn set(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<(), TrainError> {
        for parameter in &mut self.parameters {
            if let Some(file) = parameter.files.iter().position(|file| file.name == name) {
                return parameter.set(file, shape, values);
            }
        }
        Err(TrainError::NoSuchTensor { tensor: name.to_owned() })
    }

    /// The state at the beginning of `batch` sequences.
    pub fn state(&self, batch: usize) -> State {
        State::new(&self.config, batch)
    }

    /// How many sequences of `time` tokens are worked on at a time, by one thread: a function of the model and the
    /// batch alone, as it decides bits.
    ///
    /// Of a transformer, so many that products have about a hundred rows, and all values stay in the second-level
    /// cache; of a recurrent model eight, the rows of the product of one step that fill a core's registers.
    pub(super) fn shard_sequences(&self, time: usize) -> usize {
        match self.graph {
            Graph::Decoder(_) => 96usize.div_ceil(time.max(1)),
            Graph::Stack(_) => 8,
        }
    }

    /// The logits of one shard, `[sequences][time]` tokens, and the targets in the order of their rows.
    pub(super) fn logits(
        &self,
        tape: &mut Tape<'_>,
        tokens: &[u32],
        targets: &[u32],
        time: usize,
        state: Vec<LayerState<'_>>,
        mut drops: Drops,
    ) -> (Var, Vec<u32>) {
        match &self.graph {
            Graph::Decoder(decoder) => (decoder.logits(tape, tokens, time, &mut drops), targets.to_vec()),
            Graph::Stack(stack) => {
                let logits = stack.logits(tape, by_time(tokens, time), state, &mut drops);
                (logits, by_time(targets, time))
            }
        }
    }
}

/// `[sequences][time]` as `[time][sequences]`.
fn by_time(tokens: &[u32], time: usize) -> Vec<u32> {
    let sequences = tokens.len() / time;
    (0..tokens.len()).map(|i| tokens[i % sequences * time + i / sequences]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first() {
        assert_eq!(by_time(&[1, 2, 3, 4, 5, 6], 3), [1, 4, 2, 5, 3, 6]);
    }
}
