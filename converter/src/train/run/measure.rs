//! What a run measures of itself: loss on other text, mean losses, speed.

use super::Event;
use crate::train::data::{Tokens, Windows};
use crate::train::error::TrainError;
use crate::train::metrics::Record;
use crate::train::model::Model;
use crate::train::pass::Batch;
use crate::train::quantize::Quantization;
use crate::train::trainer::Evaluator;
use std::time::Instant;

/// Mean of −ln p(token) over a text, in windows or streams of the shape of `windows`.
pub(super) fn nats_per_token(
    model: &Model,
    quantization: Quantization,
    windows: &Windows,
    text: &[u32],
    threads: usize,
) -> Result<f64, TrainError> {
    let mut evaluator = Evaluator::new(model, quantization, threads);
    let mut state = model.state(0);
    let (mut nats, mut count) = (0.0, 0);
    for rows in windows.once(text) {
        if rows.fresh {
            state = model.state(rows.rows);
        }
        let batch = Batch { tokens: &rows.inputs, targets: &rows.targets, time: rows.cols };
        nats += evaluator.nats(&batch, &mut state)?;
        count += rows.inputs.len();
    }
    Ok(nats / count as f64)
}

/// Nats per token as bits per byte of the text.
pub(super) fn bits_per_byte(nats_per_token: f64, text: &Tokens) -> f64 {
    nats_per_token * text.predicted() as f64 / text.bytes.max(1) as f64 / core::f64::consts::LN_2
}

/// Losses and time since the last record.
#[derive(Debug)]
pub(super) struct Speed {
    /// Of earlier parts of a resumed run.
    before: f64,
    start: Instant,
    /// Tokens of a step.
    tokens: usize,
    losses: f64,
    steps: u64,
    /// Of those.
    mean: f64,
    since: Instant,
    /// Since the clock began.
    done: u64,
}

impl Speed {
    pub(super) fn new(before: f64, tokens: usize) -> Self {
        let now = Instant::now();
        Self { before, start: now, tokens, losses: 0.0, steps: 0, mean: 0.0, since: now, done: 0 }
    }

    /// The clock begins.
    pub(super) fn start(&mut self) {
        self.start = Instant::now();
        (self.since, self.done) = (self.start, 0);
    }

    /// Since the run began, pauses left out.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// A step was done.
    pub(super) fn add(&mut self, loss: f64) {
        self.losses += loss;
        self.steps += 1;
        self.mean = self.losses / self.steps as f64;
        self.done += 1;
    }

    /// What is told of a step.
    pub(super) fn event(&self, step: u64) -> Event {
        Event::Step { step, loss: self.mean, tokens_per_s: self.tokens_per_s(self.done, self.start) }
    }

    fn tokens_per_s(&self, steps: u64, since: Instant) -> f64 {
        (steps as usize * self.tokens) as f64 / since.elapsed().as_secs_f64().max(1e-9)
    }

    /// The record of the steps since the last one, which ends here.
    pub(super) fn record(&mut self, step: u64, learning_rate: f64, gradient_norm: f64) -> Record {
        let record = Record::Training {
            step,
            tokens: step * self.tokens as u64,
            loss: self.mean,
            learning_rate,
            gradient_norm,
            tokens_per_s: self.tokens_per_s(self.steps, self.since),
            seconds: self.seconds(),
        };
        (self.losses, self.steps, self.since) = (0.0, 0, Instant::now());
        record
    }
}
