//! The loops as compilers make them, for cores with registers for four rows that share the activations.

use super::stream::Unit;
use crate::tensor::{LANES, Row};
use core::ops::Range;

/// Rows that share the activations in registers.
const ROWS: usize = 4;

/// Some columns of a vector for int8.
pub(super) struct Int8<'a>(&'a [[i8; 4]]);

impl<'a> Int8<'a> {
    /// Most columns: nothing is kept of them.
    pub(super) const MOST: usize = usize::MAX;

    /// A stream of no columns.
    pub(super) fn new() -> Self {
        Self(&[])
    }

    /// Makes it one of some columns of `x`.
    pub(super) fn write(&mut self, x: &Row<'a>, columns: Range<usize>) {
        self.0 = &x.data.as_chunks().0[columns.start / 4..columns.end.div_ceil(4)];
    }

    /// Adds the products with the weights of these columns.
    pub(super) fn add_products(&self, weights: &[[u32; LANES]], sums: &mut [i32; LANES]) {
        for (quarter, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
            quarter_i8(bytemuck::cast_slice(weights), self.0, quarter, sums);
        }
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

/// Adds the products of all rows of int4 with `units`, each times the scale of its group; the first one's group has the first
/// of `scales`. Not inlined: among what its callers keep, too few registers are left.
#[inline(never)]
pub(super) fn add_units<const STEPS: usize>(
    weights: &[[u32; LANES]],
    units: &[Unit<STEPS>],
    scales: &[[i8; LANES]],
    sums: &mut [i32; LANES],
) {
    for (quarter, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let [mut a, mut b, mut c, mut d] = *sums;
        let mut group = 0;
        for (weights, unit) in weights.as_chunks().0.iter().zip(units) {
            let [p, q, r, s] = quarter_i4(weights, unit, quarter);
            let scales = &scales[group].as_chunks::<ROWS>().0[quarter];
            a = a.wrapping_add(p.wrapping_mul(scales[0].into()));
            b = b.wrapping_add(q.wrapping_mul(scales[1].into()));
            c = c.wrapping_add(r.wrapping_mul(scales[2].into()));
            d = d.wrapping_add(s.wrapping_mul(scales[3].into()));
            group += usize::from(unit.next > 0);
        }
        *sums = [a, b, c, d];
    }
}

/// Exact sums of four rows over a unit of int4.
#[inline(always)]
fn quarter_i4<const STEPS: usize>(
    weights: &[[u32; LANES]; STEPS],
    unit: &Unit<STEPS>,
    quarter: usize,
) -> [i32; ROWS] {
    let [mut a, mut b, mut c, mut d] = [unit.start; ROWS];
    for (weights, &[x1, x2, x3, x0]) in weights.iter().zip(&unit.factors) {
        let dot = |word: u32| {
            let shifted = |by: u32, x: u32| (word >> by & MASK).wrapping_mul(x);
            let [p, q] = [shifted(4, x1), shifted(8, x2)];
            p.wrapping_add(q).wrapping_add(shifted(12, x3)).wrapping_add(word.wrapping_mul(x0))
        };
        if let Some(&[p, q, r, s]) = weights[quarter * ROWS..].first_chunk() {
            a = a.wrapping_add(dot(p));
            b = b.wrapping_add(dot(q));
            c = c.wrapping_add(dot(r));
            d = d.wrapping_add(dot(s));
        }
    }
    [a.cast_signed() >> 16, b.cast_signed() >> 16, c.cast_signed() >> 16, d.cast_signed() >> 16]
}

const MASK: u32 = 0x000f_000f;
