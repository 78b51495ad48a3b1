//! How much memory a session needs, part by part, known at compile time for an included file.

use crate::arena::{Carver, part_len};
use crate::attention::{QUERIES, SPAN};
use crate::error::Error;
use crate::format::{Architecture, Description, File, Role, WideInputs};
use crate::parts::{FLOATS, PARALLEL, TRANSFORMER};
use crate::state::StateLayout;
use crate::tensor::{ActivationShape, padded_rows};

/// Fewest queries that are worth working on together: what a tile of the integer kernels takes.
const FEW_QUERIES: usize = 8;

/// How keys and values of earlier positions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// f32: the reference, four times the memory.
    F32,
    /// int8 with one scale per position and head; scores and value sums are exact integers.
    I8,
}

impl CacheKind {
    /// Whether keys and values are quantized.
    pub(crate) const fn is_i8(self) -> bool {
        !FLOATS.is_there || matches!(self, Self::I8)
    }
}

/// What a session is made for. All of it costs memory, none of it but `cache` changes a bit of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Positions that the session can hold, at most the model's; for a recurrent model, whose positions have no limit,
    /// the latest tokens that it remembers for the repetition penalty.
    pub context: usize,
    /// Tokens that are processed in one pass over the weights; for a model that reads sequences from their end too, the
    /// longest sequence.
    pub batch: usize,
    /// Tokens whose logits are computed in one pass over the output head.
    pub logits: usize,
    /// Most workers that will share the work. They take single tokens of a small model through all layers together, which is
    /// fastest, where this is at least how many there are and `batch` is more.
    pub workers: usize,
    /// How keys and values are kept.
    pub cache: CacheKind,
}

impl SessionOptions {
    /// Tokens that a session made with [`SessionOptions::new`] takes at a time.
    pub const BATCH: usize = 8;

    /// Options for a small device: one worker, [`SessionOptions::BATCH`] tokens at a time, the model's own kind of cache.
    pub const fn new(architecture: &Architecture, context: usize) -> Self {
        let cache = if architecture.int8_cache() { CacheKind::I8 } else { CacheKind::F32 };
        Self { context, batch: Self::BATCH, logits: 1, workers: 1, cache }
    }
}

/// Bytes of arena that a session with [`SessionOptions::new`] needs on the model in `bytes`, for `context`
/// positions. A `const fn`: firmware sizes its `static` with it.
///
/// # Panics
/// If `bytes` is not a model or `context` is not possible; in a constant that is a compile error. Use
/// [`crate::Model::arena_size`] for bytes that come from outside.
pub const fn arena_size(bytes: &[u8], context: usize) -> usize {
    arena_size_in_batches(bytes, context, SessionOptions::BATCH)
}

/// As [`arena_size`], for options whose `batch` is another: one token at a time takes least memory.
///
/// # Panics
/// As [`arena_size`], and if `batch` is not possible.
pub const fn arena_size_in_batches(bytes: &[u8], context: usize, batch: usize) -> usize {
    match File::architecture(bytes) {
        Ok(architecture) => {
            let options = SessionOptions { batch, ..SessionOptions::new(&architecture, context) };
            match StateLayout::new(&architecture, &options) {
                Ok(layout) => layout.total(),
                Err(Error::LeftOut { part }) => panic!("{}", part),
                Err(_) => panic!("the context must be 1 to the model's own, the batch 1 to 4096"),
            }
        }
        Err(Error::LeftOut { part }) => panic!("{}", part),
        Err(_) => panic!("not a .whit file"),
    }
}

/// Lengths, in elements, of the parts of an arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) options: SessionOptions,
    /// Numbers (i8 or f32) of keys and values of one layer and key/value head.
    pub(crate) head_numbers: usize,
    /// f32 scales of one layer and key/value head.
    pub(crate) head_scales: usize,
    /// Layers × key/value heads.
    pub(crate) heads: usize,
    /// Most queries that are worked on together.
    pub(crate) queries: usize,
    /// Stride of the input of a projection: the widest vector that is not a projection's output.
    pub(crate) hidden_stride: usize,
    /// Stride of the output of the wide projections.
    pub(crate) projected_stride: usize,
    /// Stride of the output of the projections back to the residual stream.
    pub(crate) out_stride: usize,
    /// Stride of the logits.
    pub(crate) logits_stride: usize,
    /// Products of one token that stand side by side.
    products: Products,
    /// Positions that the cache has room for, in whole blocks.
    pub(crate) positions: usize,
    /// Most positions whose scores are held at a time.
    pub(crate) span: usize,
    /// Stride of sums of values.
    pub(crate) values_stride: usize,
    pub(crate) width: usize,
    pub(crate) rotary_pairs: usize,
    /// Quantized inputs of projections.
    pub(crate) inputs: ActivationShape,
    /// Quantized queries of one worker.
    pub(crate) query_shape: ActivationShape,
    /// Quantized attention weights of one worker.
    pub(crate) weight_shape: ActivationShape,
    /// Lengths in elements of the f32 parts, in the order of [`Layout::carve`].
    f32_parts: [usize; 11],
    /// Bytes of the whole arena.
    pub(crate) total: usize,
}

