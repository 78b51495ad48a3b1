//! What a training run came to.

use super::display::duration;
use crate::cli::failure::Failure;
use crate::cli::output::grouped;
use crate::cli::table::pairs;
use crate::train::{Best, End, Outcome, Setup};
use crate::usage::peak_rss_bytes;
use std::path::Path;

/// The end of a run that was interrupted.
const STOPPED: &str = "stopped";

/// The report of `whit train`.
#[derive(serde::Serialize)]
pub(super) struct Report {
    pub(super) directory: String,
    pub(super) parameters: usize,
    pub(super) vocabulary: usize,
    pub(super) training_tokens: usize,
    pub(super) validation_tokens: usize,
    pub(super) test_tokens: usize,
    pub(super) steps: u64,
    pub(super) end: &'static str,
    pub(super) best: Option<Best>,
    pub(super) test: Option<Best>,
    pub(super) seconds: f64,
    pub(super) peak_rss_bytes: Option<u64>,
}

impl Report {
    /// Of a run that has not begun.
    pub(super) fn new(directory: &Path, setup: &Setup) -> Self {
        Self {
            directory: directory.display().to_string(),
            parameters: setup.model.parameters(),
            vocabulary: setup.model.config().vocabulary(),
            training_tokens: setup.corpus.training.ids.len(),
            validation_tokens: setup.corpus.validation.ids.len(),
            test_tokens: setup.corpus.test.ids.len(),
            steps: 0,
            end: STOPPED,
            best: None,
            test: None,
            seconds: 0.0,
            peak_rss_bytes: None,
        }
    }

    /// Takes what the run came to.
    pub(super) fn set(&mut self, outcome: &Outcome) {
        self.steps = outcome.step;
        self.end = match outcome.end {
            End::Finished => "finished",
            End::NoGain => "no_gain",
            End::Stopped => STOPPED,
        };
        (self.best, self.test) = (outcome.best, outcome.test);
        (self.seconds, self.peak_rss_bytes) = (outcome.seconds, peak_rss_bytes());
    }

    /// What is trained, and on how much, in a line.
    pub(super) fn sizes(&self) -> String {
        let [parameters, vocabulary, training, validation] =
            [self.parameters, self.vocabulary, self.training_tokens, self.validation_tokens]
                .map(|count| grouped(count as u64));
        format!(
            "{parameters} parameters, {vocabulary} tokens in the vocabulary, {training} to train on, {validation} to validate"
        )
    }

    /// An interrupt is no success; all else is.
    pub(super) fn ending(&self) -> Result<(), Failure> {
        match self.end {
            STOPPED => {
                let Self { directory, steps, .. } = self;
                Err(Failure::Saved(format!("{directory} holds step {steps}; --resume goes on")))
            }
            _ => Ok(()),
        }
    }

    /// The same for people.
    pub(super) fn text(&self) -> String {
        let score = |score: Best| {
            let Best { step, loss, bits_per_byte } = score;
            format!("{loss:.4} nats per token, {bits_per_byte:.4} bits per byte, after {step} steps")
        };
        let end = match self.end {
            "no_gain" => ", ended because validation found no gain",
            STOPPED => ", stopped",
            _ => "",
        };
        let mut lines = vec![
            ("parameters", grouped(self.parameters as u64)),
            ("steps", format!("{}{end}", grouped(self.steps))),
            ("time", duration(self.seconds)),
        ];
        lines.extend(self.best.map(|best| ("validation", score(best))));
        lines.extend(self.test.map(|test| ("test", score(test))));
        format!("{}\n{}", self.directory, pairs(&lines))
    }
}
