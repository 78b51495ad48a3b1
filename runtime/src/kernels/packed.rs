//! Cores with a multiplier of 32 bits and nothing wider (Cortex-M0 and M0+, RV32IM): two products of int4 in a multiplication.
//!
//! A word of weights, shifted and masked with 0x000f_000f, is a + 2¹⁶ b, two columns of a row as `q + 8`. Multiplied by
//! y + 2¹⁶ x, where x goes with a and y with b, it is, modulo 2³², a y + 2¹⁶ (a x + b y): the upper half is what is wanted.
//! Sums of such products over 32 columns keep the halves apart. The lower one is at most 16 · 15 · 127 = 30,480 in magnitude, so
//! that 2¹⁵ added to it makes it one that neither borrows nor carries; the upper one starts from −8 Σ x and ends as Σ q x, at
//! most 32 · 8 · 127 = 32,512, which an arithmetic shift takes out; on the way it may wrap. The pairs of activations are made
//! once for all rows, 128 columns at a time.
//!
//! The idea is known for narrower numbers (MCU-MixQ, arXiv 2407.18267). int8 gains nothing from it: a product fills the half.
//! There, and here, four rows at a time share the activations in registers.

use super::Kernels;
use super::scalar::{Scalar, result};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8, Row};
use core::ops::Range;

/// The backend of cores without anything better.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packed;

/// Columns whose products one sum of pairs can take.
const CHUNK: usize = 32;

/// Most columns for which pairs are made at a time: what they take of the stack, two bytes a column, is small.
const STRETCH: usize = 4 * CHUNK;

/// Rows that share the activations in registers.
const ROWS: usize = 4;

const MASK: u32 = 0x000f_000f;

impl Kernels for Packed {
    const NAME: &'static str = "packed";

    fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn matmul_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        for block in blocks {
            let steps = matrix.block(block).as_chunks::<{ 4 * LANES }>().0;
            for token in 0..x.tokens() {
                let row = x.row(token);
                let mut sums = [0; LANES];
                for (quarter, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
                    quarter_i8(steps, row.data.as_chunks().0, quarter, sums);
                }
                finish(&sums, matrix.block_scale(block), row.scale, out.block(token, block));
            }
        }
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        // Files are aligned, and a block as its neighbours are; slices of bytes from elsewhere need not be.
        if blocks.clone().take(1).any(|block| !matrix.block(block).as_ptr().cast::<u32>().is_aligned()) {
            return Scalar.matmul_i4(matrix, x, blocks, out);
        }
        let mut pairs = Pairs::new();
        for token in 0..x.tokens() {
            let row = x.row(token);
            for start in (0..matrix.cols().max(1)).step_by(STRETCH) {
                let columns = start..matrix.cols().min(start + STRETCH);
                pairs.write(&row, &columns, matrix.group());
                for block in blocks.clone() {
                    let out = out.block(token, block);
                    let mut sums = if start == 0 { [0; LANES] } else { out.map(|sum| sum.to_bits() as i32) };
                    pairs.add_products(matrix, block, &columns, &mut sums);
                    if columns.end == matrix.cols() {
                        finish(&sums, matrix.block_scale(block), row.scale, out);
                    } else {
                        *out = sums.map(|sum| f32::from_bits(sum as u32));
                    }
                }
            }
        }
    }
}

fn finish(sums: &[i32; LANES], row_scale: &[f32; LANES], token_scale: f32, out: &mut [f32; LANES]) {
    for ((out, &sum), &scale) in out.iter_mut().zip(sums).zip(row_scale) {
        *out = result(sum, scale, token_scale);
    }
}

/// Exact sums of four rows of int8.
#[inline(always)]
fn quarter_i8(steps: &[[i8; 4 * LANES]], x: &[[i8; 4]], quarter: usize, sums: &mut [i32; ROWS]) {
    let [mut a, mut b, mut c, mut d] = *sums;
    for (weights, &[x0, x1, x2, x3]) in steps.iter().zip(x) {
        let [x0, x1, x2, x3] = [i32::from(x0), i32::from(x1), i32::from(x2), i32::from(x3)];
        let dot = |&[w0, w1, w2, w3]: &[i8; 4]| {
            i32::from(w0) * x0 + i32::from(w1) * x1 + i32::from(w2) * x2 + i32::from(w3) * x3
        };
        if let Some([p, q, r, s]) = weights.as_chunks().0[quarter * ROWS..].first_chunk() {
            (a, b, c, d) = (a + dot(p), b + dot(q), c + dot(r), d + dot(s));
        }
    }
    *sums = [a, b, c, d];
}

