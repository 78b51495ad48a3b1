//! One head's part of attention, as a backend may compute it in one piece.

use crate::tensor::MatrixI8;

/// Queries of one token that share a key/value head, and what they see of it in one span of an int8 cache.
#[derive(Clone, Copy, Debug)]
pub struct HeadSpan<'a> {
    /// `[queries][width]`, scaled: their products with keys are in steps of a logarithm.
    pub queries: &'a [f32],
    /// `[positions, width]`.
    pub keys: MatrixI8<'a>,
    /// `[width, positions]`.
    pub values: MatrixI8<'a>,
    /// `[positions]`: the logarithms of the values' scales.
    pub value_logs: &'a [i32],
    /// Bytes from each key and value to that of the head that is attended to next, which are worth asking for while these
    /// are worked on; 0 where none are.
    pub next: usize,
}

impl HeadSpan<'_> {
    /// Elements of a query, a key or a value.
    pub fn width(&self) -> usize {
        self.keys.cols()
    }

    /// Positions in the span.
    pub fn positions(&self) -> usize {
        self.keys.rows()
    }
}
