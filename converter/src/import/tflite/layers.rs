//! A graph of quantized operators to a chain of integer layers, parameter by parameter as TensorFlow Lite Micro
//! prepares them.

use super::factor::{multiplier, requantize};
use super::graph::{Graph, Operation, Operator, Tensor};
use super::operands::{Fault, Operands};
use crate::integer::Layer;
use whit::format::{IntegerLayer, Quantization};
use whit::integer::{Gate, LstmParameters, Requantize, Softmax};

/// Activations by their number in the schema.
const RELU: u8 = 1;
const RELU_N1_TO_1: u8 = 2;
const RELU6: u8 = 3;

/// The scale of what goes into sigmoid and tanh (Q3.12), and of what comes out (Q0.15).
const GATE_SCALE: f32 = 1.0 / 4096.0;
const ACTIVATED_SCALE: f64 = 1.0 / 32_768.0;

/// `rows` vectors of `width` numbers on their way through the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vectors {
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl Vectors {
    /// The last dimension is the width, the others are rows.
    pub(super) fn of(tensor: &Tensor<'_>) -> Option<Self> {
        let (&width, rows) = tensor.shape.split_last()?;
        let rows = rows.iter().try_fold(1usize, |rows, &size| rows.checked_mul(size))?;
        (rows > 0 && width > 0).then_some(Self { rows, width })
    }

    /// The layers that make vectors of `width` of these: none, or one that gathers.
    fn widened(self, width: usize) -> Option<(Self, Option<Layer>)> {
        if width == self.width {
            return Some((self, None));
        }
        let count = width / self.width;
        if !width.is_multiple_of(self.width) || !self.rows.is_multiple_of(count.max(1)) || count == 0 {
            return None;
        }
        let layer = IntegerLayer::Gather { width: self.width as u32, count: u32::try_from(count).ok()? };
        let layer = Layer { layer, weights: Vec::new(), vectors: Vec::new() };
        Some((Self { rows: self.rows / count, width }, Some(layer)))
    }
}

/// Appends the layers of one operator to `layers`; returns what comes out.
pub(super) fn append(
    graph: &Graph<'_>,
    operator: &Operator,
    vectors: Vectors,
    layers: &mut Vec<Layer>,
) -> Result<Vectors, Fault> {
    let operands = Operands { graph, operator };
    match operator.operation {
        Operation::Lstm { activation, cell_clip, time_major } => {
            lstm(&operands, vectors, activation, cell_clip, time_major).map(|layer| layers.push(layer))?;
            Ok(Vectors { width: layers.last().map_or(0, |layer| layer.layer.outputs()), ..vectors })
        }
        Operation::FullyConnected { activation } => {
            let width = operands.weights(1)?.shape.get(1).copied().unwrap_or(0);
            let (vectors, gather) = vectors.widened(width).ok_or_else(|| operands.shape(0, width))?;
            layers.extend(gather);
            let layer = fully_connected(&operands, activation)?;
            let width = layer.layer.outputs();
            layers.push(layer);
            Ok(Vectors { width, ..vectors })
        }
        Operation::Reshape => {
            let to = Vectors::of(operands.output()?).ok_or_else(|| operands.shape(0, vectors.width))?;
            let (reshaped, gather) = vectors.widened(to.width).ok_or_else(|| operands.shape(0, to.width))?;
            if reshaped != to {
                return Err(operands.shape(0, to.width));
            }
            layers.extend(gather);
            Ok(reshaped)
        }
        Operation::Softmax { beta } => {
            layers.push(softmax(&operands, vectors, beta)?);
            Ok(vectors)
        }
        Operation::Quantize | Operation::Dequantize | Operation::Other(_) => Err(operands.unknown()),
    }
}

