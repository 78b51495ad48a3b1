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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::init::{Builder, Init};
    use crate::train::parameters::Use;

    /// The weight after each of the gradients of the published examples `adam-1` and `adam-2`, whose β₂ is 0.999.
    fn after_each(used_as: Use, weight_decay: f32) -> Vec<f32> {
        let mut builder = Builder::new(1);
        builder.matrix("w", used_as, [1, 1], Init::Constant(1.0));
        let constants = AdamW { beta2: 0.999, weight_decay, ..AdamW::default() };
        let mut optimizer = Optimizer::new(constants, &builder.parameters);
        let mut step = 0;
        let mut update = |gradient: f32| {
            step += 1;
            let gradient = &mut [2.0 * gradient][..];
            optimizer.update(&mut builder.parameters, [gradient].into_iter(), step, 1e-3, 0.5, 1);
            builder.parameters[0].values[0]
        };
        [0.1, -0.2, 0.05].map(&mut update).to_vec()
    }

    #[test]
    fn the_published_steps_with_and_without_decay() {
        let plain = [0.999_000_000_1, 0.999_366_103_603_884_9, 0.999_502_794_256_602_2];
        let decayed = [0.998_990_000_1, 0.999_346_113_703_883_9, 0.999_472_810_894_465_4];
        for (found, expected) in [
            (after_each(Use::Product, 0.0), plain),
            (after_each(Use::Product, 0.01), decayed),
            (after_each(Use::Vector, 0.01), plain),
            (after_each(Use::TiedRows, 0.01), plain),
        ] {
            for (found, expected) in found.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, not {expected}");
            }
        }
    }

    /// The published examples `clip-1` and `clip-2`.
    #[test]
    fn long_gradients_are_clipped_and_short_ones_are_not() {
        let of = |gradient: [f32; 2]| norm(gradient.chunks(1));
        assert_eq!(of([3.0, 4.0]), 5.0);
        assert_eq!([3.0, 4.0].map(|g| g * clip_factor(5.0, 1.0)), [0.6, 0.8]);
        assert_eq!(clip_factor(of([0.3, 0.4]), 1.0), 1.0);
    }

    #[test]
    fn what_belongs_to_another_model_is_refused() {
        let mut builder = Builder::new(1);
        builder.matrix("a.b", Use::Product, [1, 2], Init::Constant(1.0));
        let mut optimizer = Optimizer::new(AdamW::default(), &builder.parameters);
        assert_eq!(optimizer.set("square.a.b", &[1.0, 2.0]), Ok(()));
        assert!(optimizer.tensors().any(|t| t.name == "square.a.b" && t.values == [1.0, 2.0]));
        assert!(matches!(optimizer.set("mean.a.b", &[1.0]), Err(TrainError::Shape { .. })));
        for name in ["mean.a", "median.a.b", "nothing"] {
            assert!(
                matches!(optimizer.set(name, &[1.0, 2.0]), Err(TrainError::NoSuchTensor { .. })),
                "{name}"
            );
        }
    }
}
