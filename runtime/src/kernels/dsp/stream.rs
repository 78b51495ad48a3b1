//! What the loops of [`rows`](super::rows) read of the activations, in the order in which they read it.

use super::Step;
use super::rows::{UNIT, steps_i4, steps_i8, units_i4, units_i8};
use crate::tensor::{LANES, Row};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice::IterMut;

/// Most columns in a stream: its 700 bytes are all of the stack that a product takes, and of narrower models' vectors it
/// is the whole.
pub(super) const STRETCH: usize = 256;

/// A word that need not be written: clearing all of a stream cost a matrix of 64 × 64 a tenth of its product.
type Word = MaybeUninit<u32>;

/// Widened activations of int8: for each step the pair of bytes 0 and 2, and that of bytes 1 and 3.
pub(super) struct Int8 {
    pairs: [[Word; 2]; STRETCH / 4],
    steps: usize,
}

impl Int8 {
    /// A stream of no columns.
    pub(super) fn new() -> Self {
        Self { pairs: [[Word::uninit(); 2]; STRETCH / 4], steps: 0 }
    }

    /// Makes it one of at most [`STRETCH`] columns of `x`.
    pub(super) fn write(&mut self, x: &Row<'_>, columns: Range<usize>) {
        self.steps = columns.len().div_ceil(4);
        let words: &[u32] = bytemuck::cast_slice(&x.data[columns.start..]);
        for (pairs, &word) in self.pairs[..self.steps].iter_mut().zip(words) {
            *pairs = [even_bytes(word), odd_bytes(word)].map(Word::new);
        }
    }

    /// Adds the products with the first steps of `weights`.
    #[inline]
    pub(super) fn add_products(&self, weights: &[Step], sums: &mut [i32; LANES]) {
        let (weights, x) = (&weights[..self.steps], &self.pairs[..self.steps]);
        let (units, rest) = weights.as_chunks::<UNIT>();
        let (x, x_rest) = x.split_at(weights.len() - rest.len());
        let sums = sums.as_mut_ptr();
        if !units.is_empty() {
            // SAFETY: there are as many units of both, all written.
            unsafe { units_i8(units.as_ptr().cast(), x.as_ptr().cast(), units.len(), sums) }
        }
        if !rest.is_empty() {
            // SAFETY: there are as many steps of both, all written.
            unsafe { steps_i8(rest.as_ptr(), x_rest.as_ptr().cast(), rest.len(), sums) }
        }
    }
}

/// Most words of a stream of int4: a word for every two columns, one for each unit, which may be a step of eight, and
/// one for each group, which may have 16 columns.
const WORDS: usize = STRETCH / 2 + STRETCH / 8 + STRETCH / 16;

/// Widened activations of int4, group after group: what its sums start from, −8 Σ x; then for each unit four pairs for
/// every step, and a word that says what follows: [`ANOTHER_UNIT`], [`ANOTHER_GROUP`] or [`END`].
pub(super) struct Int4 {
    words: [Word; WORDS],
    /// Words of the groups of whole units; those of single steps follow.
    split: usize,
    steps: usize,
    steps_in_units: usize,
    groups: usize,
    groups_of_units: usize,
}

const ANOTHER_UNIT: i32 = 1;
const ANOTHER_GROUP: i32 = 0;
const END: i32 = -1;

impl Int4 {
    /// A stream of no columns.
    pub(super) fn new() -> Self {
        let (words, [split, steps, steps_in_units, groups, groups_of_units]) =
            ([Word::uninit(); WORDS], [0; 5]);
        Self { words, split, steps, steps_in_units, groups, groups_of_units }
    }

    /// Makes it one of at most [`STRETCH`] columns of `x`, in groups of `group`, or one if that is 0.
    pub(super) fn write(&mut self, x: &Row<'_>, columns: Range<usize>, group: usize) {
        self.steps = columns.len().div_ceil(8);
        // A row without groups is one of whole units, and one of what is left.
        let group_steps = if group == 0 { (self.steps / UNIT * UNIT).max(UNIT) } else { group / 8 };
        self.groups_of_units = if group_steps.is_multiple_of(UNIT) { self.steps / group_steps } else { 0 };
        self.steps_in_units = self.groups_of_units * group_steps;
        self.groups = self.groups_of_units + (self.steps - self.steps_in_units).div_ceil(group_steps);

        let mut writer = Writer(self.words.iter_mut());
        writer.groups(x, columns.start, 0..self.steps_in_units, group_steps, UNIT);
        self.split = WORDS - writer.0.len();
        writer.groups(x, columns.start, self.steps_in_units..self.steps, group_steps, 1);
    }

    /// Adds the products with the first steps of `weights`, of which the first group has the first of `scales`.
    #[inline]
    pub(super) fn add_products(&self, weights: &[Step], scales: &[[i8; LANES]], sums: &mut [i32; LANES]) {
        let (units, rest) = weights[..self.steps].split_at(self.steps_in_units);
        let (x, x_rest) = self.words.split_at(self.split);
        let (scales, rest_scales) = scales[..self.groups].split_at(self.groups_of_units);
        let sums = sums.as_mut_ptr();
        if !units.is_empty() {
            // SAFETY: `write` wrote these words, for so many steps and groups.
            unsafe { units_i4(units.as_ptr(), x.as_ptr().cast(), scales.as_ptr(), sums) }
        }
        if !rest.is_empty() {
            // SAFETY: as above.
            unsafe { steps_i4(rest.as_ptr(), x_rest.as_ptr().cast(), rest_scales.as_ptr(), sums) }
        }
    }
}

/// Writes the words of an [`Int4`].
struct Writer<'s>(IterMut<'s, Word>);

impl Writer<'_> {
    /// The groups of some steps, of `group` steps each or what is left, in units of `unit` steps.
    fn groups(&mut self, x: &Row<'_>, start: usize, steps: Range<usize>, group: usize, unit: usize) {
        for first in steps.clone().step_by(group) {
            let end = steps.end.min(first + group);
            let sums = &x.sums[(start + 8 * first) / 16..(start + 8 * end).div_ceil(16)];
            self.push(-8 * sums.iter().map(|&sum| i32::from(sum)).sum::<i32>());
            let words = bytemuck::cast_slice::<i8, u32>(&x.data[start + 8 * first..start + 8 * end]);
            for (unit_first, words) in (first..end).step_by(unit).zip(words.chunks(2 * unit)) {
                for &[low, high] in words.as_chunks().0 {
                    for pair in [even_bytes(low), even_bytes(high), odd_bytes(low), odd_bytes(high)] {
                        self.push(pair as i32);
                    }
                }
                self.push(match unit_first + unit {
                    next if next < end => ANOTHER_UNIT,
                    next if next < steps.end => ANOTHER_GROUP,
                    _ => END,
                });
            }
        }
    }

    /// Another word: there is room for all that [`STRETCH`] columns take.
    fn push(&mut self, word: i32) {
        if let Some(place) = self.0.next() {
            place.write(word as u32);
        }
    }
}

/// Bytes 0 and 2, each widened to 16 bits. Three instructions; `SXTB16` is one, but not of what compilers take M33 cores for.
#[inline(always)]
fn even_bytes(word: u32) -> u32 {
    let [low, high] = [word as i8 as u16, (word >> 16) as i8 as u16];
    u32::from(low) | u32::from(high) << 16
}

/// Bytes 1 and 3, each widened to 16 bits.
#[inline(always)]
fn odd_bytes(word: u32) -> u32 {
    even_bytes(word >> 8)
}
