//! int4 weights, straight from the file, × one token or few. Sums over 32 columns (16 in groups of 16) fit i16, and each
//! is scaled.

use super::{Multiply, NONE, Quarters, Scales, quarters, sixteen, sums_of, to_array, vectors};
use crate::kernels::scalar::finish;
use crate::kernels::steps::Step;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, Row};
use core::ops::Range;

/// int4 weights × few tokens, `H` (1 or 2) times 16 columns at a time. Each row block comes from memory once.
#[inline(always)]
pub(in crate::kernels) fn few_i4<K: Multiply, const H: usize>(
    kernels: K,
    matrix: &MatrixI4<'_>,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    for block in blocks {
        for token in 0..x.tokens() {
            vector_i4::<K, H>(kernels, matrix, &x.row(token), token, block..block + 1, out);
        }
    }
}

/// int4 weights × one token, `H` (1 or 2) times 16 columns at a time.
#[inline(always)]
pub(in crate::kernels) fn vector_i4<K: Multiply, const H: usize>(
    kernels: K,
    matrix: &MatrixI4<'_>,
    row: &Row<'_>,
    token: usize,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let steps = matrix.steps();
    let (x, _) = row.data.as_chunks::<4>().0.as_chunks::<4>();
    let whole = &x.as_chunks::<H>().0[..steps / (2 * H)];
    let offsets = &row.sums.as_chunks::<H>().0[..steps.div_ceil(2 * H)];
    // Group widths are powers of two: how often one is twice 16 · H columns.
    let doublings = (matrix.group() / (16 * H)).checked_ilog2().unwrap_or_default();
    let out = out.token(token, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
    for (block, out) in matrix.some_blocks(blocks).zip(out) {
        let weights: &[Step] = block.data.as_chunks().0;
        let scales = block.group_scale.as_chunks().0;
        let mut sums = sums_of(&[0; LANES]);
        let chunks = whole.iter().zip(weights.as_chunks().0.as_chunks::<H>().0).zip(offsets);
        for (chunk, ((x, weights), offset)) in chunks.enumerate() {
            let offset = offset_of(offset);
            let mut products = [kernels.no_nibbles(offset)];
            add_two_steps(kernels, &mut products, weights[0].each_ref(), &x[0]);
            if H == 2 {
                add_two_steps(kernels, &mut products, weights[H - 1].each_ref(), &x[H - 1]);
            }
            kernels.add_scaled(
                &mut sums,
                &products[0],
                offset,
                packed_scales(kernels, scales, chunk >> doublings),
            );
        }
        if let Some(offset) = offsets.get(whole.len()) {
            let offset = offset_of(offset);
            let mut products = [kernels.no_nibbles(offset)];
            let (weights, x) = (&weights[2 * H * whole.len()..], &x[H * whole.len()..]);
            for (weights, x) in weights.chunks(2).zip(x) {
                let steps = [&weights[0], weights.get(1).unwrap_or(&NONE)];
                add_two_steps(kernels, &mut products, steps, x);
            }
            let scale = packed_scales(kernels, scales, whole.len() >> doublings);
            kernels.add_scaled(&mut sums, &products[0], offset, scale);
        }
        finish(to_array(sums), block.scale, row.scale, out);
    }
}

/// Adds the products of two steps of nibbles with 16 columns.
#[inline(always)]
fn add_two_steps<K: Multiply>(kernels: K, sums: &mut [K::Nibbles; 1], steps: [&Step; 2], x: &[[i8; 4]; 4]) {
    kernels.add_nibbles(sums, nibbles(kernels, steps), &[kernels.columns(sixteen(x))]);
}

/// What takes the excess of `q + 8` off: `−8 Σ x`.
#[inline(always)]
fn offset_of(sums: &[i16]) -> i32 {
    -8 * sums
        .iter()
        .map(
            #[inline(always)]
            |&sum| i32::from(sum),
        )
        .sum::<i32>()
}

/// The nibbles (`q + 8`) of two steps, in the order of their columns.
#[inline(always)]
fn nibbles<K: Multiply>(kernels: K, steps: [&Step; 2]) -> [Quarters; 4] {
    let [a, b] = steps.map(quarters);
    let mut nibbles = [a, a, b, b];
    for i in 0..4 {
        [nibbles[0][i], nibbles[1][i]] = vectors::nibbles(kernels, a[i]);
        [nibbles[2][i], nibbles[3][i]] = vectors::nibbles(kernels, b[i]);
    }
    nibbles
}

/// The scales of group `group`, or 1 where there are none.
#[inline(always)]
fn packed_scales<K: Multiply>(kernels: K, scales: &[[i8; LANES]], group: usize) -> Scales {
    vectors::packed_scales(kernels, scales.get(group).unwrap_or(&[1; LANES]))
}
