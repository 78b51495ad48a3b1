//! Parameters and their first values, from a seed.

use super::parameters::{FileTensor, Parameter, ParameterId, Use};
use super::random::Key;
use std::f32::consts::TAU;
use whit::math;
use whit::sampler::Random;

/// How a parameter begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Init {
    /// Normal with this standard deviation.
    Normal(f32),
    /// Uniform between this and its opposite.
    Uniform(f32),
    /// All the same.
    Constant(f32),
}

/// A list of parameters that grows.
pub(super) struct Builder {
    key: Key,
    pub(super) parameters: Vec<Parameter>,
}

impl Builder {
    /// An empty list, for values from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { key: Key::new(seed), parameters: Vec::new() }
    }

    /// Adds a matrix that is stored as the tensor `name`.
    pub(super) fn matrix(
        &mut self,
        name: &str,
        used_as: Use,
        [rows, cols]: [usize; 2],
        init: Init,
    ) -> ParameterId {
        let file = FileTensor { name: name.to_owned(), rows: 0..rows, flat: false, transposed: false };
        self.add(name, used_as, [rows, cols], init, vec![file])
    }

    /// Adds a list of `len` numbers that is stored as the tensor `name`.
    pub(super) fn vector(&mut self, name: &str, len: usize, init: Init) -> ParameterId {
        let file = FileTensor { name: name.to_owned(), rows: 0..1, flat: true, transposed: false };
        self.add(name, Use::Vector, [1, len], init, vec![file])
    }

    /// Adds a parameter that is stored as `files`.
    pub(super) fn add(
        &mut self,
        name: &str,
        used_as: Use,
        [rows, cols]: [usize; 2],
        init: Init,
        files: Vec<FileTensor>,
    ) -> ParameterId {
        let id = self.parameters.len();
        let mut random = Random::new(self.key.part(id as u64).seed());
        let values = (0..rows * cols).map(|_| init.draw(&mut random)).collect();
        self.parameters.push(Parameter { name: name.to_owned(), used_as, rows, cols, values, files });
        ParameterId(id)
    }
}

impl Init {
    fn draw(self, random: &mut Random) -> f32 {
        match self {
            Self::Normal(deviation) => deviation * normal(random),
            Self::Uniform(bound) => bound * (2.0 * random.next_f32() - 1.0),
            Self::Constant(value) => value,
        }
    }
}

/// A number of the normal distribution (Box and Muller 1958), by functions whose bits are the same everywhere.
fn normal(random: &mut Random) -> f32 {
    // Never 0, whose logarithm is infinite.
    let radius = (-2.0 * math::log(1.0 - random.next_f32())).sqrt();
    radius * math::cos(TAU * random.next_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_moments_asked_for_and_repeat() {
        for (init, deviation) in [(Init::Normal(0.5), 0.5), (Init::Uniform(0.6), 0.6 / 3f32.sqrt())] {
            let [a, b] = [3, 3].map(|seed| {
                let mut builder = Builder::new(seed);
                builder.matrix("w", Use::Product, [100, 100], init);
                builder.parameters.remove(0).values
            });
            assert_eq!(a, b);
            let mean = a.iter().sum::<f32>() / 1e4;
            let square = a.iter().map(|x| x * x).sum::<f32>() / 1e4;
            assert!(mean.abs() < 0.05 * deviation, "{init:?}: {mean}");
            assert!((square.sqrt() / deviation - 1.0).abs() < 0.03, "{init:?}: {square}");
        }
    }
}
