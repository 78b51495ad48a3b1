//! What a forward pass of a recurrent model changes: state, and scratch memory.

use super::layout::Layout;
use crate::error::Error;
use crate::layout::Quantized;

/// Everything of a session that a forward pass changes, apart from the position.
#[derive(Debug)]
pub(crate) struct Buffers<'a> {
    /// States of all layers and directions, see [`Layout::place`].
    pub(crate) state: &'a mut [f32],
    /// Inputs of a layer, then its outputs: `[batch][vector_stride]`.
    pub(super) vectors: &'a mut [f32],
    /// Products with the inputs: `[batch][gates_stride]`.
    pub(super) gates: &'a mut [f32],
    /// Results of the output head: `[outputs][outputs_stride]`.
    pub(crate) outputs: &'a mut [f32],
    pub(super) step: Step<'a>,
}

/// Scratch memory of one step.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// The product with the state.
    pub(super) state: &'a mut [f32],
    /// An LSTM's output before its projection, or a GRU's state after its reset.
    pub(super) cell: &'a mut [f32],
    /// The product with that.
    pub(super) candidate: &'a mut [f32],
    pub(super) quantized: Quantized<'a>,
}

impl<'a> Buffers<'a> {
    /// The history and the buffers of a session, nothing read yet.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what is needed.
    pub(crate) fn new(layout: &Layout, arena: &'a mut [u8]) -> Result<(&'a mut [u32], Self), Error> {
        let parts = layout.carve(arena)?;
        let buffers = Self {
            state: parts.state,
            vectors: parts.vectors,
            gates: parts.gates,
            outputs: parts.outputs,
            step: Step {
                state: parts.products,
                cell: parts.cell,
                candidate: parts.candidate,
                quantized: parts.quantized,
            },
        };
        Ok((parts.history, buffers))
    }

    /// Memory that holds nothing between two passes.
    pub(crate) fn workspace(&mut self) -> &mut [f32] {
        self.gates
    }
}
