//! Floating-point matrices.

/// f32 weights, row-major `[rows][cols]`, unpadded.
#[derive(Clone, Copy, Debug)]
pub struct MatrixF32<'a> {
    rows: usize,
    cols: usize,
    data: &'a [f32],
}

impl<'a> MatrixF32<'a> {
    /// A matrix over `data`, or `None` if it does not hold `rows` × `cols` weights.
    pub fn new(rows: usize, cols: usize, data: &'a [f32]) -> Option<Self> {
        (Some(data.len()) == rows.checked_mul(cols)).then_some(Self { rows, cols, data })
    }

    /// Rows (outputs).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// One row of weights.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }
}

/// f16 weights as IEEE binary16 bits, row-major `[rows][cols]`, unpadded.
#[derive(Clone, Copy, Debug)]
pub struct MatrixF16<'a> {
    rows: usize,
    cols: usize,
    data: &'a [u16],
}

impl<'a> MatrixF16<'a> {
    /// A matrix over `data`, or `None` if it does not hold `rows` × `cols` weights.
    pub fn new(rows: usize, cols: usize, data: &'a [u16]) -> Option<Self> {
        (Some(data.len()) == rows.checked_mul(cols)).then_some(Self { rows, cols, data })
    }

    /// Rows (outputs).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// One row of weights, as binary16 bits.
    pub fn row(&self, row: usize) -> &'a [u16] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }
}
