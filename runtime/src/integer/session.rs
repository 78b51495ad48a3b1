//! One stream through a chain of integer layers: frames in, vectors out, and a state that is a value.

use super::model::Layer;
use super::{IntegerModel, LstmState, Scratch};
use crate::arena::{Carver, part_len};
use crate::error::Error;
use crate::format::{Chain, IntegerLayer};
use crate::kernels::{Kernels, WithKernels};

/// A part of the state starts at a multiple of this.
const STATE_ALIGNMENT: usize = 4;

const fn state_part(bytes: usize) -> usize {
    bytes.div_ceil(STATE_ALIGNMENT) * STATE_ALIGNMENT
}

/// Lengths of the parts of an arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Bytes of state: of every layer in order, hidden (i8) and cell (i16) of an LSTM; vectors gathered (i8) and their
    /// number (u32) where they are gathered.
    pub(super) state: usize,
    /// Elements of a sum vector.
    sums: usize,
    /// Elements of the widest vector.
    widest: usize,
}

impl Layout {
    pub(super) fn new(chain: &Chain<'_>) -> Self {
        let mut layout = Self { state: 0, sums: 0, widest: chain.inputs() };
        for layer in chain.layers() {
            let outputs = layer.outputs();
            layout.widest = layout.widest.max(outputs);
            let (state, sums) = match layer {
                IntegerLayer::Lstm { .. } => (state_part(outputs) + state_part(2 * outputs), 4 * outputs),
                IntegerLayer::Gather { .. } => (state_part(outputs) + STATE_ALIGNMENT, 0),
                IntegerLayer::FullyConnected { .. } => (0, outputs),
                IntegerLayer::Softmax { .. } => (0, 0),
            };
            layout.state += state;
            layout.sums = layout.sums.max(sums);
        }
        layout
    }

    pub(super) fn total(&self) -> usize {
        part_len(self.state, 1) + 2 * part_len(self.sums, 4) + 2 * part_len(self.widest, 1)
    }
}

/// A stream: what it remembers, and room to work in.
#[derive(Debug)]
pub struct IntegerSession<'m, 's> {
    model: IntegerModel<'m>,
    state: &'s mut [u8],
    sums: [&'s mut [i32]; 2],
    vectors: [&'s mut [i8]; 2],
}

impl<'m, 's> IntegerSession<'m, 's> {
    pub(super) fn new(model: IntegerModel<'m>, arena: &'s mut [u8]) -> Result<Self, Error> {
        let layout = Layout::new(&model.file().chain);
        let mut carver = Carver::new(arena, layout.total())?;
        let state = carver.take(layout.state);
        let sums = [carver.take(layout.sums), carver.take(layout.sums)];
        let vectors = [carver.take(layout.widest), carver.take(layout.widest)];
        debug_assert_eq!(carver.left(), 0, "the layout's total is the sum of its parts");
        let mut session = Self { model, state, sums, vectors };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &IntegerModel<'m> {
        &self.model
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.state.fill(0);
        let mut parts = StateParts(self.state);
        for layer in self.model.layers() {
            match layer {
                Layer::Lstm(lstm) => parts.lstm(lstm.hidden()).reset(&lstm),
                Layer::Gather { width, count } => drop(parts.gathered(width * count)),
                Layer::FullyConnected(_) | Layer::Softmax(_) => {}
            }
        }
    }

    /// Reads `frames`, `[..][inputs]`, and hands every output vector to `each`. Any split of the frames among calls gives
    /// the same vectors.
    ///
    /// # Errors
    /// [`Error::Frames`] if these are not whole frames; the session is then unchanged.
    pub fn feed(&mut self, frames: &[i8], mut each: impl FnMut(&[i8])) -> Result<(), Error> {
        let width = self.model.file().chain.inputs();
        if !frames.len().is_multiple_of(width) {
            return Err(Error::Frames { width, found: frames.len() });
        }
        for frame in frames.chunks_exact(width) {
            self.frame().copy_from_slice(frame);
            if let Some(vector) = self.step() {
                each(vector);
            }
        }
        Ok(())
    }

    /// Room for the frame that [`IntegerSession::step`] reads.
    pub(super) fn frame(&mut self) -> &mut [i8] {
        let width = self.model.file().chain.inputs();
        &mut self.vectors[0][..width]
    }

    /// One frame through all layers; the vector, if one is complete.
    pub(super) fn step(&mut self) -> Option<&[i8]> {
        self.model.backend().run(Step(self))
    }

    /// The state: all that a stream remembers. A copy, written back with [`IntegerSession::load`], continues the stream
    /// on the same model.
    pub fn state(&self) -> &[u8] {
        self.state
    }

    /// Replaces the state by a copy of another session's on the same model.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if it is not one; the session is then unchanged.
    pub fn load(&mut self, state: &[u8]) -> Result<(), Error> {
        if state.len() != self.state.len() {
            return Err(Error::Snapshot { problem: "its length is not that of this model's states" });
        }
        self.state.copy_from_slice(state);
        Ok(())
    }
}

/// Takes the layers' parts off the front of a state.
struct StateParts<'s>(&'s mut [u8]);

impl<'s> StateParts<'s> {
    fn take(&mut self, bytes: usize) -> &'s mut [u8] {
        let (part, rest) = core::mem::take(&mut self.0).split_at_mut(state_part(bytes));
        self.0 = rest;
        &mut part[..bytes]
    }

