//! The operands of one operator, each checked as it is taken.

use super::graph::{Graph, Numeric, Operator, Tensor};
use std::fmt::Display;
use whit::format::Quantization;

/// What is wrong with an operand: the subject, what was expected, what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) subject: String,
    pub(super) expected: String,
    pub(super) found: String,
}

/// One operator in its graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands<'g, 'a> {
    pub(super) graph: &'g Graph<'a>,
    pub(super) operator: &'g Operator,
}

impl<'g, 'a> Operands<'g, 'a> {
    pub(super) fn fault(&self, what: &str, expected: &str, found: &dyn Display) -> Fault {
        Fault {
            subject: format!("{} of {}", what, self.operator.operation.name()),
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    pub(super) fn unknown(&self) -> Fault {
        Fault {
            subject: "operators".into(),
            expected: "UNIDIRECTIONAL_SEQUENCE_LSTM, FULLY_CONNECTED, RESHAPE, SOFTMAX, and QUANTIZE and DEQUANTIZE \
                       at the ends"
                .into(),
            found: self.operator.operation.name(),
        }
    }

    fn about(&self, tensor: &Tensor<'_>, expected: String, found: String) -> Fault {
        let subject = format!("tensor `{}` of {}", tensor.name, self.operator.operation.name());
        Fault { subject, expected, found }
    }

    pub(super) fn is_given(&self, index: usize) -> bool {
        matches!(self.operator.inputs.get(index), Some(Some(_)))
    }

    pub(super) fn input(&self, index: usize) -> Result<&'g Tensor<'a>, Fault> {
        let tensor =
            self.operator.inputs.get(index).copied().flatten().map(|tensor| &self.graph.tensors[tensor]);
        tensor.ok_or_else(|| self.fault(&format!("input {index}"), "a tensor", &"none"))
    }

    pub(super) fn output(&self) -> Result<&'g Tensor<'a>, Fault> {
        match self.operator.outputs[..] {
            [output] => Ok(&self.graph.tensors[output]),
            _ => Err(self.fault("outputs", "1", &self.operator.outputs.len())),
        }
    }

    /// That vectors of `width` cannot be made of an input.
    pub(super) fn shape(&self, index: usize, width: usize) -> Fault {
        match self.input(index) {
            Ok(tensor) => {
                let expected = format!("a shape that gathers to vectors of {width}");
                self.about(tensor, expected, format!("{:?}", tensor.shape))
            }
            Err(fault) => fault,
        }
    }

    /// The one scale of a tensor of `numeric`, and its zero point.
    fn affine(&self, tensor: &Tensor<'_>, numeric: Numeric) -> Result<(f32, i64), Fault> {
        if tensor.numeric != numeric {
            return Err(self.about(tensor, numeric.name(), tensor.numeric.name()));
        }
        let mut pairs = tensor.affine.scales().zip(tensor.affine.zero_points());
        match (pairs.next(), pairs.next()) {
            (Some((scale, zero_point)), None) if scale.is_finite() && scale > 0.0 => Ok((scale, zero_point)),
            (pair, _) => {
                let found = pair.map_or("none".into(), |(scale, _)| {
                    format!("{} scales, the first {scale}", tensor.affine.scales().len())
                });
                Err(self.about(tensor, "one positive scale".into(), found))
            }
        }
    }

    fn bytes(&self, tensor: &Tensor<'_>) -> Result<Quantization, Fault> {
        let (scale, zero_point) = self.affine(tensor, Numeric::I8)?;
        let zero_point = i8::try_from(zero_point)
            .map_err(|_| self.about(tensor, "a zero point of -128 to 127".into(), zero_point.to_string()))?;
        Ok(Quantization { scale, zero_point })
    }

    /// What the bytes of an input stand for.
    pub(super) fn quantization(&self, index: usize) -> Result<Quantization, Fault> {
        self.bytes(self.input(index)?)
    }

    /// What the bytes of the output stand for.
    pub(super) fn output_quantization(&self) -> Result<Quantization, Fault> {
        self.bytes(self.output()?)
    }

    /// Weights: two dimensions, symmetric.
    pub(super) fn weights(&self, index: usize) -> Result<&'g Tensor<'a>, Fault> {
        let tensor = self.input(index)?;
        if tensor.shape.len() != 2 || tensor.shape.contains(&0) {
            return Err(self.about(tensor, "two dimensions".into(), format!("{:?}", tensor.shape)));
        }
        match tensor.affine.zero_points().find(|&zero_point| zero_point != 0) {
            Some(zero_point) => {
                Err(self.about(tensor, "zero points of 0, as weights have".into(), zero_point.to_string()))
            }
            None => Ok(tensor),
        }
    }

    /// The one scale of a matrix of weights.
    pub(super) fn scale(&self, index: usize) -> Result<f32, Fault> {
        self.affine(self.weights(index)?, Numeric::I8).map(|(scale, _)| scale)
    }

    /// The numbers of a matrix.
    pub(super) fn int8(&self, index: usize) -> Result<Vec<i8>, Fault> {
        let tensor = self.weights(index)?;
        tensor.i8s().ok_or_else(|| {
            let expected = format!("{} stored numbers of int8", tensor.elements());
            self.about(tensor, expected, format!("{} bytes of {}", tensor.data.len(), tensor.numeric.name()))
        })
    }

    /// The numbers of a matrix of this shape.
    pub(super) fn matrix(&self, index: usize, rows: usize, cols: usize) -> Result<Vec<i8>, Fault> {
        let tensor = self.weights(index)?;
        if tensor.shape != [rows, cols] {
            return Err(self.about(tensor, format!("[{rows}, {cols}]"), format!("{:?}", tensor.shape)));
        }
        self.int8(index)
    }

    /// The numbers of a bias.
    pub(super) fn int32(&self, index: usize, len: usize) -> Result<Vec<i32>, Fault> {
        let tensor = self.input(index)?;
        tensor.i32s().filter(|numbers| numbers.len() == len).ok_or_else(|| {
            let found =
                format!("{:?} of {}, {} bytes", tensor.shape, tensor.numeric.name(), tensor.data.len());
            self.about(tensor, format!("{len} stored numbers of int32"), found)
        })
    }

    /// The scale of an int16 cell: a power of two.
    pub(super) fn cell_scale(&self, index: usize) -> Result<f32, Fault> {
        let tensor = self.input(index)?;
        let (scale, _) = self.affine(tensor, Numeric::I16)?;
        let power = scale.log2();
        // TensorFlow Lite's own tolerance.
        if (power - power.round()).abs() < 1e-3 && (-27.0..=0.0).contains(&power.round()) {
            return Ok(scale);
        }
        Err(self.about(tensor, "a scale of 2^-27 to 1 that is a power of two".into(), scale.to_string()))
    }

    /// That an LSTM is of the one form that is computed: a batch of one, no peepholes, projection or normalization.
    pub(super) fn lstm_form(&self, activation: u8, time_major: bool) -> Result<(), Fault> {
        const TANH: u8 = 4;
        let input = self.input(0)?;
        let batch = input.shape.get(usize::from(time_major));
        if input.shape.len() != 3 || batch != Some(&1) {
            let expected = if time_major { "[steps, 1, inputs]" } else { "[1, steps, inputs]" };
            return Err(self.about(input, expected.into(), format!("{:?}", input.shape)));
        }
        if activation != TANH {
            return Err(self.fault("activation", "TANH (4)", &activation));
        }
        let extras = [(9..12, "peepholes"), (16..18, "a projection"), (20..24, "layer normalization")];
        for (mut indices, what) in extras {
            if indices.any(|index| self.is_given(index)) {
                return Err(self.fault(
                    "form",
                    "neither peepholes, projection nor layer normalization",
                    &what,
                ));
            }
        }
        Ok(())
    }
}