fn softmax(operands: &Operands<'_, '_>, vectors: Vectors, beta: f32) -> Result<Layer, Fault> {
    let (scale, output) = (operands.quantization(0)?.scale, operands.output_quantization()?);
    if output != (Quantization { scale: 1.0 / 256.0, zero_point: -128 }) {
        let found = format!("scale {}, zero point {}", output.scale, output.zero_point);
        return Err(operands.fault("output quantization", "scale 0.00390625, zero point -128", &found));
    }
    if vectors.width > Softmax::MOST {
        return Err(operands.fault("width", &format!("at most {}", Softmax::MOST), &vectors.width));
    }
    // Q5.26: five bits before the point.
    let factor = (f64::from(beta) * f64::from(scale) * f64::from(1 << 26)).min(f64::from(i32::MAX));
    let softmax = multiplier(factor).filter(|_| factor > 1.0);
    let softmax =
        softmax.and_then(|(multiplier, shift)| Softmax::new(multiplier, u32::try_from(shift).ok()?));
    let softmax = softmax.ok_or_else(|| operands.fault("beta times scale", "more than 2^-26", &factor))?;
    let layer = IntegerLayer::Softmax { width: vectors.width as u32, softmax };
    Ok(Layer { layer, weights: Vec::new(), vectors: Vec::new() })
}

fn fully_connected(operands: &Operands<'_, '_>, activation: u8) -> Result<Layer, Fault> {
    let (input, output) = (operands.quantization(0)?, operands.output_quantization()?);
    let tensor = operands.weights(1)?;
    let (rows, cols) = (tensor.shape[0], tensor.shape[1]);
    let weights = operands.int8(1)?;
    let bias = if operands.is_given(2) { operands.int32(2, rows)? } else { vec![0; rows] };
    let scales: Vec<f32> = tensor.affine.scales().collect();
    let factors: Vec<Requantize> = match scales[..] {
        // One scale: the product with the input's is rounded to f32, as TensorFlow Lite has it; many: it is not.
        [scale] => vec![requantize(f64::from(input.scale * scale) / f64::from(output.scale)); rows],
        _ if scales.len() == rows && tensor.affine.dimension == 0 => scales
            .iter()
            .map(|&scale| requantize(f64::from(input.scale) * f64::from(scale) / f64::from(output.scale)))
            .collect(),
        _ => return Err(operands.fault("weight scales", &format!("1 or {rows}"), &scales.len())),
    }
    .into_iter()
    .collect::<Option<_>>()
    .ok_or_else(|| {
        operands.fault("scales", "an output scale that is not far below the products'", &output.scale)
    })?;
    let range = range(activation, output).ok_or_else(|| {
        operands.fault("fused activation", "NONE, RELU, RELU6 or RELU_N1_TO_1", &activation)
    })?;
    let layer = IntegerLayer::FullyConnected {
        inputs: cols as u32,
        outputs: rows as u32,
        zero_point: output.zero_point,
        range,
    };
    let bias = folded(&weights, cols, &bias, input.zero_point);
    let vectors = vec![
        bias,
        factors.iter().map(|factor| factor.multiplier()).collect(),
        factors.iter().map(|factor| factor.shift()).collect(),
    ];
    Ok(Layer { layer, weights: vec![weights], vectors })
}

/// Least and largest output of a fused activation.
fn range(activation: u8, output: Quantization) -> Option<[i8; 2]> {
    // `round` takes halves away from zero, as TensorFlow Lite does; the cast saturates.
    let at = |real: f32| {
        let steps = (real / output.scale).round() as i32;
        steps.saturating_add(i32::from(output.zero_point)).clamp(-128, 127) as i8
    };
    match activation {
        0 => Some([-128, 127]),
        RELU => Some([output.zero_point, 127]),
        RELU_N1_TO_1 => Some([at(-1.0), at(1.0)]),
        RELU6 => Some([at(0.0), at(6.0)]),
        _ => None,
    }
}

/// `bias[row] − zero point · Σ weights[row]`; wraps as the runtime's sums do.
fn folded(weights: &[i8], cols: usize, bias: &[i32], zero_point: i8) -> Vec<i32> {
    let sums = weights.chunks_exact(cols).map(|row| row.iter().map(|&weight| i32::from(weight)).sum::<i32>());
    sums.zip(bias).map(|(sum, bias)| bias.wrapping_sub(i32::from(zero_point).wrapping_mul(sum))).collect()
}