    fn lstm(&mut self, hidden: usize) -> LstmState<'s> {
        LstmState {
            hidden: bytemuck::cast_slice_mut(self.take(hidden)),
            cell: bytemuck::cast_slice_mut(self.take(2 * hidden)),
        }
    }

    /// Room for the elements of a gathered vector, and how many there are.
    fn gathered(&mut self, elements: usize) -> (&'s mut [i8], &'s mut u32) {
        let vector = bytemuck::cast_slice_mut(self.take(elements));
        (vector, bytemuck::from_bytes_mut(self.take(STATE_ALIGNMENT)))
    }
}

/// One frame through all layers.
struct Step<'w, 'm, 's>(&'w mut IntegerSession<'m, 's>);

impl<'w> WithKernels for Step<'w, '_, '_> {
    type Output = Option<&'w [i8]>;

    fn call<K: Kernels>(self, kernels: K) -> Self::Output {
        kernels.enter(
            #[inline(always)]
            || through_layers(self.0),
        )
    }
}

#[inline(always)]
fn through_layers<'w>(session: &'w mut IntegerSession<'_, '_>) -> Option<&'w [i8]> {
    let IntegerSession { model, state, sums: [sums, more_sums], vectors: [x, y] } = session;
    let (mut parts, mut scratch) = (StateParts(state), Scratch { input: sums, hidden: more_sums });
    let (mut x, mut y): (&mut [i8], &mut [i8]) = (x, y);
    let mut width = model.file().chain.inputs();
    for layer in model.layers() {
        let input = &x[..width];
        match layer {
            Layer::Lstm(lstm) => {
                let mut state = parts.lstm(lstm.hidden());
                lstm.step(input, &mut state, &mut scratch);
                width = lstm.hidden();
                y[..width].copy_from_slice(state.hidden);
            }
            Layer::FullyConnected(layer) => {
                layer.apply(input, scratch.input, y);
                width = layer.weights.rows();
            }
            Layer::Softmax(softmax) => softmax.apply(input, &mut y[..width]),
            Layer::Gather { width: one, count } => {
                let (vector, gathered) = parts.gathered(one * count);
                // A loaded state may hold any number.
                let at = (*gathered as usize).min(count - 1);
                vector[at * one..][..one].copy_from_slice(input);
                *gathered = (at + 1) as u32 % count as u32;
                if *gathered != 0 {
                    return None;
                }
                width = vector.len();
                y[..width].copy_from_slice(vector);
            }
        }
        core::mem::swap(&mut x, &mut y);
    }
    Some(&x[..width])
}