/// Activations of at most [`STRETCH`] columns, in pairs.
struct Pairs {
    /// Of every eight columns, those that go with the word shifted by 0, 4, 8 and 12.
    steps: [[u32; 4]; STRETCH / 8],
    chunks: [Chunk; STRETCH / 16],
    /// Steps of a chunk.
    chunk_steps: usize,
}

/// At most [`CHUNK`] columns of one group.
#[derive(Clone, Copy, Default)]
struct Chunk {
    /// What the sum over them starts from.
    start: u32,
    group: usize,
}

/// The group scales of rows that have none.
const ONES: [[i8; LANES]; 1] = [[1; LANES]];

impl Pairs {
    fn new() -> Self {
        Self { steps: [[0; 4]; STRETCH / 8], chunks: [Chunk::default(); STRETCH / 16], chunk_steps: 0 }
    }

    /// Makes them those of `columns` of `x`, for groups of `group` columns or none.
    fn write(&mut self, x: &Row<'_>, columns: &Range<usize>, group: usize) {
        let width = if group == 16 { 16 } else { CHUNK };
        self.chunk_steps = width / 8;
        let data = x.data[columns.start..].as_chunks::<8>().0;
        for (pairs, &[c0, c1, c2, c3, c4, c5, c6, c7]) in self.steps.iter_mut().zip(data) {
            *pairs = [pair(c0, c2), pair(c4, c6), pair(c1, c3), pair(c5, c7)];
        }
        let sums = x.sums[columns.start / 16..].chunks(width / 16);
        for (i, (chunk, sums)) in self.chunks.iter_mut().zip(sums).enumerate() {
            let total: i32 = sums.iter().map(|&sum| i32::from(sum)).sum();
            chunk.start = ((-8 * total) as u32) << 16 | 1 << 15;
            chunk.group = (columns.start + width * i).checked_div(group).unwrap_or(0);
        }
    }

    /// Adds the products with `columns` of a row block.
    fn add_products(
        &self,
        matrix: &MatrixI4<'_>,
        block: usize,
        columns: &Range<usize>,
        sums: &mut [i32; LANES],
    ) {
        let steps: &[[u32; LANES]] = bytemuck::cast_slice(matrix.block(block));
        let steps = &steps[columns.start / 8..columns.end.div_ceil(8)];
        let scales = if matrix.group() == 0 { &ONES } else { matrix.block_group_scale(block).as_chunks().0 };
        let chunks =
            steps.chunks(self.chunk_steps).zip(self.steps.chunks(self.chunk_steps)).zip(&self.chunks);
        for (quarter, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            let [mut a, mut b, mut c, mut d] = *sums;
            for ((weights, pairs), chunk) in chunks.clone() {
                let [p, q, r, s] = quarter_i4(weights, pairs, quarter, chunk.start);
                let scales = &scales[chunk.group].as_chunks::<ROWS>().0[quarter];
                a = a.wrapping_add(p.wrapping_mul(scales[0].into()));
                b = b.wrapping_add(q.wrapping_mul(scales[1].into()));
                c = c.wrapping_add(r.wrapping_mul(scales[2].into()));
                d = d.wrapping_add(s.wrapping_mul(scales[3].into()));
            }
            *sums = [a, b, c, d];
        }
    }
}

/// The factor for nibbles of which the lower goes with `x`, the upper with `y`.
fn pair(x: i8, y: i8) -> u32 {
    ((i32::from(x) << 16) + i32::from(y)) as u32
}

/// Exact sums of four rows over a chunk of int4.
#[inline(always)]
fn quarter_i4(steps: &[[u32; LANES]], pairs: &[[u32; 4]], quarter: usize, start: u32) -> [i32; ROWS] {
    let [mut a, mut b, mut c, mut d] = [start; ROWS];
    for (weights, &[x0, x1, x2, x3]) in steps.iter().zip(pairs) {
        let dot = |word: u32| {
            let [p, q] = [(word & MASK).wrapping_mul(x0), (word >> 4 & MASK).wrapping_mul(x1)];
            let [r, s] = [(word >> 8 & MASK).wrapping_mul(x2), (word >> 12 & MASK).wrapping_mul(x3)];
            p.wrapping_add(q).wrapping_add(r).wrapping_add(s)
        };
        if let Some(&[p, q, r, s]) = weights[quarter * ROWS..].first_chunk() {
            a = a.wrapping_add(dot(p));
            b = b.wrapping_add(dot(q));
            c = c.wrapping_add(dot(r));
            d = d.wrapping_add(dot(s));
        }
    }
    [a as i32 >> 16, b as i32 >> 16, c as i32 >> 16, d as i32 >> 16]
}