/// Products of one token that stand side by side in the output of a projection: two, one for each digit, where some
/// layer takes 16-bit activations.
#[derive(Clone, Copy, Debug)]
struct Products {
    projected: usize,
    out: usize,
    logits: usize,
}

impl Products {
    const fn new(wide: WideInputs) -> Self {
        Self {
            projected: 1 + (wide.has(Role::Qkv) || wide.has(Role::FfnUp)) as usize,
            out: 1 + (wide.has(Role::AttentionOut) || wide.has(Role::FfnDown)) as usize,
            logits: 1 + wide.has(Role::Head) as usize,
        }
    }

    /// Of the projection that has most: as many tokens as it has quantized inputs.
    const fn most(&self) -> usize {
        larger(larger(self.projected, self.out), self.logits)
    }
}

/// The parts of an arena.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) history: &'a mut [u32],
    pub(crate) numbers_i8: &'a mut [i8],
    pub(crate) numbers_f32: &'a mut [f32],
    pub(crate) scales: &'a mut [f32],
    pub(crate) residual: &'a mut [f32],
    pub(crate) hidden: &'a mut [f32],
    pub(crate) projected: &'a mut [f32],
    pub(crate) out: &'a mut [f32],
    pub(crate) cos: &'a mut [f32],
    pub(crate) sin: &'a mut [f32],
    pub(crate) logits: &'a mut [f32],
    pub(crate) inputs: Quantized<'a>,
    pub(crate) scores: &'a mut [f32],
    pub(crate) queries: Quantized<'a>,
    pub(crate) weights: Quantized<'a>,
    pub(crate) values: &'a mut [f32],
    pub(crate) ones: &'a mut [f32],
}

/// Memory for quantized vectors.
#[derive(Debug)]
pub(crate) struct Quantized<'a> {
    pub(crate) data: &'a mut [i8],
    pub(crate) sums: &'a mut [i16],
    pub(crate) totals: &'a mut [i32],
    pub(crate) scale: &'a mut [f32],
}

