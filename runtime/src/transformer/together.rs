//! One token on several workers, each of which goes through all layers with a residual stream of its own and takes heads, gates
//! and rows of its own: they wait for each other four times a layer, and none for what another does alone. Step by step,
//! each handed over and awaited, a token of a 15M model on two threads takes 6 to 9 % longer.
#![allow(unsafe_code, reason = "workers take disjoint heads, gates and rows of what they have in common")]

use super::{Buffers, Pass, Rows, SharedRows};
use crate::attention::{Chunk, Workplace, Workplaces, attend_heads};
use crate::cache::SharedCache;
use crate::format::{Description, Role};
use crate::kernels::Kernels;
use crate::layout::Quantized;
use crate::ops::{Projection, Vectors};
use crate::parallel::{Barrier, Columns, Inline, count, share, worth};
use crate::parts::PARALLEL;
use crate::tensor::LANES;
use core::ops::Range;

/// Most multiplications of the largest matrix for each worker. Of more, whoever is done had better take some from another, which
/// [`over_blocks`](crate::parallel::over_blocks) lets it from as much on.
const MOST: usize = 256 << 10;

/// Heads for each worker from which on it does not matter that some have one more.
const MANY: usize = 4;

/// What one worker of several does, in a job of all of them.
struct Share<'s, 'a, K> {
    pass: Pass<'s, 'a, K>,
    worker: usize,
    count: usize,
    common: &'s Common<'s>,
    cache: &'s SharedCache<'s>,
}

/// What all workers read, and each writes a share of, between two barriers.
struct Common<'b> {
    barrier: &'b dyn Barrier,
    /// What attention gives.
    attended: Columns<'b>,
    /// Activated gates.
    gates: Columns<'b>,
    /// What is added to the residual stream.
    out: Columns<'b>,
}

impl<K: Kernels> Pass<'_, '_, K> {
    /// Embeds the one token and takes it through all layers, or `false`, and nothing done, where that is better done step by step.
    pub(super) fn together(&self, tokens: &[u32], buffers: &mut Buffers<'_>) -> bool {
        if !PARALLEL.is_there || !K::TAKES_ONE {
            return false;
        }
        let count = count(self.workers);
        let Some(barrier) = self.workers.barrier() else { return false };
        if !self.is_for(count) {
            return false;
        }
        let Buffers { cache, rows, scratch, .. } = buffers;
        let (layout, cache) = (self.layout, cache.share());
        let (rows, places) = (SharedRows::new(layout, rows), Workplaces::new(scratch, layout));
        // SAFETY: workers have the tokens before this one.
        let Rows { hidden, projected, out, .. } = unsafe { rows.tokens(count..count + 1) };
        let common = Common {
            barrier,
            attended: Columns::new(hidden, 1, layout.hidden_stride),
            gates: Columns::new(projected, 1, layout.projected_stride),
            out: Columns::new(out, 1, layout.out_stride),
        };
        self.workers.run(&|worker| {
            let pass = Pass { workers: &Inline, ..*self };
            // SAFETY: each worker has its own number, below `count`.
            let (mut own, mut place) = unsafe { (rows.tokens(worker..worker + 1), places.of(worker)) };
            Share { pass, worker, count, common: &common, cache: &cache }.run(tokens, &mut own, &mut place);
        });
        true
    }

    /// Whether there is one token, and for each of `count` workers a row of the buffers beside one for all, and enough to do,
    /// not too much, in heads and gates of whole row blocks.
    fn is_for(&self, count: usize) -> bool {
        let Description { kv_heads, head_width, hidden, gated, .. } = *self.description;
        let kv_heads = kv_heads as usize;
        let whole = |rows: u32| (rows as usize).is_multiple_of(LANES);
        let work = |role| {
            let matrix = self.matrix(role, 0);
            matrix.rows().saturating_mul(matrix.cols())
        };
        count > 1
            && count <= self.layout.options.workers
            && count < self.layout.options.batch
            && self.tokens == 1
            && !self.layout.has_wide_inputs()
            && gated
            && whole(hidden)
            && whole(head_width)
            && (kv_heads.is_multiple_of(count) || kv_heads >= MANY * count)
            && worth(self.workers, work(Role::Qkv)) >= count
            && work(Role::FfnUp) <= MOST * count
    }
}

impl<K: Kernels> Share<'_, '_, K> {
    /// All layers. The residual stream is the same in all workers.
    fn run(&self, tokens: &[u32], own: &mut Rows<'_>, place: &mut Workplace<'_>) {
        let pass = &self.pass;
        pass.embed(tokens, own);
        pass.angles(own);
        for layer in 0..pass.description.layers as usize {
            pass.norm_before(Role::AttentionNorm, Role::AttentionNormBias, layer, own);
            self.attend(layer, own, place);
            self.add(&self.common.attended, [Role::AttentionOut, Role::AttentionOutBias], layer, own);
            pass.norm_after(Role::AttentionNorm, Role::AttentionNormBias, layer, own);

            pass.norm_before(Role::FfnNorm, Role::FfnNormBias, layer, own);
            self.gates(layer, own);
            self.add(&self.common.gates, [Role::FfnDown, Role::FfnDownBias], layer, own);
            pass.norm_after(Role::FfnNorm, Role::FfnNormBias, layer, own);
        }
    }

