//! A parsed chain of integer layers: views over the file, the choice of a backend, sizes.

use super::{FullyConnected, IntegerSession, Lstm, Softmax};
use crate::error::Error;
use crate::format::{IntegerFile, IntegerLayer};
use crate::kernels::Backend;

/// A chain over the bytes of a `.whit` file. Small and `Copy`: the weights stay where they are.
///
/// Every frame goes through the layers in order; a layer gives a vector for each that it takes, or, where vectors are
/// gathered, for every so many. So memory does not grow with the sequence, and a sequence may come in any pieces.
#[derive(Clone, Copy, Debug)]
pub struct IntegerModel<'a> {
    file: IntegerFile<'a>,
    backend: Backend,
}

/// A layer with its weights.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer<'a> {
    Lstm(Lstm<'a>),
    FullyConnected(FullyConnected<'a>),
    Softmax(Softmax),
    Gather { width: usize, count: usize },
}

impl<'a> IntegerModel<'a> {
    /// Proves the structure of a file, in time proportional to its tables, and picks the CPU's fastest backend.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self { file: IntegerFile::parse(bytes)?, backend: Backend::detect() })
    }

    /// The same model computed by another backend. The results have the same bits.
    pub fn with_backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// The backend that computes.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The file's parts.
    pub fn file(&self) -> &IntegerFile<'a> {
        &self.file
    }

    /// Bytes of arena that a session needs: exact.
    pub fn arena_size(&self) -> usize {
        super::session::Layout::new(&self.file.chain).total()
    }

    /// Bytes of that arena that are state; the rest is scratch.
    pub fn state_size(&self) -> usize {
        super::session::Layout::new(&self.file.chain).state
    }

    /// A session in `arena`.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what the arena must be.
    pub fn session<'s>(&self, arena: &'s mut [u8]) -> Result<IntegerSession<'a, 's>, Error> {
        IntegerSession::new(*self, arena)
    }

    /// The bytes of a frame (or part of one) of real numbers: `real / scale`, rounded half away from zero, plus the
    /// zero point, clamped; NaN gives the zero point. The shorter slice decides how many.
    pub fn quantize(&self, real: &[f32], out: &mut [i8]) {
        let input = self.file.chain.input();
        for (out, real) in out.iter_mut().zip(real) {
            let steps = real / input.scale;
            let whole = steps as i32; // towards zero, saturating
            let rest = steps - whole as f32;
            let away = if rest >= 0.5 { 1 } else { -i32::from(rest <= -0.5) };
            let value = whole.saturating_add(away).saturating_add(i32::from(input.zero_point));
            *out = super::saturate_i8(value);
        }
    }

    /// The real numbers that the bytes of an output vector stand for: `(f32)(q − zero point) · scale`.
    pub fn dequantize(&self, vector: &[i8], out: &mut [f32]) {
        let output = self.file.chain.output();
        for (out, &value) in out.iter_mut().zip(vector) {
            *out = (i32::from(value) - i32::from(output.zero_point)) as f32 * output.scale;
        }
    }

    /// The layers with their weights, in order.
    pub(super) fn layers(&self) -> impl Iterator<Item = Layer<'a>> + use<'a> {
        let tensors = self.file.tensors;
        let mut entries = tensors.entries();
        self.file.chain.layers().map(move |layer| {
            let mut next = || entries.next().expect("parse proved the table");
            match layer {
                IntegerLayer::Lstm { parameters, .. } => {
                    let [input_weights, hidden_weights, input_bias, hidden_bias] = [(); 4].map(|()| next());
                    Layer::Lstm(Lstm {
                        input_weights: tensors.weights(&input_weights),
                        hidden_weights: tensors.weights(&hidden_weights),
                        input_bias: tensors.vector(&input_bias),
                        hidden_bias: tensors.vector(&hidden_bias),
                        parameters,
                    })
                }
                IntegerLayer::FullyConnected { zero_point, range, .. } => {
                    let [weights, bias, multipliers, shifts] = [(); 4].map(|()| next());
                    Layer::FullyConnected(FullyConnected {
                        weights: tensors.weights(&weights),
                        bias: tensors.vector(&bias),
                        multipliers: tensors.vector(&multipliers),
                        shifts: tensors.vector(&shifts),
                        zero_point,
                        range,
                    })
                }
                IntegerLayer::Softmax { softmax, .. } => Layer::Softmax(softmax),
                IntegerLayer::Gather { width, count } => {
                    Layer::Gather { width: width as usize, count: count as usize }
                }
            }
        })
    }
}
