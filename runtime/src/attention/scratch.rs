//! The memory in which attention works.
#![allow(unsafe_code, reason = "workers take disjoint parts of it")]

use crate::layout::{Layout, Quantized};
use crate::ops::SharedQuantized;
use crate::parallel::Shared;

/// Memory in which attention works, for all workers.
#[derive(Debug)]
pub(crate) struct Scratch<'a> {
    pub(crate) scores: &'a mut [f32],
    pub(crate) queries: Quantized<'a>,
    pub(crate) weights: Quantized<'a>,
    pub(crate) values: &'a mut [f32],
    /// Row scales of a matrix without any: ones.
    pub(crate) ones: &'a [f32],
}

/// What one worker works in.
pub(crate) struct Workplace<'a> {
    pub(super) scores: &'a mut [f32],
    pub(super) span: usize,
    pub(super) queries: Quantized<'a>,
    pub(super) weights: Quantized<'a>,
    pub(super) values: &'a mut [f32],
    pub(super) ones: &'a [f32],
}

/// The scratch memory of all workers.
pub(crate) struct Workplaces<'a> {
    pub(super) scores: Shared<'a, f32>,
    pub(super) span: usize,
    pub(super) queries: SharedQuantized<'a>,
    pub(super) weights: SharedQuantized<'a>,
    pub(super) values: Shared<'a, f32>,
    pub(super) ones: &'a [f32],
    /// Scores, queries and sums of values of one worker.
    pub(super) lengths: [usize; 3],
}

impl<'a> Workplaces<'a> {
    pub(crate) fn new(scratch: &'a mut Scratch<'_>, layout: &Layout) -> Self {
        let values = scratch.values.len() / layout.options.workers;
        // An f32 cache needs no quantized vectors, and its layout has none.
        let queries = scratch.queries.totals.len() / layout.options.workers;
        Self {
            scores: Shared::new(scratch.scores),
            span: layout.span,
            queries: SharedQuantized::new(&mut scratch.queries, layout.query_shape.cols),
            weights: SharedQuantized::new(&mut scratch.weights, layout.weight_shape.cols),
            values: Shared::new(scratch.values),
            ones: scratch.ones,
            lengths: [layout.scores_len(), queries, values],
        }
    }

    /// The memory of worker `worker`.
    ///
    /// # Safety
    /// - No two live at once for the same worker.
    pub(crate) unsafe fn of(&self, worker: usize) -> Workplace<'_> {
        let own = |len: usize| worker * len..(worker + 1) * len;
        // SAFETY: the parts of different workers do not overlap; the contract excludes the same worker twice.
        unsafe {
            Workplace {
                scores: self.scores.part(own(self.lengths[0])),
                span: self.span,
                queries: self.queries.tokens(own(self.lengths[1])),
                weights: self.weights.tokens(own(2 * self.lengths[1])),
                values: self.values.part(own(self.lengths[2])),
                ones: self.ones,
            }
        }
    }
}
