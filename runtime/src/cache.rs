//! Keys and values of earlier positions, laid out so that attention is the same matrix product as everything else:
//! keys are a growing matrix `[positions, head]`, values a growing matrix `[head, positions]`, in the default
//! packing of int8; or plain f32, `[positions / 16][head][16]` and `[positions][head]`.
#![allow(unsafe_code, reason = "workers store disjoint positions of one cache")]

use crate::kernels::Kernels;
use crate::layout::{CacheKind, Layout};
use crate::math::fixed::log2_steps;
use crate::parallel::Shared;
use crate::parts::FLOATS;
use crate::tensor::{LANES, MatrixI8, padded_rows};
use core::ops::Range;

/// Bytes of keys and values that stay in a core's second-level cache, or come from near, though weights go by.
const RESIDENT: usize = 512 << 10;

/// Sizes of one head's part of the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadShape {
    width: usize,
    /// Positions, in whole blocks of 16.
    positions: usize,
    numbers: usize,
    scales: usize,
    /// Bytes from one head's keys and values to the next head's, or 0 where a core keeps all of them until the next token.
    next: usize,
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
            positions: layout.positions,
            numbers: layout.head_numbers,
            scales: layout.head_scales,
            next: if numbers_i8.len() > RESIDENT { layout.head_numbers } else { 0 },
        };
        Self { kind: layout.options.cache, shape, numbers_i8, numbers_f32, scales }
    }

    /// Whether keys and values are quantized.
    pub(crate) fn is_i8(&self) -> bool {
        self.kind.is_i8()
    }

    /// Keys and values of head `head` (layer × key/value heads + head) of an int8 cache, for reading.
    #[inline]
    pub(crate) fn head_i8(&self, head: usize) -> HeadI8<'_> {
        let shape = self.shape;
        let (keys, values) =
            self.numbers_i8[head * shape.numbers..][..shape.numbers].split_at(shape.keys_i8());
        let scales = &self.scales[head * shape.scales..][..shape.scales];
        let (key_scales, value_logs) = scales.split_at(shape.positions);
        let is_last = (head + 1) * shape.numbers == self.numbers_i8.len();
        let next = if is_last { 0 } else { shape.next };
        HeadI8 { shape, keys, values, key_scales, value_logs: bytemuck::cast_slice(value_logs), next }
    }

    /// As [`Cache::head_i8`], of an f32 cache.
    #[inline]
    pub(crate) fn head_f32(&self, head: usize) -> HeadF32<'_> {
        let shape = self.shape;
        let numbers = &self.numbers_f32[head * shape.numbers..][..shape.numbers];
        let (keys, values) = numbers.split_at(shape.positions * shape.width);
        HeadF32 { width: shape.width, keys, values }
    }

    /// The cache as something into which every worker can store the positions that are its own.
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

/// A cache into which several workers store at once, each other positions.
#[derive(Debug)]
pub(crate) struct SharedCache<'a> {
    kind: CacheKind,
    shape: HeadShape,
    numbers_i8: Shared<'a, i8>,
    numbers_f32: Shared<'a, f32>,
    scales: Shared<'a, f32>,
}

