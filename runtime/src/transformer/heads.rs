//! One token on several workers, each with heads of its own: their rows of the projection, their rotation, their part of
//! the cache and their attention are one job. Step by step, workers would wait for each other twice, and all of them for
//! what is too little to be shared out by itself.
#![allow(unsafe_code, reason = "workers take disjoint heads")]

use super::{Buffers, Pass};
use crate::attention::{Chunk, Workplaces, attend_heads, attention_work};
use crate::format::{Description, Role};
use crate::kernels::Kernels;
use crate::ops::Projection;
use crate::parallel::{Shared, count, share, units_of, worth};
use crate::parts::PARALLEL;
use crate::tensor::LANES;

/// Heads for each worker from which on it does not matter that some have one more.
const MANY: usize = 4;

impl<K: Kernels> Pass<'_, '_, K> {
    /// Layer `layer` up to what attention gives, or `false`, and nothing done, where that is better done step by step.
    pub(super) fn by_heads(&self, layer: usize, buffers: &mut Buffers<'_>) -> bool {
        if !PARALLEL.is_there || self.tokens != 1 {
            return false;
        }
        let Description { heads, kv_heads, head_width, .. } = *self.description;
        let [heads, kv_heads, width] = [heads, kv_heads, head_width].map(|number| number as usize);
        let count = count(self.workers).min(self.layout.options.workers);
        // Heads of whole row blocks, as many for each.
        if count <= 1
            || !width.is_multiple_of(LANES)
            || !(kv_heads.is_multiple_of(count) || kv_heads >= MANY * count)
        {
            return false;
        }
        let matrix = self.matrix(Role::Qkv, layer);
        // Quantized, the vector is free for what attention gives.
        let Some(bits) = matrix.activations() else { return false };
        let work =
            matrix.rows().saturating_mul(matrix.cols()) + attention_work(self.description, self.position, 1);
        let most = worth(self.workers, work);
        if most < count {
            return false;
        }

        let Buffers { cache, rows, scratch, .. } = buffers;
        self.norm_before(Role::AttentionNorm, Role::AttentionNormBias, layer, rows);
        let bias = self.tensors.vector(Role::QkvBias, layer);
        let x = self.hidden(rows.hidden);
        let projection =
            Projection::quantized(self.kernels, self.workers, &matrix, bits, bias, x, &mut rows.inputs);
        let projected = projection.columns(rows.projected, self.layout.projected_stride);
        let (hidden, cache) = (Shared::new(rows.hidden), cache.share());
        let places = Workplaces::new(scratch, self.layout);
        // One for each, or each head by itself: between them lie shares of unequal numbers of heads.
        let units = if units_of(most, count) < kv_heads { count } else { kv_heads };
        self.workers.each(count, units, &|worker, unit| {
            let own = share(kv_heads, unit, units);
            let columns = |first: usize, each: usize| first + own.start * each..first + own.end * each;
            let queries = columns(0, heads / kv_heads * width);
            let keys = columns(heads * width, width);
            let values = columns((heads + kv_heads) * width, width);
            let [mut q, mut k, mut v] = [queries.clone(), keys, values].map(|columns| {
                let blocks = columns.start / LANES..columns.end / LANES;
                // SAFETY: no two units have a head in common.
                let mut part = unsafe { projected.part(columns) };
                projection.rows(blocks, &mut part);
                part
            });
            let [q, k, v] = [&mut q, &mut k, &mut v].map(|part| part.own(0));
            self.rotate_heads(q, 0, rows.cos, rows.sin);
            self.kernels.scale(q, self.query_factor());
            self.rotate_heads(k, 0, rows.cos, rows.sin);

            let first = layer * kv_heads;
            // SAFETY: as above.
            let mut cache = unsafe { cache.heads(first + own.start..first + own.end) };
            let store = cache.share();
            for (head, (key, value)) in k.chunks_exact(width).zip(v.chunks_exact(width)).enumerate() {
                // SAFETY: these heads are this worker's alone.
                unsafe { store.store(self.kernels, head, self.position, key, value) };
            }
            // SAFETY: each worker has its own number, and is done with a unit before the next.
            let mut place = unsafe { places.of(worker) };
            let chunk = Chunk { layer: 0, position: self.position, tokens: 1, qkv: q, stride: q.len() };
            // SAFETY: as above.
            let out = unsafe { hidden.part(queries) };
            attend_heads(
                self.kernels,
                self.description,
                self.layout,
                &cache,
                own.len(),
                &mut place,
                chunk,
                out,
            );
        });
        true
    }
}
