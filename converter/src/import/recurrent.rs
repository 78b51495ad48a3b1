//! The tensors of a recurrent layer, whatever file they come from: gate by gate in the order of a `.whit` file, put
//! together as its roles ask for.

use super::rows::{Stacked, Stored, Values};
use crate::checkpoint::Rows;
use whit::format::{Cell, Recurrent, Role};

/// One direction of a layer. Gates are i, f, g, o or z, r, n.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Products with the input, `[hidden, input]` each.
    pub(crate) input: Vec<Stored>,
    /// Products with the state, `[hidden, state]` each.
    pub(crate) state: Vec<Stored>,
    /// Biases of the first, or nothing.
    pub(crate) input_bias: Vec<Vec<f32>>,
    /// Biases of the second, or nothing.
    pub(crate) state_bias: Vec<Vec<f32>>,
    /// `[state, hidden]`.
    pub(crate) projection: Option<Stored>,
}

/// The tensor of `role` in a layer of these directions.
pub(crate) fn tensor(recurrent: &Recurrent, role: Role, layers: &[&Layer]) -> Box<dyn Rows> {
    let early = recurrent.cell.early_gates();
    let reverse = layers.len() - 1;
    let all = |part: fn(&Layer) -> &Vec<Stored>| -> Vec<Stored> {
        layers.iter().flat_map(|layer| part(layer).iter().cloned()).collect()
    };
    let stacked = |parts: &[Stored]| -> Box<dyn Rows> { Box::new(Stacked::new(parts.to_vec())) };
    match role {
        Role::RecurrentInput => stacked(&all(|layer| &layer.input)),
        Role::RecurrentInputBias => {
            Box::new(Values(layers.iter().flat_map(|layer| input_bias(recurrent.cell, layer)).collect()))
        }
        Role::RecurrentCandidateBias => {
            let candidate = |layer: &&Layer| layer.state_bias.last().cloned().unwrap_or_default();
            Box::new(Values(layers.iter().flat_map(candidate).collect()))
        }
        Role::RecurrentHidden => stacked(&layers[0].state[..early]),
        Role::RecurrentHiddenReverse => stacked(&layers[reverse].state[..early]),
        Role::RecurrentCandidate => stacked(&layers[0].state[early..]),
        Role::RecurrentCandidateReverse => stacked(&layers[reverse].state[early..]),
        Role::RecurrentProjection => stacked(layers[0].projection.as_slice()),
        Role::RecurrentProjectionReverse => stacked(layers[reverse].projection.as_slice()),
        _ => unreachable!("the role is not one of a recurrent layer"),
    }
}

/// The biases that are added to the products with the input: both of every gate, but of a candidate whose other one
/// the reset gate weighs.
fn input_bias(cell: Cell, layer: &Layer) -> Vec<f32> {
    let gates = layer.input_bias.iter().zip(&layer.state_bias).enumerate();
    let sum = |(gate, (input, state)): (usize, (&Vec<f32>, &Vec<f32>))| -> Vec<f32> {
        let weighed = cell == Cell::GruResetAfter && gate == 2;
        input.iter().zip(state).map(|(a, b)| if weighed { *a } else { a + b }).collect()
    };
    gates.flat_map(sum).collect()
}
