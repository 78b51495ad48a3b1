//! One step after the other, and what they cost measured on other text.

use super::error::TrainError;
use super::gradients::Gradients;
use super::model::{Model, State};
use super::optimizer::{AdamW, Optimizer, clip_factor, norm};
use super::parameters::{NamedTensor, ParameterId};
use super::pass::{Batch, Options, run};
use super::pool::Pool;
use super::quantize::Quantization;
use super::random::Key;
use super::weights::WeightStore;

/// How a model is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The constants of the optimizer.
    pub optimizer: AdamW,
    /// What the model is rounded to in every pass, as the runtime will.
    pub quantization: Quantization,
    /// Share of elements that are dropped behind the embedding and every layer or half block.
    pub dropout: f32,
    /// Share of each target that is spread over all tokens.
    pub label_smoothing: f32,
    /// Most that the norm of all gradients may be.
    pub clip: f32,
    /// Seed of dropout.
    pub seed: u64,
    /// Threads that work on a batch: they decide the speed, never a bit.
    pub threads: usize,
}

impl Default for Settings {
    /// f32, no dropout, no smoothing, norm at most 1, one thread.
    fn default() -> Self {
        Self {
            optimizer: AdamW::default(),
            quantization: Quantization::NONE,
            dropout: 0.0,
            label_smoothing: 0.0,
            clip: 1.0,
            seed: 0,
            threads: 1,
        }
    }
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Mean loss of the batch before the step, smoothing included, in nats per token.
    pub loss: f64,
    /// Norm of all gradients before clipping.
    pub gradient_norm: f64,
}

/// A model that is being trained. Everything that decides the next step is in the model's and the trainer's tensors,
/// the number of steps, the settings and the batch: a trainer that is given them goes on to the same bits.
#[derive(Debug)]
pub struct Trainer {
    model: Model,
    settings: Settings,
    optimizer: Optimizer,
    steps: u64,
    weights: WeightStore,
    gradients: Gradients,
    pools: Vec<Pool>,
}

impl Trainer {
    /// At the first step.
    pub fn new(model: Model, settings: Settings) -> Self {
        Self {
            optimizer: Optimizer::new(settings.optimizer, &model.parameters),
            steps: 0,
            weights: WeightStore::new(model.parameters.len()),
            gradients: Gradients::new(&model.parameters),
            pools: pools(settings.threads),
            model,
            settings,
        }
    }

    /// The model as it is.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model, for changing it.
    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// The model, without what was there to train it.
    pub fn into_model(self) -> Model {
        self.model
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What passes round to.
    pub fn quantization(&self) -> Quantization {
        self.settings.quantization
    }

    /// Rounds to `quantization` from the next step on.
    pub fn set_quantization(&mut self, quantization: Quantization) {
        self.settings.quantization = quantization;
    }

    /// What the optimizer remembers; with [`Trainer::steps`], all that is not in the model.
    pub fn tensors(&self) -> impl Iterator<Item = NamedTensor> + '_ {
        self.optimizer.tensors()
    }

    /// Goes on after step `steps`, with what [`Trainer::tensors`] gave then.
    ///
    /// # Errors
    /// If a tensor belongs to another model.
    pub fn resume(
        &mut self,
        steps: u64,
        tensors: impl IntoIterator<Item = NamedTensor>,
    ) -> Result<(), TrainError> {
        for tensor in tensors {
            self.optimizer.set(&tensor.name, &tensor.values)?;
        }
        self.steps = steps;
        Ok(())
    }

    /// One step at the learning rate `rate`. The state, of a recurrent model, goes on; no gradient flows into what came
    /// before the batch.
    ///
    /// # Errors
    /// If the batch or the state does not fit the model; nothing is changed then.
    pub fn step(&mut self, batch: &Batch<'_>, state: &mut State, rate: f32) -> Result<Step, TrainError> {
        let Settings { threads, quantization, .. } = self.settings;
        self.gradients.reset();
        self.weights.prepare(&self.model.parameters, quantization, true, threads);
        let options = Options {
            gradients: Some(&self.gradients),
            smoothing: self.settings.label_smoothing,
            dropout: self.settings.dropout,
            key: Key::new(self.settings.seed).part(self.steps),
        };
        let weights = self.weights.weights(&self.model.parameters, quantization);
        let sum = run(&self.model, weights, batch, state, &mut self.pools, options)?;
        self.steps += 1;
        let mut gradients: Vec<&mut [f32]> = self.gradients.finish().collect();
        for (id, gradient) in gradients.iter_mut().enumerate() {
            self.weights.cut(ParameterId(id), gradient);
        }
        let gradient_norm = norm(gradients.iter().map(|gradient| &**gradient));
        let clip = clip_factor(gradient_norm, self.settings.clip);
        let parameters = &mut self.model.parameters;
        self.optimizer.update(parameters, gradients.into_iter(), self.steps, rate, clip, threads);
        Ok(Step { loss: sum / batch.counted().max(1) as f64, gradient_norm })
    }
}

/// A model that is measured, rounded as it will be run.
#[derive(Debug)]
pub struct Evaluator<'m> {
    model: &'m Model,
    quantization: Quantization,
    weights: WeightStore,
    pools: Vec<Pool>,
}

impl<'m> Evaluator<'m> {
    /// Rounds and packs `model`.
    pub fn new(model: &'m Model, quantization: Quantization, threads: usize) -> Self {
        let mut weights = WeightStore::new(model.parameters.len());
        weights.prepare(&model.parameters, quantization, false, threads);
        Self { model, quantization, weights, pools: pools(threads) }
    }

    /// The sum of the losses of all targets of `batch` that count, in nats. The state goes on.
    ///
    /// # Errors
    /// If the batch or the state does not fit the model.
    pub fn nats(&mut self, batch: &Batch<'_>, state: &mut State) -> Result<f64, TrainError> {
        let options = Options { gradients: None, smoothing: 0.0, dropout: 0.0, key: Key::new(0) };
        let weights = self.weights.weights(&self.model.parameters, self.quantization);
        run(self.model, weights, batch, state, &mut self.pools, options)
    }
}

fn pools(threads: usize) -> Vec<Pool> {
    (0..threads.max(1)).map(|_| Pool::default()).collect()
}
