//! A batch, shared out as shards among threads: forward, and where gradients are asked for backward.

use super::error::TrainError;
use super::gradients::{Gradients, Working};
use super::model::{Drops, Model, State};
use super::ops::{IGNORED, cross_entropy};
use super::pool::Pool;
use super::random::Key;
use super::tape::{Shard, Tape};
use super::threads::for_each_with;
use super::weights::Weights;

/// Sequences that are worked on together.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Tokens, `[sequences][time]`.
    pub tokens: &'a [u32],
    /// The token that follows each, or [`IGNORED`].
    pub targets: &'a [u32],
    /// Tokens in a sequence.
    pub time: usize,
}

impl Batch<'_> {
    /// Sequences.
    pub fn sequences(&self) -> usize {
        self.tokens.len() / self.time.max(1)
    }

    /// Targets that count.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|&&target| target != IGNORED).count()
    }

    fn check(&self, model: &Model, state: &State) -> Result<(), TrainError> {
        let error = |what, expected: String, found: String| Err(TrainError::Batch { what, expected, found });
        let vocabulary = model.config().vocabulary();
        let known = |&&token: &&u32| token as usize >= vocabulary;
        if self.time == 0 || self.tokens.is_empty() || !self.tokens.len().is_multiple_of(self.time) {
            let found = format!("{} tokens in sequences of {}", self.tokens.len(), self.time);
            return error("tokens of the batch", "one or more whole sequences".to_owned(), found);
        }
        if self.targets.len() != self.tokens.len() {
            return error(
                "targets of the batch",
                self.tokens.len().to_string(),
                self.targets.len().to_string(),
            );
        }
        let targets = self.targets.iter().filter(|&&target| target != IGNORED);
        if let Some(unknown) = self.tokens.iter().chain(targets).find(known) {
            return error("a token of the batch", format!("less than {vocabulary}"), unknown.to_string());
        }
        if let Some(context) = model.config().context().filter(|&context| self.time > context) {
            return error("length of a sequence", format!("at most {context}"), self.time.to_string());
        }
        if state.batch() != self.sequences() {
            let (expected, found) = (self.sequences().to_string(), state.batch().to_string());
            return error("sequences of the state", expected, found);
        }
        Ok(())
    }
}

/// What a pass does beside computing logits.
#[derive(Clone, Copy)]
pub(super) struct Options<'p> {
    pub(super) gradients: Option<&'p Gradients>,
    pub(super) smoothing: f32,
    pub(super) dropout: f32,
    /// For dropout, another one in every step.
    pub(super) key: Key,
}

/// The sum of the losses of all targets of `batch` that count; gradients are those of their mean. `state` goes on.
///
/// # Errors
/// If the batch or the state does not fit the model.
pub(super) fn run(
    model: &Model,
    weights: Weights<'_>,
    batch: &Batch<'_>,
    state: &mut State,
    pools: &mut [Pool],
    options: Options<'_>,
) -> Result<f64, TrainError> {
    batch.check(model, state)?;
    let sequences = model.shard_sequences(batch.time);
    let len = sequences * batch.time;
    let weight = 1.0 / batch.counted().max(1) as f32;
    let mut losses = vec![0.0; batch.sequences().div_ceil(sequences)];
    let texts = batch.tokens.chunks(len).zip(batch.targets.chunks(len));
    let shards = texts.zip(state.shards(sequences)).zip(&mut losses).enumerate();
    for_each_with(pools, shards, |pool, (index, (((tokens, targets), state), loss))| {
        let _working = options.gradients.map(Working);
        let shard = options.gradients.map(|gradients| Shard { gradients, index });
        let mut tape = Tape::new(pool, weights, shard);
        let drops = Drops { rate: options.dropout, key: options.key.part(index as u64) };
        let (logits, targets) = model.logits(&mut tape, tokens, targets, batch.time, state, drops);
        *loss = cross_entropy(&mut tape, logits, &targets, options.smoothing, weight);
        if shard.is_some() {
            tape.backward();
        }
        tape.finish();
    });
    Ok(losses.iter().sum())
}
