//! Keys and values of earlier positions, laid out so that attention is the same matrix product as everything else:
//! keys are a growing matrix `[positions, head]`, values a growing matrix `[head, positions]`, in the default
//! packing of int8; or plain f32, `[positions / 16][head][16]` and `[positions][head]`.
#![allow(unsafe_code, reason = "workers take disjoint heads of one cache")]

use crate::kernels::lanes::quantize_each;
use crate::layout::{CacheKind, Layout};
use crate::parallel::Shared;
use crate::tensor::{LANES, MatrixI8, padded_rows};
use core::ops::Range;

/// Sizes of one head's part of the cache.
#[derive(Clone, Copy, Debug)]
struct HeadShape {
    width: usize,
    /// Positions, in whole blocks of 16.
    positions: usize,
    numbers: usize,
    scales: usize,
}

impl HeadShape {
    /// i8 numbers of all keys.
    fn keys_i8(&self) -> usize {
        self.positions * self.width.div_ceil(4) * 4
    }
}

/// The cache of one session.
#[derive(Debug)]
pub(crate) struct Cache<'a> {
    kind: CacheKind,
    shape: HeadShape,
    numbers_i8: &'a mut [i8],
    numbers_f32: &'a mut [f32],
    scales: &'a mut [f32],
}

/// Which array of the cache a span lies in.
#[derive(Clone, Copy)]
enum Bank {
    I8,
    F32,
    Scale,
}

impl<'a> Cache<'a> {
    /// A cache over the parts that `layout` sized for it.
    pub(crate) fn new(
        layout: &Layout,
        head_width: usize,
        numbers_i8: &'a mut [i8],
        numbers_f32: &'a mut [f32],
        scales: &'a mut [f32],
    ) -> Self {
        let shape = HeadShape {
            width: head_width,
            positions: layout.scores_stride,
            numbers: layout.head_numbers,
            scales: layout.head_scales,
        };
        Self { kind: layout.options.cache, shape, numbers_i8, numbers_f32, scales }
    }

    /// The cache as something of which every worker can take the heads that are its own.
    pub(crate) fn share(&mut self) -> SharedCache<'_> {
        SharedCache {
            kind: self.kind,
            shape: self.shape,
            numbers_i8: Shared::new(self.numbers_i8),
            numbers_f32: Shared::new(self.numbers_f32),
            scales: Shared::new(self.scales),
        }
    }

    /// The stretches of memory that `used` positions of head `head` fill.
    fn spans(&self, head: usize, used: usize) -> impl Iterator<Item = (Bank, Range<usize>)> + use<> {
        let (shape, kind) = (self.shape, self.kind);
        let (numbers, scales) = (head * shape.numbers, head * shape.scales);
        let span = move |bank, start: usize, len: usize| (bank, start..start + len);
        let value_blocks = match kind {
            CacheKind::I8 => padded_rows(shape.width) / LANES,
            CacheKind::F32 => 1,
        };
        let keys = match kind {
            CacheKind::I8 => span(Bank::I8, numbers, padded_rows(used) * shape.width.div_ceil(4) * 4),
            CacheKind::F32 => span(Bank::F32, numbers, padded_rows(used) * shape.width),
        };
        let values = (0..value_blocks).map(move |block| match kind {
            CacheKind::I8 => span(
                Bank::I8,
                numbers + shape.keys_i8() + block * LANES * shape.positions,
                used.div_ceil(4) * 4 * LANES,
            ),
            CacheKind::F32 => span(Bank::F32, numbers + shape.positions * shape.width, used * shape.width),
        });
        let scale_spans = (0..2).filter(move |_| kind == CacheKind::I8);
        core::iter::once(keys)
            .chain(values)
            .chain(scale_spans.map(move |part| span(Bank::Scale, scales + part * shape.positions, used)))
    }

    /// Hands what `used` positions of the first `heads` heads fill to `write`.
    pub(crate) fn save(&self, heads: usize, used: usize, mut write: impl FnMut(&[u8])) {
        for head in 0..heads {
            for (bank, range) in self.spans(head, used) {
                match bank {
                    Bank::I8 => write(bytemuck::cast_slice(&self.numbers_i8[range])),
                    Bank::F32 => write(bytemuck::cast_slice(&self.numbers_f32[range])),
                    Bank::Scale => write(bytemuck::cast_slice(&self.scales[range])),
                }
            }
        }
    }

    /// Fills the same memory as [`Cache::save`] reads, by `read`.
    pub(crate) fn load(&mut self, heads: usize, used: usize, mut read: impl FnMut(&mut [u8])) {
        for head in 0..heads {
            for (bank, range) in self.spans(head, used) {
                match bank {
                    Bank::I8 => read(bytemuck::cast_slice_mut(&mut self.numbers_i8[range])),
                    Bank::F32 => read(bytemuck::cast_slice_mut(&mut self.numbers_f32[range])),
                    Bank::Scale => read(bytemuck::cast_slice_mut(&mut self.scales[range])),
                }
            }
        }
    }
}

/// A cache that several workers use at once, each its own heads.
#[derive(Debug)]
pub(crate) struct SharedCache<'a> {
    kind: CacheKind,
    shape: HeadShape,
    numbers_i8: Shared<'a, i8>,
    numbers_f32: Shared<'a, f32>,
    scales: Shared<'a, f32>,
}