impl SharedCache<'_> {
    /// The heads `heads` (layer × key/value heads + head) as a cache of their own, numbered from 0.
    ///
    /// # Safety
    /// - While it lives, nobody else takes or stores to any of these heads.
    pub(crate) unsafe fn heads(&self, heads: Range<usize>) -> Cache<'_> {
        let (kind, shape) = (self.kind, self.shape);
        let own = |len: usize| heads.start * len..heads.end * len;
        let (numbers, none) = (own(shape.numbers), 0..0);
        let (numbers_i8, numbers_f32) = if kind.is_i8() { (numbers, none) } else { (none, numbers) };
        // SAFETY: the contract is the caller's.
        unsafe {
            Cache {
                kind,
                shape,
                numbers_i8: self.numbers_i8.part(numbers_i8),
                numbers_f32: self.numbers_f32.part(numbers_f32),
                scales: self.scales.part(own(shape.scales)),
            }
        }
    }

    /// Puts the keys and values of `position`, each one head's after the other's, into the cache of the heads from `first` on.
    ///
    /// # Safety
    /// - Nobody else stores a position of the same 16 (which begin at a multiple of 16) to these heads at the same time.
    pub(crate) unsafe fn store<K: Kernels>(
        &self,
        kernels: K,
        first: usize,
        position: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let heads = keys.chunks_exact(self.shape.width).zip(values.chunks_exact(self.shape.width));
        for (head, (key, value)) in heads.enumerate() {
            // SAFETY: the contract is the caller's.
            unsafe { self.store_head(kernels, first + head, position, key, value) };
        }
    }

    /// As [`SharedCache::store`], of one head.
    ///
    /// # Safety
    /// - As for [`SharedCache::store`].
    unsafe fn store_head<K: Kernels>(
        &self,
        kernels: K,
        head: usize,
        position: usize,
        key: &[f32],
        value: &[f32],
    ) {
        // SAFETY: the contract is the caller's.
        unsafe {
            match self.kind {
                CacheKind::I8 => {
                    let scales = head * self.shape.scales + position;
                    self.scales.part(scales..scales + 1)[0] = self.store_key_i8(kernels, head, position, key);
                    let scales = scales + self.shape.positions;
                    let scale = self.store_value_i8(kernels, head, position, value);
                    *bytemuck::cast_mut(&mut self.scales.part(scales..scales + 1)[0]) = log2_steps(scale);
                }
                CacheKind::F32 if FLOATS.is_there => self.store_f32(head, position, key, value),
                CacheKind::F32 => {}
            }
        }
    }

    /// # Safety
    /// - As for [`SharedCache::store`].
    #[inline(always)]
    unsafe fn store_key_i8<K: Kernels>(&self, kernels: K, head: usize, position: usize, key: &[f32]) -> f32 {
        let (block, lane) = (position / LANES, position % LANES);
        let len = self.shape.width.div_ceil(4) * 64;
        let start = head * self.shape.numbers + block * len;
        // SAFETY: the block of these 16 positions, which nobody else has.
        let keys = unsafe { self.numbers_i8.part(start..start + len) }.as_chunks_mut::<64>().0;
        kernels.quantize_each(
            key,
            #[inline(always)]
            |i, values| {
                for (step, values) in keys[i * 4..].iter_mut().zip(values.as_chunks::<4>().0) {
                    step.as_chunks_mut::<4>().0[lane] = *values;
                }
            },
        )
    }

    /// # Safety
    /// - As for [`SharedCache::store`].
    #[inline(always)]
    unsafe fn store_value_i8<K: Kernels>(
        &self,
        kernels: K,
        head: usize,
        position: usize,
        value: &[f32],
    ) -> f32 {
        let (step, byte) = (position / 4, position % 4);
        let start = head * self.shape.numbers + self.shape.keys_i8() + step * 64;
        kernels.quantize_each(
            value,
            #[inline(always)]
            |i, rounded| {
                let start = start + i * LANES * self.shape.positions;
                // SAFETY: a step is four positions, of those 16 that nobody else has.
                let block = unsafe { self.numbers_i8.part(start..start + 64) };
                for (row, value) in block.as_chunks_mut::<4>().0.iter_mut().zip(rounded) {
                    row[byte] = value;
                }
            },
        )
    }

    /// # Safety
    /// - As for [`SharedCache::store`].
    unsafe fn store_f32(&self, head: usize, position: usize, key: &[f32], value: &[f32]) {
        let (width, start) = (self.shape.width, head * self.shape.numbers);
        let block = start + position / LANES * LANES * width;
        let values = start + (self.shape.positions + position) * width;
        // SAFETY: the block of these 16 positions, which nobody else has, and the row of this one.
        let (block, values) = unsafe {
            (
                self.numbers_f32.part(block..block + LANES * width),
                self.numbers_f32.part(values..values + width),
            )
        };
        for (lanes, &k) in block.chunks_exact_mut(LANES).zip(key) {
            lanes[position % LANES] = k;
        }
        values.copy_from_slice(value);
    }
}

/// f32 keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadF32<'a> {
    width: usize,
    keys: &'a [f32],
    values: &'a [f32],
}

impl HeadF32<'_> {
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadI8<'a> {
    shape: HeadShape,
    keys: &'a [i8],
    values: &'a [i8],
    key_scales: &'a [f32],
    value_logs: &'a [i32],
    next: usize,
}

impl<'a> HeadI8<'a> {
    /// The keys of `positions` (starting at a multiple of 16) as a matrix `[positions, head]`.
    pub(crate) fn keys(&self, positions: Range<usize>) -> MatrixI8<'a> {
        let (rows, cols) = (positions.len(), self.shape.width);
        let data = &self.keys[MatrixI8::data_len(positions.start, cols)..][..MatrixI8::data_len(rows, cols)];
        MatrixI8::new(rows, cols, &self.key_scales[positions.start..][..padded_rows(rows)], data)
            .expect("the lengths are those asked for")
    }

    /// The values of `positions` (starting at a multiple of 4) as a matrix `[head, positions]`; `scales`, one for
    /// each padded row, are ones.
    pub(crate) fn values<'s>(&self, positions: Range<usize>, scales: &'s [f32]) -> MatrixI8<'s>
    where
        'a: 's,
    {
        let (stride, cols) = (LANES * self.shape.positions, positions.len());
        let blocks = self.shape.width.div_ceil(LANES);
        let start = positions.start / 4 * 64;
        let data = &self.values[start..(blocks - 1) * stride + start + cols.div_ceil(4) * 64];
        MatrixI8::with_stride(self.shape.width, cols, stride, scales, data)
            .expect("the lengths are those asked for")
    }

    /// The logarithms of the scales of the values of `positions`, in steps.
    pub(crate) fn value_logs(&self, positions: Range<usize>) -> &'a [i32] {
        &self.value_logs[positions]
    }

    /// Bytes from each key and value to the next head's, where asking for those pays; else 0.
    pub(crate) fn next(&self) -> usize {
        self.next
    }
}
