//! One step of one direction of a layer: the product with the state, and the cell.

use super::buffers::Step;
use crate::architecture::Cell;
use crate::kernels::Kernels;
use crate::kernels::cells::{self, Gates};
use crate::layout::Quantized;
use crate::ops::{Vectors, project};
use crate::parallel::Workers;
use crate::parts::{ALL_RECURRENT, FLOATS};
use crate::tensor::{ActivationBits, Matrix};

/// What the steps of one direction of a layer compute with.
pub(super) struct LayerCell<'p, K> {
    pub(super) kernels: K,
    pub(super) workers: &'p dyn Workers,
    pub(super) cell: Cell,
    /// Width of the cell.
    pub(super) hidden: usize,
    /// Width of the state.
    pub(super) width: usize,
    /// `[early gates × hidden, width]`.
    pub(super) state: Matrix<'p>,
    /// `[hidden, width]`, of a GRU that resets before the product.
    pub(super) candidate: Option<Matrix<'p>>,
    /// `[width, hidden]`, where the state is a projection.
    pub(super) projection: Option<Matrix<'p>>,
    /// `[hidden]`: bias of a GRU's candidate, or empty.
    pub(super) bias: &'p [f32],
}

impl<K: Kernels> LayerCell<'_, K> {
    /// From the state before to the state after: `gates` are the products with the input, `h` the state with padding,
    /// `c` an LSTM's memory.
    pub(super) fn step(&self, gates: &[f32], h: &mut [f32], c: &mut [f32], step: &mut Step<'_>) {
        // Where the state is rounded to 8 bits, gates of more than 16 bits gain nothing. Only that of floats is not.
        if !FLOATS.is_there || self.state.activations() == Some(ActivationBits::Eight) {
            self.step_with::<cells::Table>(gates, h, c, step);
        } else {
            self.step_with::<cells::Precise>(gates, h, c, step);
        }
    }

    fn step_with<G: Gates>(&self, gates: &[f32], h: &mut [f32], c: &mut [f32], step: &mut Step<'_>) {
        self.multiply(&self.state, &h[..self.width], &mut step.quantized, step.state);
        match self.cell {
            _ if !ALL_RECURRENT.is_there => self.lstm::<G>(gates, h, c, step),
            Cell::Lstm => self.lstm::<G>(gates, h, c, step),
            Cell::GruResetBefore => self.gru_reset_before::<G>(gates, h, step),
            Cell::GruResetAfter => self.kernels.enter(
                #[inline(always)]
                || cells::gru_reset_after::<G>(gates, step.state, self.bias, &mut h[..self.hidden]),
            ),
            Cell::Tanh => self.kernels.enter(
                #[inline(always)]
                || cells::elman_tanh::<G>(gates, step.state, &mut h[..self.hidden]),
            ),
            Cell::Relu => self.kernels.enter(
                #[inline(always)]
                || cells::elman_relu(gates, step.state, &mut h[..self.hidden]),
            ),
        }
    }

    fn lstm<G: Gates>(&self, gates: &[f32], h: &mut [f32], c: &mut [f32], step: &mut Step<'_>) {
        let c = &mut c[..self.hidden];
        let out = if self.projection.is_some() { &mut *step.cell } else { &mut *h };
        self.kernels.enter(
            #[inline(always)]
            || cells::lstm::<G>(gates, step.state, c, out),
        );
        if let (true, Some(projection)) = (ALL_RECURRENT.is_there, &self.projection) {
            self.multiply(projection, &step.cell[..self.hidden], &mut step.quantized, h);
        }
    }

    fn gru_reset_before<G: Gates>(&self, gates: &[f32], h: &mut [f32], step: &mut Step<'_>) {
        let Some(candidate) = &self.candidate else { return };
        let h = &mut h[..self.hidden];
        self.kernels.enter(
            #[inline(always)]
            || cells::gru_reset::<G>(gates, step.state, h, step.cell),
        );
        self.multiply(candidate, &step.cell[..self.hidden], &mut step.quantized, step.candidate);
        self.kernels.enter(
            #[inline(always)]
            || cells::gru_renew::<G>(gates, step.state, step.candidate, h),
        );
    }

    /// One vector × `matrix`, to the front of `out`, padding rows included.
    fn multiply(&self, matrix: &Matrix<'_>, x: &[f32], quantized: &mut Quantized<'_>, out: &mut [f32]) {
        let (x, stride) = (Vectors { data: x, tokens: 1, stride: x.len() }, out.len());
        project(self.kernels, self.workers, matrix, &[], x, quantized, out, stride);
    }
}