impl SharedCache<'_> {
    /// The part of head `head` (layer × key/value heads + head).
    ///
    /// # Safety
    /// - While it lives, nobody else takes the same head.
    pub(crate) unsafe fn head(&self, head: usize) -> HeadCache<'_> {
        let numbers = head * self.shape.numbers..(head + 1) * self.shape.numbers;
        let scales = head * self.shape.scales..(head + 1) * self.shape.scales;
        match self.kind {
            CacheKind::I8 => {
                // SAFETY: parts of different heads do not overlap; nobody else has this head, says the contract.
                let (numbers, scales) = unsafe { (self.numbers_i8.part(numbers), self.scales.part(scales)) };
                HeadCache::I8(HeadI8::new(self.shape, numbers, scales))
            }
            CacheKind::F32 => {
                // SAFETY: as above.
                let numbers = unsafe { self.numbers_f32.part(numbers) };
                HeadCache::F32(HeadF32::new(self.shape, numbers))
            }
        }
    }
}

/// Keys and values of one head of one layer.
#[derive(Debug)]
pub(crate) enum HeadCache<'a> {
    /// Quantized.
    I8(HeadI8<'a>),
    /// As they are.
    F32(HeadF32<'a>),
}

impl HeadCache<'_> {
    /// Puts the key and the value of `position` into the cache.
    #[inline(always)]
    pub(crate) fn store(&mut self, position: usize, key: &[f32], value: &[f32]) {
        match self {
            Self::I8(head) => head.store(position, key, value),
            Self::F32(head) => head.store(position, key, value),
        }
    }
}

/// f32 keys and values.
#[derive(Debug)]
pub(crate) struct HeadF32<'a> {
    width: usize,
    keys: &'a mut [f32],
    values: &'a mut [f32],
}

impl<'a> HeadF32<'a> {
    fn new(shape: HeadShape, numbers: &'a mut [f32]) -> Self {
        let (keys, values) = numbers.split_at_mut(shape.positions * shape.width);
        Self { width: shape.width, keys, values }
    }

    fn store(&mut self, position: usize, key: &[f32], value: &[f32]) {
        let block = &mut self.keys[position / LANES * LANES * self.width..][..LANES * self.width];
        for (lanes, &k) in block.chunks_exact_mut(LANES).zip(key) {
            lanes[position % LANES] = k;
        }
        self.values[position * self.width..][..self.width].copy_from_slice(value);
    }

    /// Key blocks `first ..` up to the one that holds position `last`: `[blocks][head][16]`.
    pub(crate) fn keys(&self, first: usize, last: usize) -> &[f32] {
        &self.keys[first * LANES * self.width..(last / LANES + 1) * LANES * self.width]
    }

    /// Values of `positions`: `[positions][head]`.
    pub(crate) fn values(&self, positions: Range<usize>) -> &[f32] {
        &self.values[positions.start * self.width..positions.end * self.width]
    }
}

/// int8 keys and values.
#[derive(Debug)]
pub(crate) struct HeadI8<'a> {
    shape: HeadShape,
    keys: &'a mut [i8],
    values: &'a mut [i8],
    key_scales: &'a mut [f32],
    value_scales: &'a mut [f32],
}

impl<'a> HeadI8<'a> {
    fn new(shape: HeadShape, numbers: &'a mut [i8], scales: &'a mut [f32]) -> Self {
        let (keys, values) = numbers.split_at_mut(shape.keys_i8());
        let (key_scales, value_scales) = scales.split_at_mut(shape.positions);
        Self { shape, keys, values, key_scales, value_scales }
    }

    #[inline(always)]
    fn store(&mut self, position: usize, key: &[f32], value: &[f32]) {
        let (block, lane) = (position / LANES, position % LANES);
        let steps = self.shape.width.div_ceil(4);
        let keys = &mut self.keys[block * steps * 64..][..steps * 64];
        self.key_scales[position] = quantize_each(
            key,
            #[inline(always)]
            |i, values| {
                for (step, values) in keys.chunks_exact_mut(64).skip(i * 4).zip(values.as_chunks::<4>().0) {
                    step[lane * 4..][..4].copy_from_slice(values);
                }
            },
        );
        let (step, byte) = (position / 4, position % 4);
        let rows = self.values.chunks_exact_mut(LANES * self.shape.positions);
        let mut blocks = rows.map(|row| &mut row[step * 64..][..64]);
        self.value_scales[position] = quantize_each(
            value,
            #[inline(always)]
            |_, values| {
                if let Some(block) = blocks.next() {
                    for (l, value) in values.into_iter().enumerate() {
                        block[l * 4 + byte] = value;
                    }
                }
            },
        );
    }

    /// The keys of positions `.. end` as a matrix `[end, head]`.
    pub(crate) fn keys(&self, end: usize) -> MatrixI8<'_> {
        let (rows, cols) = (end, self.shape.width);
        let data = &self.keys[..MatrixI8::data_len(rows, cols)];
        MatrixI8::new(rows, cols, &self.key_scales[..padded_rows(rows)], data)
            .expect("the lengths are those asked for")
    }

    /// The values of `positions` (starting at a multiple of 4) as a matrix `[head, positions]`; `scales`, one for
    /// each padded row, are ones.
    pub(crate) fn values<'s>(&'s self, positions: Range<usize>, scales: &'s [f32]) -> MatrixI8<'s> {
        let (stride, cols) = (LANES * self.shape.positions, positions.len());
        let blocks = self.shape.width.div_ceil(LANES);
        let start = positions.start / 4 * 64;
        let data = &self.values[start..(blocks - 1) * stride + start + cols.div_ceil(4) * 64];
        MatrixI8::with_stride(self.shape.width, cols, stride, scales, data)
            .expect("the lengths are those asked for")
    }

    /// The scales of the values of `positions`.
    pub(crate) fn value_scales(&self, positions: Range<usize>) -> &[f32] {
        &self.value_scales[positions]
    }
}
