//! The memory of a forward pass, and how several workers take parts of it.
#![allow(unsafe_code, reason = "workers take disjoint tokens")]

use crate::attention::Scratch;
use crate::cache::Cache;
use crate::format::Description;
use crate::layout::{Layout, Parts, Quantized};
use crate::ops::SharedQuantized;
use crate::parallel::Shared;
use core::ops::Range;

/// Everything of a session that a forward pass changes, apart from the position.
#[derive(Debug)]
pub(crate) struct Buffers<'a> {
    pub(crate) cache: Cache<'a>,
    pub(super) rows: Rows<'a>,
    pub(crate) logits: &'a mut [f32],
    pub(super) scratch: Scratch<'a>,
}

/// What there is of each token, `[tokens][its stride]`.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) residual: &'a mut [f32],
    pub(super) hidden: &'a mut [f32],
    pub(super) projected: &'a mut [f32],
    pub(super) out: &'a mut [f32],
    pub(super) cos: &'a mut [f32],
    pub(super) sin: &'a mut [f32],
    pub(super) inputs: Quantized<'a>,
}

impl<'a> Buffers<'a> {
    /// The history and the buffers of a session.
    pub(crate) fn new(description: &Description, layout: &Layout, parts: Parts<'a>) -> (&'a mut [u32], Self) {
        let head_width = description.head_width as usize;
        parts.ones.fill(1.0);
        let buffers = Self {
            cache: Cache::new(layout, head_width, parts.numbers_i8, parts.numbers_f32, parts.scales),
            rows: Rows {
                residual: parts.residual,
                hidden: parts.hidden,
                projected: parts.projected,
                out: parts.out,
                cos: parts.cos,
                sin: parts.sin,
                inputs: parts.inputs,
            },
            logits: parts.logits,
            scratch: Scratch {
                scores: parts.scores,
                queries: parts.queries,
                weights: parts.weights,
                values: parts.values,
                ones: parts.ones,
            },
        };
        (parts.history, buffers)
    }

    /// Memory that holds nothing between two passes.
    pub(crate) fn workspace(&mut self) -> &mut [f32] {
        self.rows.projected
    }
}

/// [`Rows`] of which several workers may each take some tokens.
pub(super) struct SharedRows<'a> {
    /// In the order of [`Rows`].
    floats: [(Shared<'a, f32>, usize); 6],
    inputs: SharedQuantized<'a>,
}

impl<'a> SharedRows<'a> {
    pub(super) fn new(layout: &Layout, rows: &'a mut Rows<'_>) -> Self {
        Self {
            floats: [
                (Shared::new(rows.residual), layout.width),
                (Shared::new(rows.hidden), layout.hidden_stride),
                (Shared::new(rows.projected), layout.projected_stride),
                (Shared::new(rows.out), layout.out_stride),
                (Shared::new(rows.cos), layout.rotary_pairs),
                (Shared::new(rows.sin), layout.rotary_pairs),
            ],
            inputs: SharedQuantized::new(&mut rows.inputs, layout.inputs.cols),
        }
    }

    /// Those of `tokens`.
    ///
    /// # Safety
    /// - While they live, nobody else takes any of these tokens.
    pub(super) unsafe fn tokens(&self, tokens: Range<usize>) -> Rows<'_> {
        // SAFETY: the contract is the caller's.
        let [residual, hidden, projected, out, cos, sin] = self
            .floats
            .each_ref()
            .map(|(rows, stride)| unsafe { rows.part(tokens.start * stride..tokens.end * stride) });
        // SAFETY: as above.
        let inputs = unsafe { self.inputs.tokens(tokens) };
        Rows { residual, hidden, projected, out, cos, sin, inputs }
    }
}