/// Numbers of the operands, see TensorFlow Lite's `lstm_shared.h`. Gates: input, forget, cell, output.
const INPUT_WEIGHTS: usize = 1;
const HIDDEN_WEIGHTS: usize = 5;
const BIASES: usize = 12;
const HIDDEN_STATE: usize = 18;
const CELL_STATE: usize = 19;

fn lstm(
    operands: &Operands<'_, '_>,
    vectors: Vectors,
    activation: u8,
    cell_clip: f32,
    time_major: bool,
) -> Result<Layer, Fault> {
    operands.lstm_form(activation, time_major)?;
    let (input, state) = (operands.quantization(0)?, operands.quantization(HIDDEN_STATE)?);
    let hidden = operands.weights(HIDDEN_WEIGHTS)?.shape[0];
    let mut input_weights = Vec::new();
    let mut hidden_weights = Vec::new();
    let mut bias = Vec::new();
    let mut gates = [Gate { input: Requantize::new(0, 0), hidden: Requantize::new(0, 0) }; 4];
    for (g, gate) in gates.iter_mut().enumerate() {
        input_weights.extend(operands.matrix(INPUT_WEIGHTS + g, hidden, vectors.width)?);
        hidden_weights.extend(operands.matrix(HIDDEN_WEIGHTS + g, hidden, hidden)?);
        bias.extend(operands.int32(BIASES + g, hidden)?);
        gate.input = gate_factor(operands, input.scale, INPUT_WEIGHTS + g)?;
        gate.hidden = gate_factor(operands, state.scale, HIDDEN_WEIGHTS + g)?;
    }
    let parameters = parameters(operands, gates, state, cell_clip)?;
    let input_bias = folded(&input_weights, vectors.width, &bias, input.zero_point);
    let hidden_bias = folded(&hidden_weights, hidden, &vec![0; bias.len()], state.zero_point);
    let layer = IntegerLayer::Lstm { inputs: vectors.width as u32, hidden: hidden as u32, parameters };
    Ok(Layer { layer, weights: vec![input_weights, hidden_weights], vectors: vec![input_bias, hidden_bias] })
}

/// What brings the product of `scale` with the weights in operand `weights` to Q3.12.
fn gate_factor(operands: &Operands<'_, '_>, scale: f32, weights: usize) -> Result<Requantize, Fault> {
    let weight_scale = operands.scale(weights)?;
    let factor = f64::from(scale * weight_scale) / f64::from(GATE_SCALE);
    requantize(factor).ok_or_else(|| operands.fault("gate factor", "less than 2^30", &factor))
}

fn parameters(
    operands: &Operands<'_, '_>,
    gates: [Gate; 4],
    state: Quantization,
    cell_clip: f32,
) -> Result<LstmParameters, Fault> {
    let cell_scale = operands.cell_scale(CELL_STATE)?;
    // A scale that is all but a power of two counts as one, but only here.
    let cell_power = cell_scale.log2().round() as i32;
    let factor =
        |factor: f64| requantize(factor).ok_or_else(|| operands.fault("factor", "less than 2^30", &factor));
    let clip = (f64::from(cell_clip) / f64::from(cell_scale)).min(f64::from(i16::MAX));
    if cell_clip > 0.0 && clip < 1.0 {
        return Err(operands.fault("cell_clip", "0, or at least one step of the cell", &cell_clip));
    }
    Ok(LstmParameters {
        gates,
        forget_to_cell: factor(ACTIVATED_SCALE * f64::from(cell_scale) / f64::from(cell_scale))?,
        input_to_cell: factor(ACTIVATED_SCALE * ACTIVATED_SCALE / f64::from(cell_scale))?,
        output: factor(ACTIVATED_SCALE * ACTIVATED_SCALE / f64::from(state.scale))?,
        zero_point: state.zero_point,
        cell_power,
        cell_clip: clip.max(0.0) as i16,
    })
}
