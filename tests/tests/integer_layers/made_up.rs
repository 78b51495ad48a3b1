//! Layers that the published vectors lack, and a reference layer as the runtime takes it.

use crate::reference::{Factor, Layer, Seen, State};
use whit::integer::{Gate, Lstm, LstmParameters, LstmState, Order, Requantize, Scratch, Weights};
use whit::kernels::Backend;
use whit::quant::pack_digits_i8;
use whit::sampler::Random;
use whit::tensor::{LANES, MatrixI8};

/// Rows packed as the runtime reads them.
pub(crate) fn pack(weights: &[i8], cols: usize) -> Vec<i8> {
    let mut packed = vec![0; MatrixI8::data_len(weights.len() / cols, cols)];
    let blocks = packed.chunks_exact_mut(MatrixI8::data_len(LANES, cols));
    for (rows, block) in weights.chunks(LANES * cols).zip(blocks) {
        pack_digits_i8(rows, cols, block);
    }
    packed
}

/// `bias − zero point · Σ weights`, per row.
pub(crate) fn fold(bias: &[i32], weights: &[i8], cols: usize, zero_point: i32) -> Vec<i32> {
    let sums = weights.chunks_exact(cols).map(|row| row.iter().map(|&w| i32::from(w)).sum::<i32>());
    bias.iter().zip(sums).map(|(bias, sum)| bias - zero_point * sum).collect()
}

/// A layer's tensors in the runtime's layout.
pub(crate) struct Packed<'l> {
    layer: &'l Layer,
    input_weights: Vec<i8>,
    hidden_weights: Vec<i8>,
    input_bias: Vec<i32>,
    hidden_bias: Vec<i32>,
}

fn factor((multiplier, shift): Factor) -> Requantize {
    Requantize::new(multiplier, shift)
}

impl<'l> Packed<'l> {
    pub(crate) fn new(layer: &'l Layer) -> Self {
        let (input, hidden) = (layer.input_weights.concat(), layer.hidden_weights.concat());
        Self {
            layer,
            input_bias: fold(&layer.bias.concat(), &input, layer.inputs, layer.input_zero_point),
            hidden_bias: fold(&vec![0; 4 * layer.hidden], &hidden, layer.hidden, layer.zero_point),
            input_weights: pack(&input, layer.inputs),
            hidden_weights: pack(&hidden, layer.hidden),
        }
    }

    fn lstm(&self) -> Lstm<'_> {
        let layer = self.layer;
        Lstm {
            input_weights: Weights::new(4 * layer.hidden, layer.inputs, &self.input_weights).expect("fits"),
            hidden_weights: Weights::new(4 * layer.hidden, layer.hidden, &self.hidden_weights).expect("fits"),
            input_bias: &self.input_bias,
            hidden_bias: &self.hidden_bias,
            parameters: LstmParameters {
                gates: layer
                    .factors
                    .map(|[input, hidden]| Gate { input: factor(input), hidden: factor(hidden) }),
                forget_to_cell: factor(layer.forget_to_cell),
                input_to_cell: factor(layer.input_to_cell),
                output: factor(layer.output),
                zero_point: layer.zero_point as i8,
                cell_power: layer.cell_power,
                cell_clip: layer.cell_clip,
            },
        }
    }

    /// Advances `states` by the steps in `input`; returns the output.
    pub(crate) fn run(&self, backend: Backend, order: Order, states: &mut [State], input: &[i8]) -> Vec<i8> {
        let lstm = self.lstm();
        let mut output = vec![0; input.len() / self.layer.inputs * self.layer.hidden];
        // What scratch holds must not matter.
        let (mut a, mut b) = (vec![77; 4 * self.layer.hidden], vec![-5; 4 * self.layer.hidden]);
        let mut scratch = Scratch { input: &mut a, hidden: &mut b };
        let mut states: Vec<_> = states
            .iter_mut()
            .map(|state| LstmState { hidden: &mut state.hidden, cell: &mut state.cell })
            .collect();
        lstm.run(backend, order, &mut states, &mut scratch, input, &mut output);
        output
    }
}

/// What the reference makes of one stream.
pub(crate) fn expected(layer: &Layer, state: &mut State, input: &[i8], seen: &mut Seen) -> Vec<i8> {
    let steps = input.chunks_exact(layer.inputs).map(|x| {
        layer.step(state, x, seen);
        state.hidden.clone()
    });
    steps.collect::<Vec<_>>().concat()
}

/// Random bytes.
pub(crate) fn bytes(random: &mut Random, count: usize) -> Vec<i8> {
    (0..count).map(|_| (random.next_u32() >> 24) as i8).collect()
}

/// A layer like those that converters write: gates of a few units of Q3.12's eight, whatever the widths.
pub(crate) fn layer(inputs: usize, hidden: usize, seed: u64) -> Layer {
    let mut random = Random::new(seed);
    let matrix = |random: &mut Random, cols: usize| [(); 4].map(|()| bytes(random, hidden * cols));
    // A product is up to 2¹⁴, its sum about 2¹³ √cols; that is to become about 2¹².
    let multiplier = |random: &mut Random, cols: usize| {
        let halvings = -1 - (cols as f64).sqrt().log2().round() as i32;
        ((1 << 30) + (random.next_u32() >> 2) as i32, halvings)
    };
    Layer {
        inputs,
        hidden,
        input_weights: matrix(&mut random, inputs),
        hidden_weights: matrix(&mut random, hidden),
        bias: [(); 4].map(|()| (0..hidden).map(|_| random.next_u32() as i32 >> 17).collect()),
        input_zero_point: -128 + (random.next_u32() >> 25) as i32,
        zero_point: (random.next_u32() >> 27) as i32 - 16,
        factors: [(); 4].map(|()| [multiplier(&mut random, inputs), multiplier(&mut random, hidden)]),
        forget_to_cell: (1 << 30, -14),
        input_to_cell: (1 << 30, -15),
        output: (1_441_324_494, -22),
        cell_power: -14,
        cell_clip: 0,
    }
}
