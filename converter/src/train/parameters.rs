//! What is trained: named tensors in the layout in which they are multiplied, and their names in checkpoints.

use super::error::TrainError;
use std::ops::Range;

/// The number of a parameter in its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParameterId(pub(super) usize);

/// What a parameter is used as, and so how it is quantized, packed and decayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Rows are looked up: an embedding or learned positions.
    Rows,
    /// Rows are looked up, and the whole is the output head.
    TiedRows,
    /// The output head.
    Head,
    /// Any other matrix.
    Product,
    /// A bias or the factors of a norm.
    Vector,
}

impl Use {
    /// Whether it is a factor of products.
    pub(super) fn is_product(self) -> bool {
        matches!(self, Self::TiedRows | Self::Head | Self::Product)
    }

    /// Whether weight decay applies: to matrices, but not to rows that are looked up, most of which a step does not
    /// touch.
    pub(super) fn decays(self) -> bool {
        matches!(self, Self::Head | Self::Product)
    }
}

/// A tensor of a checkpoint: some rows of a parameter.
#[derive(Clone, Debug)]
pub(super) struct FileTensor {
    pub(super) name: String,
    pub(super) rows: Range<usize>,
    /// Whether it is a list, not a matrix.
    pub(super) flat: bool,
    /// Whether it is stored as `[in, out]`.
    pub(super) transposed: bool,
}

/// One trained tensor.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// Unique in the model; what optimizer state is stored under.
    pub(super) name: String,
    pub(super) used_as: Use,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// `[rows][cols]`.
    pub(super) values: Vec<f32>,
    pub(super) files: Vec<FileTensor>,
}

/// A named tensor as it stands in a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The checkpoint's name for it.
    pub name: String,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Parameter {
    /// The tensors of a checkpoint that it makes up.
    pub(super) fn tensors(&self) -> impl Iterator<Item = NamedTensor> + '_ {
        self.files.iter().map(|file| {
            let own = &self.values[file.rows.start * self.cols..file.rows.end * self.cols];
            let values = if file.transposed { transposed(own, self.cols) } else { own.to_vec() };
            NamedTensor { name: file.name.clone(), shape: self.shape(file), values }
        })
    }

    /// Takes the values of the tensor `file` of this parameter.
    ///
    /// # Errors
    /// If its shape is another.
    pub(super) fn set(&mut self, file: usize, shape: &[usize], values: &[f32]) -> Result<(), TrainError> {
        let file = &self.files[file];
        let expected = self.shape(file);
        if shape != expected || values.len() != expected.iter().product::<usize>() {
            return Err(TrainError::Shape { tensor: file.name.clone(), expected, found: shape.to_vec() });
        }
        let own = file.rows.start * self.cols..file.rows.end * self.cols;
        if file.transposed {
            self.values[own].copy_from_slice(&transposed(values, file.rows.len()));
        } else {
            self.values[own].copy_from_slice(values);
        }
        Ok(())
    }

    fn shape(&self, file: &FileTensor) -> Vec<usize> {
        match file {
            FileTensor { flat: true, .. } => vec![file.rows.len() * self.cols],
            FileTensor { transposed: true, .. } => vec![self.cols, file.rows.len()],
            FileTensor { .. } => vec![file.rows.len(), self.cols],
        }
    }
}

/// The transpose of rows of `cols` numbers.
fn transposed(x: &[f32], cols: usize) -> Vec<f32> {
    let rows = x.len() / cols;
    (0..x.len()).map(|i| x[i % rows * cols + i / rows]).collect()
}