pub(crate) const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn smaller(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// Checks what is asked of a session that holds at most `context` positions.
pub(crate) const fn check_options(options: &SessionOptions, context: usize) -> Result<(), Error> {
    let limits = [
        ("context", options.context, context),
        ("batch", options.batch, 4096),
        ("logits", options.logits, 4096),
        ("workers", options.workers, if PARALLEL.is_there { 256 } else { 1 }),
    ];
    let mut i = 0;
    while i < limits.len() {
        if let Err(error) = option(limits[i].0, limits[i].1, limits[i].2) {
            return Err(error);
        }
        i += 1;
    }
    Ok(())
}

const fn option(option: &'static str, found: usize, most: usize) -> Result<(), Error> {
    if found == 0 || found > most { Err(Error::Option { option, most, found }) } else { Ok(()) }
}

impl Layout {
    pub(crate) const fn new(description: &Description, options: &SessionOptions) -> Result<Self, Error> {
        if let Err(error) = TRANSFORMER.needed() {
            return Err(error);
        }
        if matches!(options.cache, CacheKind::F32)
            && let Err(error) = FLOATS.needed()
        {
            return Err(error);
        }
        if let Err(error) = check_options(options, description.context as usize) {
            return Err(error);
        }
        let (width, head) = (description.width as usize, description.head_width as usize);
        let (kv_heads, hidden) = (description.kv_heads as usize, description.hidden as usize);
        let rows = padded_rows(options.context);
        let group = description.heads as usize / kv_heads;
        let span = smaller(SPAN, rows);
        // More queries at a time share what a product reads, at the price of scratch memory: what is worth a small
        // batch to the caller is worth a small tile here.
        let most = smaller(larger(options.batch, FEW_QUERIES), QUERIES);
        let queries = smaller(group * larger(smaller(most / group, options.batch), 1), most);
        let products = Products::new(description.wide_inputs);
        let mut layout = Self {
            options: *options,
            head_numbers: match options.cache {
                CacheKind::I8 => rows * (head.div_ceil(4) * 4 + padded_rows(head)),
                CacheKind::F32 => 2 * rows * head,
            },
            head_scales: match options.cache {
                CacheKind::I8 => 2 * rows,
                CacheKind::F32 => 0,
            },
            heads: description.layers as usize * kv_heads,
            queries,
            hidden_stride: larger(width, description.query_width()),
            projected_stride: padded_rows(larger(description.qkv_rows(), description.up_rows())),
            out_stride: padded_rows(width),
            logits_stride: padded_rows(description.vocabulary as usize),
            products,
            positions: rows,
            span,
            values_stride: padded_rows(head),
            width,
            rotary_pairs: description.rotary_width as usize / 2,
            inputs: ActivationShape {
                tokens: products.most() * options.batch,
                cols: larger(larger(width, description.query_width()), hidden),
            },
            query_shape: ActivationShape { tokens: queries, cols: head },
            weight_shape: ActivationShape { tokens: 2 * queries, cols: span },
            f32_parts: [0; 11],
            total: 0,
        };
        layout.f32_parts = layout.lengths();
        layout.total = layout.bytes();
        Ok(layout)
    }

    const fn is_i8(&self) -> bool {
        self.options.cache.is_i8()
    }

    /// Whether some projection takes 16-bit activations.
    pub(crate) const fn has_wide_inputs(&self) -> bool {
        self.products.most() > 1
    }

    /// Attention scores of one worker: an f32 cache is read one query at a time.
    pub(crate) const fn scores_len(&self) -> usize {
        if self.is_i8() { self.queries * self.span } else { self.span }
    }

    /// [`Layout::f32_parts`] of what is known.
    const fn lengths(&self) -> [usize; 11] {
        let (batch, workers) = (self.options.batch, self.options.workers);
        [
            if self.is_i8() { 0 } else { self.heads.saturating_mul(self.head_numbers) },
            self.heads.saturating_mul(self.head_scales),
            batch.saturating_mul(self.width),
            batch.saturating_mul(self.hidden_stride),
            (self.products.projected * batch).saturating_mul(self.projected_stride),
            (self.products.out * batch).saturating_mul(self.out_stride),
            batch.saturating_mul(self.rotary_pairs),
            (self.products.logits * self.options.logits).saturating_mul(self.logits_stride),
            workers.saturating_mul(self.scores_len()),
            if self.is_i8() { workers.saturating_mul(2 * self.queries * self.values_stride) } else { 0 },
            if self.is_i8() { self.values_stride } else { 0 },
        ]
    }

    /// Quantized vectors: inputs of projections, and for an int8 cache the queries and attention weights of every
    /// worker.
    const fn quantized_parts(&self) -> [(ActivationShape, usize); 3] {
        let workers = if self.is_i8() { self.options.workers } else { 0 };
        [(self.inputs, 1), (self.query_shape, workers), (self.weight_shape, workers)]
    }

    /// Bytes of the parts that hold keys and values.
    pub(crate) const fn cache_bytes(&self) -> usize {
        let numbers = self.heads.saturating_mul(self.head_numbers);
        let size = if self.is_i8() { 1 } else { 4 };
        part_len(numbers, size).saturating_add(part_len(self.heads.saturating_mul(self.head_scales), 4))
    }

    const fn bytes(&self) -> usize {
        let f32_parts = self.f32_parts;
        // Cosines and sines have the same length.
        let mut total = part_len(self.options.context, 4).saturating_add(part_len(f32_parts[6], 4));
        if self.is_i8() {
            total = total.saturating_add(part_len(self.heads.saturating_mul(self.head_numbers), 1));
        }
        let mut i = 0;
        while i < f32_parts.len() {
            total = total.saturating_add(part_len(f32_parts[i], 4));
            i += 1;
        }
        let mut i = 0;
        while i < 3 {
            let (shape, count) = self.quantized_parts()[i];
            total = total.saturating_add(quantized_bytes(shape, count));
            i += 1;
        }
        total
    }

    /// Carves an arena into its parts.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what is needed.
    pub(crate) fn carve<'a>(&self, arena: &'a mut [u8]) -> Result<Parts<'a>, Error> {
        let mut carver = Carver::new(arena, self.total)?;
        let [numbers, scales, residual, hidden, projected, out, angles, logits, scores, values, ones] =
            self.f32_parts;
        let [inputs, queries, weights] = self.quantized_parts();
        let parts = Parts {
            history: carver.take(self.options.context),
            numbers_i8: carver.take(if self.is_i8() { self.heads * self.head_numbers } else { 0 }),
            numbers_f32: carver.take(numbers),
            scales: carver.take(scales),
            residual: carver.take(residual),
            hidden: carver.take(hidden),
            projected: carver.take(projected),
            out: carver.take(out),
            cos: carver.take(angles),
            sin: carver.take(angles),
            logits: carver.take(logits),
            inputs: quantized(&mut carver, inputs),
            scores: carver.take(scores),
            queries: quantized(&mut carver, queries),
            weights: quantized(&mut carver, weights),
            values: carver.take(values),
            ones: carver.take(ones),
        };
        debug_assert_eq!(carver.left(), 0, "the layout's total is the sum of its parts");
        Ok(parts)
    }
}

/// Bytes of `count` such parts, in one piece.
pub(crate) const fn quantized_bytes(shape: ActivationShape, count: usize) -> usize {
    part_len(count.saturating_mul(shape.data_len()), 1)
        .saturating_add(part_len(count.saturating_mul(shape.sums_len()), 2))
        .saturating_add(part_len(count.saturating_mul(shape.tokens), 4).saturating_mul(2))
}

pub(crate) fn quantized<'a>(
    carver: &mut Carver<'a>,
    (shape, count): (ActivationShape, usize),
) -> Quantized<'a> {
    Quantized {
        data: carver.take(count * shape.data_len()),
        sums: carver.take(count * shape.sums_len()),
        totals: carver.take(count * shape.tokens),
        scale: carver.take(count * shape.tokens),
    }
}
