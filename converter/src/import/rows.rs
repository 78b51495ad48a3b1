//! Rows of f32 from the bytes of a mapped file: as stored, transposed, or stacked from several tensors.

use crate::checkpoint::Rows;
use crate::map::Map;
use half::{bf16, f16};
use std::ops::Range;
use std::sync::Arc;

/// Bytes from which on a tensor's memory is given back after reading; below, it is not worth a system call.
const RELEASED_FROM: usize = 1 << 18;

/// How one number is stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F16,
    Bf16,
}

impl Element {
    /// Bytes of one number.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Calls `put` with the index and the value of every number in `bytes`; all conversions are exact.
    #[inline]
    fn each(self, bytes: &[u8], mut put: impl FnMut(usize, f32)) {
        match self {
            Self::F32 => {
                for (i, &bytes) in bytes.as_chunks().0.iter().enumerate() {
                    put(i, f32::from_le_bytes(bytes));
                }
            }
            Self::F16 => {
                for (i, &bytes) in bytes.as_chunks().0.iter().enumerate() {
                    put(i, f16::from_le_bytes(bytes).to_f32());
                }
            }
            Self::Bf16 => {
                for (i, &bytes) in bytes.as_chunks().0.iter().enumerate() {
                    put(i, bf16::from_le_bytes(bytes).to_f32());
                }
            }
        }
    }
}

/// In which order the numbers of a matrix stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `[rows, cols]`, one row after the other.
    Rows,
    /// `[cols, rows]`: the file holds the transposed matrix.
    Columns,
}

/// A matrix, or a vector as one row, in a mapped file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    map: Arc<Map>,
    start: usize,
    element: Element,
    rows: usize,
    cols: usize,
    order: Order,
}

impl Stored {
    /// `rows` × `cols` numbers from byte `start` of `map` on; `None` if the file ends before they do.
    pub(crate) fn new(
        map: Arc<Map>,
        start: usize,
        element: Element,
        [rows, cols]: [usize; 2],
        order: Order,
    ) -> Option<Self> {
        let len = rows.checked_mul(cols)?.checked_mul(element.len())?;
        map.get(start..start.checked_add(len)?)?;
        Some(Self { map, start, element, rows, cols, order })
    }

    /// Some of its rows, which the file holds as rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        debug_assert!(self.order == Order::Rows && rows.end <= self.rows);
        let start = self.start + rows.start * self.cols * self.element.len();
        Self { start, rows: rows.len(), ..self.clone() }
    }

    /// Gives the memory of the whole tensor back once its last row is read: readers go from the first row to the
    /// last, so the memory in use stays that of one tensor.
    fn release_after(&self, end_row: usize) {
        let len = self.rows * self.cols * self.element.len();
        if end_row == self.rows && len >= RELEASED_FROM {
            self.map.release(self.start..self.start + len);
        }
    }

    /// The bytes of `count` numbers, the first of which is number `index`.
    fn numbers(&self, index: usize, count: usize) -> &[u8] {
        &self.map[self.start + index * self.element.len()..][..count * self.element.len()]
    }
}

impl Rows for Stored {
    fn rows(&self) -> usize {
        self.rows
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn read(&self, row: usize, out: &mut [f32]) {
        self.read_block(row, &mut out[..self.cols]);
    }

    fn read_block(&self, first_row: usize, out: &mut [f32]) {
        let (cols, count) = (self.cols, out.len() / self.cols.max(1));
        match self.order {
            Order::Rows => {
                self.element.each(self.numbers(first_row * cols, count * cols), |i, value| out[i] = value);
            }
            Order::Columns => {
                for col in 0..cols {
                    let numbers = self.numbers(col * self.rows + first_row, count);
                    self.element.each(numbers, |row, value| out[row * cols + col] = value);
                }
            }
        }
        self.release_after(first_row + count);
    }
}

/// Matrices of one width, one below the other.
#[derive(Clone, Debug)]
pub(crate) struct Stacked(Vec<Stored>);

impl Stacked {
    /// The rows of all `parts`, in order. All parts must be equally wide.
    pub(crate) fn new(parts: Vec<Stored>) -> Self {
        debug_assert!(parts.windows(2).all(|pair| pair[0].cols == pair[1].cols));
        Self(parts)
    }
}

impl Rows for Stacked {
    fn rows(&self) -> usize {
        self.0.iter().map(Stored::rows).sum()
    }

    fn cols(&self) -> usize {
        self.0.first().map_or(0, Stored::cols)
    }

    fn read(&self, row: usize, out: &mut [f32]) {
        let cols = self.cols();
        self.read_block(row, &mut out[..cols]);
    }

    fn read_block(&self, first_row: usize, mut out: &mut [f32]) {
        let mut skip = first_row;
        for part in &self.0 {
            let here = part.rows.saturating_sub(skip).min(out.len() / part.cols.max(1));
            let (now, later) = out.split_at_mut(here * part.cols);
            part.read_block(skip.min(part.rows - here), now);
            skip = skip.saturating_sub(part.rows);
            out = later;
        }
    }
}

/// A vector in memory: one that was computed, or joined from short ones.
#[derive(Clone, Debug)]
pub(crate) struct Values(pub(crate) Vec<f32>);

impl Values {
    /// The rows of all `parts` behind each other, as one row.
    pub(crate) fn joined(parts: &[Stored]) -> Self {
        let mut values = vec![0.0; parts.iter().map(|part| part.rows * part.cols).sum()];
        let mut rest = &mut values[..];
        for part in parts {
            let (now, later) = rest.split_at_mut(part.rows * part.cols);
            part.read_block(0, now);
            rest = later;
        }
        Self(values)
    }
}

impl Rows for Values {
    fn rows(&self) -> usize {
        1
    }

    fn cols(&self) -> usize {
        self.0.len()
    }

    fn read(&self, _row: usize, out: &mut [f32]) {
        out[..self.0.len()].copy_from_slice(&self.0);
    }
}
