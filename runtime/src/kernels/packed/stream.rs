//! What the loops of [`rows`](super::rows) read of the activations, in the order in which they read it: made once for all
//! rows, some columns at a time.

use super::rows::add_units;
use crate::tensor::{LANES, Row};
use core::ops::Range;

/// Most columns in a stream: what they take of the stack, four bytes a column at most, is small.
pub(super) const STRETCH: usize = 128;

/// Steps of eight columns in a unit of int4: with unsigned nibbles, sums of pairs over 32 columns keep their halves apart.
pub(super) const UNIT: usize = 4;

/// Some steps of eight columns of int4, all in one group.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Unit<const STEPS: usize> {
    /// What the sum of pairs starts from: −8 Σ x in the upper half, 2¹⁵ in the lower.
    pub(super) start: u32,
    /// For each step the factors of a word of weights shifted right by 4, 8 and 12 and masked, and of the word as it is.
    pub(super) factors: [[u32; 4]; STEPS],
    /// Bytes from the unit's group scales to the next unit's: 16 or 0; [`END`] after the last.
    pub(super) next: i32,
}

/// Nothing follows.
pub(super) const END: i32 = -1;

impl<const STEPS: usize> Unit<STEPS> {
    const EMPTY: Self = Self { start: 0, factors: [[0; 4]; STEPS], next: END };

    /// Of the columns `x`, eight for every step.
    fn write(&mut self, x: &[[i8; 8]], next: i32) {
        let total: i32 = x.as_flattened().iter().map(|&x| i32::from(x)).sum();
        self.start = (-8 * total).cast_unsigned() << 16 | 1 << 15;
        for (factors, &[c0, c1, c2, c3, c4, c5, c6, c7]) in self.factors.iter_mut().zip(x) {
            let [a, b, c, d] = [pair(c0, c2), pair(c4, c6), pair(c1, c3), pair(c5, c7)];
            // The whole word is a's pair of nibbles, 16 times b's, 256 times c's and 4096 times d's: what its product with a's
            // factor has too much of is taken off the others' factors.
            *factors = [b.wrapping_sub(a << 4), c.wrapping_sub(a << 8), d.wrapping_sub(a << 12), a]
                .map(i32::cast_unsigned);
        }
        self.next = next;
    }
}

/// The factor for nibbles of which the lower goes with `x`, the upper with `y`.
fn pair(x: i8, y: i8) -> i32 {
    (i32::from(x) << 16) + i32::from(y)
}

/// Units of a stretch of int4.
pub(super) struct Int4 {
    whole: [Unit<UNIT>; STRETCH / 8 / UNIT],
    /// Units of one step: what whole ones leave, and groups of 16 columns.
    single: [Unit<1>; UNIT],
    /// How many of each.
    counts: [usize; 2],
    /// Groups from the first unit of whole ones to that of single ones.
    groups: usize,
}

impl Int4 {
    /// A stream of no columns.
    pub(super) const EMPTY: Self = Self {
        whole: [Unit::EMPTY; STRETCH / 8 / UNIT],
        single: [Unit::EMPTY; UNIT],
        counts: [0; 2],
        groups: 0,
    };

    /// Most columns in a stream, for groups of `group` columns or none.
    pub(super) fn most(group: usize) -> usize {
        if group == 16 { 8 * UNIT } else { STRETCH }
    }

    /// Makes it one of a stretch of `x`. Not inlined, for what it takes of the stack is free again when products are computed.
    #[inline(never)]
    pub(super) fn write(&mut self, x: &Row<'_>, columns: &Range<usize>, group: usize) {
        let x = &x.data[columns.start..].as_chunks::<8>().0[..columns.len().div_ceil(8)];
        let (whole, single) = if group == 16 { (&[][..], x) } else { x.as_chunks::<UNIT>() };
        self.counts = [whole.len(), single.len()];
        let group_of = |column: usize| column.checked_div(group).unwrap_or(0);
        let mut column = columns.start;
        // To the unit that follows this one of so many columns.
        let mut next = |columns: usize, last: bool| {
            let before = group_of(column);
            column += columns;
            if last { END } else { 16 * (group_of(column) - before) as i32 }
        };
        for (i, (unit, x)) in self.whole.iter_mut().zip(whole).enumerate() {
            unit.write(x, next(8 * UNIT, i + 1 == whole.len()));
        }
        self.groups = group_of(columns.start + 8 * UNIT * whole.len()) - group_of(columns.start);
        for (i, (unit, x)) in self.single.iter_mut().zip(single).enumerate() {
            unit.write(core::slice::from_ref(x), next(8, i + 1 == single.len()));
        }
    }

    /// Adds the products with the weights of these columns, of which the first group has the first of `scales`.
    pub(super) fn add_products(
        &self,
        weights: &[[u32; LANES]],
        scales: &[[i8; LANES]],
        sums: &mut [i32; LANES],
    ) {
        let [whole, single] = self.counts;
        let (weights, rest) = weights.split_at(UNIT * whole);
        add_units(weights, &self.whole[..whole], scales, sums);
        add_units(rest, &self.single[..single], &scales[self.groups..], sums);
    }
}
