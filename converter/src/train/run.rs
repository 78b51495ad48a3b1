//! A training run: steps, validations, saves, from the first to the last or to where somebody stops it.

mod error;
mod measure;

pub use error::RunError;

use super::data::{Tokens, Windows};
use super::directory::{Directory, Files, Progress, Saved};
use super::metrics::{Log, Record};
use super::model::{Model, State};
use super::pass::Batch;
use super::recipe::{Qat, Recipe};
use super::trainer::Trainer;
use measure::{Speed, bits_per_byte, nats_per_token};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;

/// Steps between two training records, unless a run is short.
const RECORD_EVERY: u64 = 10;

/// The text in tokens, in three parts.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// What the model learns from.
    pub training: Tokens,
    /// What says how well; may be empty.
    pub validation: Tokens,
    /// What is scored at the end; may be empty.
    pub test: Tokens,
}

/// What a run begins with.
pub struct Setup {
    /// All that decides its bits.
    pub recipe: Recipe,
    /// At its first step.
    pub model: Model,
    /// How batches are cut from the text.
    pub windows: Windows,
    /// The text.
    pub corpus: Corpus,
    /// config.json, the tokenizer's files and others that stand beside the weights.
    pub files: Files,
}

/// How well the model predicts text that it does not learn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps done then.
    pub step: u64,
    /// Mean of −ln p(token).
    pub loss: f64,
    /// The same per byte of text, in bits.
    pub bits_per_byte: f64,
}

/// What a run tells while it is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A step is done.
    Step {
        /// Steps done.
        step: u64,
        /// Mean loss of the steps since the last record.
        loss: f64,
        /// Since this process began to train, by the wall clock, validations and saves included.
        tokens_per_s: f64,
    },
    /// The model was measured on the validation text.
    Validation {
        /// What was found.
        found: Best,
        /// Whether no earlier one was better.
        best: bool,
    },
    /// The rounding of --qat begins: what was best until now no longer counts.
    Rounding {
        /// Steps done without it.
        step: u64,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Steps done.
    pub step: u64,
    /// The model in the directory; `None` without validation text, where it is the last.
    pub best: Option<Best>,
    /// The same model on the text that was kept for the end.
    pub test: Option<Best>,
    /// Why there were no more steps.
    pub end: End,
    /// By the wall clock, over all parts of a resumed run.
    pub seconds: f64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Finished,
    /// Validation found no gain any more.
    NoGain,
    /// Whoever watched asked for it; all is saved.
    Stopped,
}

/// A run.
pub struct Run {
    directory: Directory,
    progress: Progress,
    windows: Windows,
    corpus: Corpus,
    trainer: Trainer,
    state: State,
    log: Log,
    speed: Speed,
    threads: usize,
}

impl Run {
    /// Begins a run in `directory`; with `resume`, goes on with the one that is there.
    ///
    /// # Errors
    /// If the directory cannot be a run's, or holds a run with another recipe, or cannot be written.
    pub fn open(directory: &Path, setup: Setup, threads: usize, resume: bool) -> Result<Self, RunError> {
        let Setup { recipe, mut model, windows, corpus, files } = setup;
        let directory = Directory::open(directory, &files, resume)?;
        let saved = if resume { directory.load_state()? } else { None };
        let (progress, optimizer, carried) = match saved {
            None => {
                directory.write(&files)?;
                let progress = Progress { recipe, step: 0, best: None, without_gain: 0 };
                (progress, Vec::new(), Vec::new())
            }
            Some(saved) => {
                if let Some(difference) = recipe.difference(&saved.progress.recipe) {
                    let path = directory.path().display();
                    return Err(RunError::Asked(format!("{path}: cannot be resumed: {difference}")));
                }
                for tensor in &saved.weights {
                    model.set(&tensor.name, &tensor.shape, &tensor.values)?;
                }
                (saved.progress, saved.optimizer, saved.carried)
            }
        };
        let mut trainer = Trainer::new(model, progress.recipe.settings(progress.step, threads));
        trainer.resume(progress.step, optimizer)?;
        let mut state = trainer.model().state(windows.rows);
        state.restore(&carried);
        let log = Log::open(directory.path(), progress.step).map_err(RunError::io(directory.path()))?;
        let speed = Speed::new(log.seconds(), windows.tokens());
        Ok(Self { directory, progress, windows, corpus, trainer, state, log, speed, threads })
    }

