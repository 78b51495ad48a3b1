//! How much memory a session on a recurrent model needs, part by part: the same for every position.

use crate::architecture::Cell;
use crate::arena::{Carver, part_len};
use crate::error::Error;
use crate::format::Recurrent;
use crate::layout::{Quantized, SessionOptions, check_options, larger, quantized, quantized_bytes};
use crate::parts::RECURRENT;
use crate::tensor::{ActivationShape, padded_rows};

/// Most tokens that a session can be asked to remember.
pub(crate) const MOST_REMEMBERED: usize = 131_071;

/// Lengths, in elements, of the parts of an arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) options: SessionOptions,
    recurrent: Recurrent,
    /// Tokens that are remembered.
    history: usize,
    /// States of all layers and directions.
    pub(super) state_len: usize,
    /// Stride of a layer's inputs and outputs.
    pub(super) vector_stride: usize,
    /// Stride of the products with the inputs, of both directions.
    pub(super) gates_stride: usize,
    /// Stride of the outputs.
    pub(crate) outputs_stride: usize,
    /// The largest product with the state.
    products: usize,
    /// The largest output of a cell that is not the state yet.
    cell: usize,
    /// The largest product with that.
    candidate: usize,
    quantized: ActivationShape,
    /// Lengths in elements of the f32 parts, in the order of [`Layout::carve`].
    f32_parts: [usize; 7],
    /// Bytes of the whole arena.
    pub(crate) total: usize,
}

/// The parts of an arena.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) history: &'a mut [u32],
    pub(super) state: &'a mut [f32],
    pub(super) vectors: &'a mut [f32],
    pub(super) gates: &'a mut [f32],
    pub(super) outputs: &'a mut [f32],
    pub(super) products: &'a mut [f32],
    pub(super) cell: &'a mut [f32],
    pub(super) candidate: &'a mut [f32],
    pub(super) quantized: Quantized<'a>,
}

/// Where the state of one direction of a layer lies: `h` with padding, then an LSTM's `c` with padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    start: usize,
    hidden: usize,
    memory: usize,
}

impl Place {
    /// The two parts of `state`.
    pub(crate) fn of<'s>(&self, state: &'s mut [f32]) -> (&'s mut [f32], &'s mut [f32]) {
        state[self.start..][..self.hidden + self.memory].split_at_mut(self.hidden)
    }
}

impl Layout {
    pub(crate) const fn new(recurrent: &Recurrent, options: &SessionOptions) -> Result<Self, Error> {
        if let Err(error) = RECURRENT.needed() {
            return Err(error);
        }
        if let Err(error) = check_options(options, MOST_REMEMBERED) {
            return Err(error);
        }
        let mut layout = Self {
            options: *options,
            recurrent: *recurrent,
            history: if recurrent.vocabulary > 0 { options.context } else { 0 },
            state_len: 0,
            vector_stride: recurrent.input as usize,
            gates_stride: 0,
            outputs_stride: padded_rows(recurrent.outputs()),
            products: 0,
            cell: 0,
            candidate: 0,
            quantized: ActivationShape { tokens: options.batch, cols: recurrent.input as usize },
            f32_parts: [0; 7],
            total: 0,
        };
        let mut layer = 0;
        while layer < recurrent.layers as usize {
            layout.add_layer(layer);
            layer += 1;
        }
        layout.f32_parts = layout.lengths();
        layout.total = layout.bytes();
        Ok(layout)
    }

    const fn add_layer(&mut self, layer: usize) {
        let recurrent = self.recurrent;
        let (hidden, directions) = (recurrent.hidden(layer), recurrent.directions());
        let vector = directions * recurrent.state(layer);
        let later = recurrent.projected || matches!(recurrent.cell, Cell::GruResetBefore);
        let place = self.place_from(self.state_len, layer);
        self.state_len += directions * (place.hidden + place.memory);
        self.vector_stride = larger(self.vector_stride, vector);
        self.gates_stride =
            larger(self.gates_stride, padded_rows(directions * recurrent.cell.gates() * hidden));
        self.products = larger(self.products, padded_rows(recurrent.state_rows(layer)));
        if later {
            self.cell = larger(self.cell, hidden);
        }
        if matches!(recurrent.cell, Cell::GruResetBefore) {
            self.candidate = larger(self.candidate, padded_rows(hidden));
        }
        self.quantized.cols = larger(larger(self.quantized.cols, vector), hidden);
    }

    const fn place_from(&self, start: usize, layer: usize) -> Place {
        let hidden = padded_rows(self.recurrent.state(layer));
        let is_lstm = matches!(self.recurrent.cell, Cell::Lstm);
        let memory = if is_lstm { padded_rows(self.recurrent.hidden(layer)) } else { 0 };
        Place { start, hidden, memory }
    }

    /// The model that it was made for.
    pub(crate) fn recurrent(&self) -> &Recurrent {
        &self.recurrent
    }

    /// Where the state of one direction of a layer lies.
    pub(super) fn place(&self, layer: usize, direction: usize) -> Place {
        let len = |layer| {
            let place = self.place_from(0, layer);
            place.hidden + place.memory
        };
        let before: usize = (0..layer).map(|layer| self.recurrent.directions() * len(layer)).sum();
        self.place_from(before + direction * len(layer), layer)
    }

    /// [`Layout::f32_parts`] of what is known.
    const fn lengths(&self) -> [usize; 7] {
        let batch = self.options.batch;
        [
            self.state_len,
            batch.saturating_mul(self.vector_stride),
            batch.saturating_mul(self.gates_stride),
            self.options.logits.saturating_mul(self.outputs_stride),
            self.products,
            self.cell,
            self.candidate,
        ]
    }

    /// Bytes of the part that holds the states.
    pub(crate) const fn state_bytes(&self) -> usize {
        part_len(self.state_len, 4)
    }

    const fn bytes(&self) -> usize {
        let mut total = part_len(self.history, 4).saturating_add(quantized_bytes(self.quantized, 1));
        let mut i = 0;
        while i < self.f32_parts.len() {
            total = total.saturating_add(part_len(self.f32_parts[i], 4));
            i += 1;
        }
        total
    }

    /// Carves an arena into its parts.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what is needed.
    pub(super) fn carve<'a>(&self, arena: &'a mut [u8]) -> Result<Parts<'a>, Error> {
        let mut carver = Carver::new(arena, self.total)?;
        let [state, vectors, gates, outputs, products, cell, candidate] = self.f32_parts;
        let parts = Parts {
            history: carver.take(self.history),
            state: carver.take(state),
            vectors: carver.take(vectors),
            gates: carver.take(gates),
            outputs: carver.take(outputs),
            products: carver.take(products),
            cell: carver.take(cell),
            candidate: carver.take(candidate),
            quantized: quantized(&mut carver, (self.quantized, 1)),
        };
        debug_assert_eq!(carver.left(), 0, "the layout's total is the sum of its parts");
        Ok(parts)
    }
}
