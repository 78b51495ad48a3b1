//! AdamW (Loshchilov and Hutter 2019), and the clipping of gradients before it.

use super::error::TrainError;
use super::parameters::{NamedTensor, Parameter};
use super::simd::{sum_by, vectorized};
use super::threads::for_each;

/// The constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// How much of the mean of gradients is kept in a step.
    pub beta1: f32,
    /// How much of the mean of their squares is.
    pub beta2: f32,
    /// Added to the root of the latter.
    pub epsilon: f32,
    /// Share of a weight that a step at the rate 1 takes away; of matrices alone, not of biases, norms and rows that
    /// are looked up.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// β 0.9 and 0.95 (Brown et al. 2020), ε 1e-8, decay 0.1.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 }
    }
}

/// The means of one parameter.
#[derive(Clone, Debug)]
struct Moments {
    name: String,
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// AdamW and what it remembers.
#[derive(Clone, Debug)]
pub(super) struct Optimizer {
    constants: AdamW,
    moments: Vec<Moments>,
}

/// What one update multiplies with.
#[derive(Clone, Copy)]
struct Factors {
    constants: AdamW,
    /// What gradients are multiplied with before anything else.
    clip: f32,
    /// Rate over the correction of the mean, which begins at zero.
    rate: f32,
    /// One over the root of the correction of the squares.
    root: f32,
    /// What decayed weights keep.
    keep: f32,
}

impl Optimizer {
    /// Remembers nothing yet.
    pub(super) fn new(constants: AdamW, parameters: &[Parameter]) -> Self {
        let moments = |parameter: &Parameter| Moments {
            name: parameter.name.clone(),
            mean: vec![0.0; parameter.values.len()],
            square: vec![0.0; parameter.values.len()],
        };
        Self { constants, moments: parameters.iter().map(moments).collect() }
    }

    /// Update number `step`, counted from 1. Gradients are multiplied with `clip` first.
    pub(super) fn update<'g>(
        &mut self,
        parameters: &mut [Parameter],
        gradients: impl ExactSizeIterator<Item = &'g mut [f32]> + Send,
        step: u64,
        rate: f32,
        clip: f32,
        threads: usize,
    ) {
        let constants = self.constants;
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(power);
        let factors = Factors {
            constants,
            clip,
            rate: (f64::from(rate) / correction(constants.beta1)) as f32,
            root: (1.0 / correction(constants.beta2).sqrt()) as f32,
            keep: 1.0,
        };
        let items = parameters.iter_mut().zip(&mut self.moments).zip(gradients);
        for_each(threads, items, |((parameter, moments), gradient)| {
            let keep = if parameter.used_as.decays() { 1.0 - rate * constants.weight_decay } else { 1.0 };
            Factors { keep, ..factors }.update(&mut parameter.values, moments, gradient);
        });
    }

    /// What it remembers, as named tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = NamedTensor> + '_ {
        self.moments.iter().flat_map(|Moments { name, mean, square }| {
            let tensor = |kind: &str, values: &Vec<f32>| NamedTensor {
                name: format!("{kind}.{name}"),
                shape: vec![values.len()],
                values: values.clone(),
            };
            [tensor("mean", mean), tensor("square", square)]
        })
    }

    /// Goes on with one of the tensors that [`Optimizer::tensors`] gave.
    ///
    /// # Errors
    /// If there is none of this name, or its length is another.
    pub(super) fn set(&mut self, name: &str, values: &[f32]) -> Result<(), TrainError> {
        let no_such = || TrainError::NoSuchTensor { tensor: name.to_owned() };
        let (kind, of) = name.split_once('.').ok_or_else(no_such)?;
        let moments = self.moments.iter_mut().find(|moments| moments.name == of).ok_or_else(no_such)?;
        let own = match kind {
            "mean" => &mut moments.mean,
            "square" => &mut moments.square,
            _ => return Err(no_such()),
        };
        if own.len() != values.len() {
            let (expected, found) = (vec![own.len()], vec![values.len()]);
            return Err(TrainError::Shape { tensor: name.to_owned(), expected, found });
        }
        own.copy_from_slice(values);
        Ok(())
    }
}

impl Factors {
    fn update(self, values: &mut [f32], moments: &mut Moments, gradient: &[f32]) {
        let AdamW { beta1, beta2, epsilon, .. } = self.constants;
        let len = values.len();
        let (mean, square, gradient) =
            (&mut moments.mean[..len], &mut moments.square[..len], &gradient[..len]);
        vectorized(
            #[inline(always)]
            || {
                for i in 0..len {
                    let g = gradient[i] * self.clip;
                    mean[i] = beta1 * mean[i] + (1.0 - beta1) * g;
                    square[i] = beta2 * square[i] + (1.0 - beta2) * (g * g);
                    let step = self.rate * mean[i] / (square[i].sqrt() * self.root + epsilon);
                    values[i] = values[i] * self.keep - step;
                }
            },
        );
    }
}

/// The Euclidean norm of all `gradients` together.
pub(super) fn norm<'g>(gradients: impl Iterator<Item = &'g [f32]>) -> f64 {
    let square = |gradient: &[f32]| {
        vectorized(
            #[inline(always)]
            || {
                sum_by(
                    gradient.len(),
                    #[inline(always)]
                    |i| gradient[i] * gradient[i],
                )
            },
        )
    };
    gradients.map(|gradient| f64::from(square(gradient))).sum::<f64>().sqrt()
}

/// What gradients of norm `norm` are multiplied with so that it is at most `most` (Pascanu et al. 2013).
pub(super) fn clip_factor(norm: f64, most: f32) -> f32 {
    if norm > f64::from(most) { (f64::from(most) / norm) as f32 } else { 1.0 }
}