    /// The model as it is.
    pub fn model(&self) -> &Model {
        self.trainer.model()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Trains to the end, and saves every `save_every` steps, at every best validation, and at the end. `observe` is told
    /// what happens; when it breaks off, all is saved first.
    ///
    /// # Errors
    /// If something cannot be written, or the loss is no number any more.
    pub fn run(
        &mut self,
        save_every: u64,
        mut observe: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<Outcome, RunError> {
        let mut stopped = false;
        self.speed.start();
        while !stopped && self.end().is_none() {
            if self.begin_rounding() {
                stopped |= observe(&Event::Rounding { step: self.progress.step }).is_break();
            }
            self.train_step()?;
            let mut save = false;
            let step = self.progress.step;
            stopped |= observe(&self.speed.event(step)).is_break();
            let Recipe { eval_every, steps, .. } = self.progress.recipe;
            if (step.is_multiple_of(eval_every) || step == steps)
                && let Some(event) = self.validate()?
            {
                save = matches!(event, Event::Validation { best: true, .. });
                stopped |= observe(&event).is_break();
            }
            if save || stopped || step.is_multiple_of(save_every) || self.end().is_some() {
                self.save()?;
            }
        }
        self.outcome()
    }

    /// Why no step is left, if none is.
    fn end(&self) -> Option<End> {
        let Recipe { steps, patience, qat, .. } = self.progress.recipe;
        // What is found before the rounding begins says nothing about what comes after.
        let counts = qat.is_none_or(|qat| self.progress.step > qat.from);
        if self.progress.step >= steps {
            Some(End::Finished)
        } else if counts && patience > 0 && self.progress.without_gain >= patience {
            Some(End::NoGain)
        } else {
            None
        }
    }

    /// Rounds from here on, where the recipe says so, and forgets what was best without.
    fn begin_rounding(&mut self) -> bool {
        let Progress { recipe, step, .. } = &self.progress;
        let begins = matches!(recipe.qat, Some(Qat { from, .. }) if from == *step);
        if begins {
            self.trainer.set_quantization(recipe.quantization(*step));
            (self.progress.best, self.progress.without_gain) = (None, 0);
        }
        begins
    }

    /// One step.
    fn train_step(&mut self) -> Result<(), RunError> {
        let Progress { recipe, step, .. } = &self.progress;
        let rows = self.windows.batch(&self.corpus.training.ids, recipe.seed, *step);
        if rows.fresh {
            self.state.reset();
        }
        let rate = recipe.schedule().rate(step + 1);
        let batch = Batch { tokens: &rows.inputs, targets: &rows.targets, time: rows.cols };
        let found = self.trainer.step(&batch, &mut self.state, rate as f32)?;
        self.progress.step += 1;
        let step = self.progress.step;
        if !(found.loss.is_finite() && found.gradient_norm.is_finite()) {
            return Err(RunError::Diverged { step });
        }
        self.speed.add(found.loss);
        let every = RECORD_EVERY.min(self.progress.recipe.steps.div_ceil(100));
        if step.is_multiple_of(every) {
            let record = self.speed.record(step, rate, found.gradient_norm);
            self.append(&record)?;
        }
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<(), RunError> {
        self.log.append(record).map_err(RunError::io(self.directory.path()))
    }

    /// Measures the model, and keeps it if it is the best.
    fn validate(&mut self) -> Result<Option<Event>, RunError> {
        let step = self.progress.step;
        let Some(found) = self.score(self.trainer.model(), &self.corpus.validation, step)? else {
            return Ok(None);
        };
        let best = self.progress.best.is_none_or(|best| found.loss < best.loss);
        if best {
            self.directory.save_model(self.trainer.model())?;
            (self.progress.best, self.progress.without_gain) = (Some(found), 0);
        } else {
            self.progress.without_gain += 1;
        }
        let Best { loss, bits_per_byte, .. } = found;
        self.append(&Record::Validation { step, loss, bits_per_byte, best })?;
        Ok(Some(Event::Validation { found, best }))
    }

    /// How well `model` predicts `text`; `None` if there is nothing to predict.
    fn score(&self, model: &Model, text: &Tokens, step: u64) -> Result<Option<Best>, RunError> {
        if text.predicted() == 0 {
            return Ok(None);
        }
        let quantization = self.trainer.quantization();
        let loss = nats_per_token(model, quantization, &self.windows, &text.ids, self.threads)?;
        Ok(Some(Best { step, loss, bits_per_byte: bits_per_byte(loss, text) }))
    }

    fn save(&mut self) -> Result<(), RunError> {
        if self.corpus.validation.predicted() == 0 {
            self.directory.save_model(self.trainer.model())?;
        }
        self.directory.save_state(Saved {
            progress: self.progress.clone(),
            weights: self.trainer.model().tensors().collect(),
            optimizer: self.trainer.tensors().collect(),
            carried: self.state.values(),
        })
    }

    /// What the run came to; at its end, with the test's score.
    fn outcome(&mut self) -> Result<Outcome, RunError> {
        let Progress { step, best, .. } = self.progress;
        let end = self.end().unwrap_or(End::Stopped);
        let mut test = None;
        if end != End::Stopped && self.corpus.test.predicted() > 0 {
            let mut model = self.trainer.model().clone();
            for tensor in self.directory.load_model()? {
                model.set(&tensor.name, &tensor.shape, &tensor.values)?;
            }
            test = self.score(&model, &self.corpus.test, best.map_or(step, |best| best.step))?;
        }
        if let Some(Best { step, loss, bits_per_byte }) = test {
            self.append(&Record::Test { step, loss, bits_per_byte })?;
        }
        Ok(Outcome { step, best, test, end, seconds: self.speed.seconds() })
    }
}