    fn wait(&self) {
        // SAFETY: this is a job of the workers whose barrier it is (`together`), and this its worker of that number.
        unsafe { self.common.barrier.wait(self.worker) };
    }

    /// What its heads attend to, from their rows of the projection on.
    fn attend(&self, layer: usize, own: &mut Rows<'_>, place: &mut Workplace<'_>) {
        let pass = &self.pass;
        let Description { heads, kv_heads, head_width, .. } = *pass.description;
        let [heads, kv_heads, width] = [heads, kv_heads, head_width].map(|number| number as usize);
        let mine = share(kv_heads, self.worker, self.count);
        let columns = |each: usize| mine.start * each..mine.end * each;
        let (queries, keys) = (columns(heads / kv_heads * width), columns(width));
        let rows = [(0, &queries), (heads, &keys), (heads + kv_heads, &keys)]
            .map(|(first, columns)| first * width + columns.start..first * width + columns.end);

        let projected = Columns::new(own.projected, 1, pass.layout.projected_stride);
        let x = &*own.hidden;
        self.product([Role::Qkv, Role::QkvBias], layer, x, &mut own.inputs, &rows, &projected);
        let (q, rest) = own.projected.split_at_mut(heads * width);
        let (k, v) = rest.split_at_mut(kv_heads * width);
        let [q, k, v] = [&mut q[queries.clone()], &mut k[keys.clone()], &mut v[keys]];
        pass.rotate_heads(q, 0, own.cos, own.sin);
        pass.kernels.scale(q, pass.query_factor());
        pass.rotate_heads(k, 0, own.cos, own.sin);

        let first = layer * kv_heads;
        // SAFETY: no two workers have a head in common.
        let mut cache = unsafe { self.cache.heads(first + mine.start..first + mine.end) };
        // SAFETY: as above.
        unsafe { cache.share().store(pass.kernels, 0, pass.position, k, v) };
        let chunk = Chunk { layer: 0, position: pass.position, tokens: 1, qkv: q, stride: q.len() };
        // SAFETY: as above.
        let mut out = unsafe { self.common.attended.part(queries) };
        attend_heads(
            pass.kernels,
            pass.description,
            pass.layout,
            &cache,
            mine.len(),
            place,
            chunk,
            out.own(0),
        );
    }

    /// Its gates and what they gate, activated.
    fn gates(&self, layer: usize, own: &mut Rows<'_>) {
        let (hidden, gates) = (self.pass.description.hidden as usize, &self.common.gates);
        let mine = self.columns(hidden);
        let rows = [mine.clone(), hidden + mine.start..hidden + mine.end];
        self.product([Role::FfnUp, Role::FfnUpBias], layer, own.hidden, &mut own.inputs, &rows, gates);
        // SAFETY: no two workers have a row in common, nor does a gate with what it gates.
        let [mut gate, mut up] = rows.map(|rows| unsafe { gates.part(rows) });
        self.pass.gate(gate.own(0), up.own(0));
    }

    /// Adds to the residual stream the product of a matrix, of which each worker computes some rows, and its bias, with what all
    /// have written to `x`.
    fn add(&self, x: &Columns<'_>, roles: [Role; 2], layer: usize, own: &mut Rows<'_>) {
        let (out, width) = (&self.common.out, self.pass.layout.width);
        self.wait();
        // SAFETY: what is written between these two barriers is `out`.
        let x = unsafe { x.read() };
        self.product(roles, layer, x, &mut own.inputs, &[self.columns(width)], out);
        self.wait();
        // SAFETY: until the next barrier it is only read.
        let out = unsafe { out.read() };
        self.pass.kernels.add(&mut own.residual[..width], &out[..width]);
    }

    /// Its share of so many columns, in whole row blocks.
    fn columns(&self, all: usize) -> Range<usize> {
        let own = share(all.div_ceil(LANES), self.worker, self.count);
        own.start * LANES..own.end * LANES
    }

    /// Some rows, which nobody else has and which are whole blocks, of the product of a matrix, and its bias, with `x`.
    fn product(
        &self,
        [role, bias]: [Role; 2],
        layer: usize,
        x: &[f32],
        inputs: &mut Quantized<'_>,
        rows: &[Range<usize>],
        out: &Columns<'_>,
    ) {
        let (matrix, bias) = (self.pass.matrix(role, layer), self.pass.tensors.vector(bias, layer));
        let x = Vectors { data: x, tokens: 1, stride: x.len() };
        let projection = Projection::new(self.pass.kernels, &Inline, &matrix, bias, x, inputs);
        for rows in rows {
            // SAFETY: nobody else has these rows.
            let mut part = unsafe { out.part(rows.clone()) };
            projection.rows(rows.start / LANES..rows.end / LANES, &mut part);
        }
    }
}
