//! What the loops of int4 read beside the vector: a word for each unit of columns, made once for all rows.

use crate::tensor::{MAX_COLS_I4, MatrixI4, Row};
use core::mem::MaybeUninit;

/// Columns of a step, eight of each of 16 rows.
const STEP: usize = 8;

/// Units of the widest matrix: of 16 columns, and single steps after them.
const MOST: usize = MAX_COLS_I4 / 16 + 4;

/// A word for each unit: `−8 Σ x` in the lower half; in the upper one how many bytes it is from the end of the unit's group
/// scales to the beginning of the next one's, 0, or −16 where they are the same.
pub(super) struct Units {
    /// Not cleared for every product: 4 KiB, as many as the weights of 64 × 128.
    words: [MaybeUninit<u32>; MOST],
    /// Steps of a whole unit: 2 or 4.
    pub(super) width: usize,
    /// Units of so many steps.
    pub(super) whole: usize,
    /// Units of one step, after those.
    pub(super) single: usize,
}

impl Units {
    /// None.
    pub(super) fn new() -> Self {
        Self { words: [const { MaybeUninit::uninit() }; MOST], width: 4, whole: 0, single: 0 }
    }

    /// Those of a vector that meets `matrix`.
    pub(super) fn write(&mut self, matrix: &MatrixI4<'_>, x: &Row<'_>) {
        let (steps, group) = (matrix.steps(), matrix.group());
        let pairs = group == 16;
        // Shifts and masks: these cores' programs call a function to divide. A group's width is a power of two.
        (self.width, self.whole, self.single) =
            if pairs { (2, steps >> 1, steps & 1) } else { (4, steps >> 2, steps & 3) };
        let (whole, single) = self.words[..self.whole + self.single].split_at_mut(self.whole);
        let mut column = 0;
        let mut word = |sum: i32, columns: usize| {
            column += columns;
            // A row's last unit is followed by the next row block's first.
            let next_group = group != 0 && (column & (group - 1) == 0 || column == STEP * steps);
            let back: u32 = if next_group { 0 } else { (-16i32 as u32) << 16 };
            back | u32::from((-8 * sum) as u16)
        };
        if pairs {
            for (unit, &sum) in whole.iter_mut().zip(&x.sums[..self.whole]) {
                unit.write(word(sum.into(), 2 * STEP));
            }
        } else {
            for (unit, &[a, b]) in whole.iter_mut().zip(&x.sums.as_chunks().0[..self.whole]) {
                unit.write(word(i32::from(a) + i32::from(b), 4 * STEP));
            }
        }
        let rest = x.data[STEP * self.width * self.whole..].as_chunks::<STEP>().0;
        for (unit, x) in single.iter_mut().zip(&rest[..self.single]) {
            unit.write(word(x.iter().map(|&x| i32::from(x)).sum(), STEP));
        }
    }

    /// Its words, of which `whole + single` are written: nothing above is left out for want of columns.
    pub(super) fn as_ptr(&self) -> *const u32 {
        self.words.as_ptr().cast()
    }
}
