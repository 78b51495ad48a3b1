//! A model in memory maps and rows of f32: what every importer produces and `export` writes.
//!
//! Nothing of a checkpoint's size is held in memory: a tensor is a way to read its rows.

use whit::format::{Architecture, Role};

/// A weight matrix or vector (one row) that can be read row by row.
pub trait Rows {
    /// Rows (outputs).
    fn rows(&self) -> usize;

    /// Columns (inputs).
    fn cols(&self) -> usize;

    /// Writes row `row` to `out`, `[cols]`, as f32.
    fn read(&self, row: usize, out: &mut [f32]);

    /// Writes the rows from `first_row` on to `out`, `[count][cols]`: as many as `out` has room for.
    ///
    /// A source that stores the transposed matrix reads a block of rows in one pass over its memory, where single
    /// rows would touch all of it once per row.
    fn read_block(&self, first_row: usize, out: &mut [f32]) {
        for (i, out) in out.chunks_exact_mut(self.cols().max(1)).enumerate() {
            self.read(first_row + i, out);
        }
    }
}

/// One tensor of a checkpoint, in the runtime's layout: `[outputs, inputs]`, projections fused as [`Role`] says.
pub struct Tensor<'a> {
    /// What it is for.
    pub role: Role,
    /// Its layer, counted from 0; 0 outside of layers.
    pub layer: u16,
    /// The name (or names) that the source has for it, for messages.
    pub source: String,
    /// Its numbers.
    pub rows: Box<dyn Rows + 'a>,
}

/// A model as an importer found it.
pub struct Checkpoint<'a> {
    /// What the model computes.
    pub architecture: Architecture,
    /// Its tensors, in the canonical order of [`whit::format::Slots`].
    pub tensors: Vec<Tensor<'a>>,
    /// The tokenizer section.
    pub tokenizer: Vec<u8>,
    /// Tokens that end a text.
    pub stop_tokens: Vec<u32>,
    /// Name, licence, origin.
    pub metadata: Vec<(String, String)>,
}

/// A matrix in memory, for tests.
#[cfg(test)]
pub(crate) struct Dense {
    pub(crate) cols: usize,
    pub(crate) weights: Vec<f32>,
}

#[cfg(test)]
impl Rows for Dense {
    fn rows(&self) -> usize {
        self.weights.len() / self.cols
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn read(&self, row: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.weights[row * self.cols..][..self.cols]);
    }
}
