//! A minimal reader of safetensors files, and the products that a reference needs, row by row.

use super::Vectors;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// All tensors of a directory, in the bytes of their files.
#[derive(Debug)]
pub(super) struct Weights {
    tensors: HashMap<String, Tensor>,
}

#[derive(Debug)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    file: Arc<Vec<u8>>,
    start: usize,
}

impl Tensor {
    /// Row `row` of the matrix as stored; a vector is one row.
    fn row(&self, row: usize) -> Vec<f64> {
        let cols = *self.shape.last().expect("no scalars");
        let len = if self.dtype == "F32" { 4 } else { 2 };
        let bytes = &self.file[self.start + row * cols * len..][..cols * len];
        let half = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
        let single = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let numbers = bytes.chunks_exact(len);
        match self.dtype.as_str() {
            "F32" => numbers.map(|bytes| f64::from(single(bytes))).collect(),
            "BF16" => numbers.map(|bytes| f64::from(f32::from_bits(u32::from(half(bytes)) << 16))).collect(),
            "F16" => numbers.map(|bytes| binary16(half(bytes))).collect(),
            other => panic!("no reference for type {other}"),
        }
    }
}

/// IEEE 754 binary16, by its definition.
fn binary16(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    sign * match bits >> 10 & 31 {
        0 => fraction * 2.0_f64.powi(-14),
        31 => panic!("a weight is infinite or NaN"),
        exponent => (1.0 + fraction) * 2.0_f64.powi(i32::from(exponent) - 15),
    }
}

impl Weights {
    pub(super) fn open(directory: &Path) -> Self {
        let mut tensors = HashMap::new();
        let files = std::fs::read_dir(directory).expect("the directory can be read");
        let paths = files.map(|file| file.expect("an entry").path());
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "safetensors")) {
            let file = Arc::new(std::fs::read(path).expect("the file can be read"));
            let len = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
            let header: Value = serde_json::from_slice(&file[8..8 + len]).expect("a JSON header");
            for (name, entry) in header.as_object().expect("an object") {
                let number = |value: &Value| value.as_u64().expect("a number") as usize;
                let Some(shape) = entry["shape"].as_array() else { continue };
                let tensor = Tensor {
                    dtype: entry["dtype"].as_str().expect("a type").to_owned(),
                    shape: shape.iter().map(number).collect(),
                    file: file.clone(),
                    start: 8 + len + number(&entry["data_offsets"][0]),
                };
                let name = name.trim_start_matches("model.").trim_start_matches("transformer.");
                tensors.insert(name.to_owned(), tensor);
            }
        }
        Self { tensors }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor `{name}`"))
    }

    /// Shape of tensor `name`.
    pub(super) fn shape(&self, name: &str) -> &[usize] {
        &self.get(name).shape
    }

    /// Rows of matrix `name`, one for each of `rows`.
    pub(super) fn rows(&self, name: &str, rows: impl IntoIterator<Item = usize>) -> Vectors {
        rows.into_iter().map(|row| self.get(name).row(row)).collect()
    }

    /// A vector.
    pub(super) fn vector(&self, name: &str) -> Vec<f64> {
        self.get(name).row(0)
    }

    /// `W x` for the matrix `name`, `[outputs, inputs]`, and every x, plus the bias `bias` if there is such a tensor.
    pub(super) fn linear(&self, name: &str, bias: &str, x: &Vectors) -> Vectors {
        let matrix = self.get(name);
        let mut out = vec![Vec::with_capacity(matrix.shape[0]); x.len()];
        for row in 0..matrix.shape[0] {
            let row = matrix.row(row);
            for (x, out) in x.iter().zip(&mut out) {
                out.push(row.iter().zip(x).map(|(w, x)| w * x).sum());
            }
        }
        self.add_bias(bias, &mut out);
        out
    }

    /// As [`Self::linear`] for a matrix stored as `[inputs, outputs]`.
    pub(super) fn conv1d(&self, name: &str, bias: &str, x: &Vectors) -> Vectors {
        let matrix = self.get(name);
        let mut out = vec![vec![0.0; matrix.shape[1]]; x.len()];
        for input in 0..matrix.shape[0] {
            let row = matrix.row(input);
            for (x, out) in x.iter().zip(&mut out) {
                for (out, w) in out.iter_mut().zip(&row) {
                    *out += w * x[input];
                }
            }
        }
        self.add_bias(bias, &mut out);
        out
    }

    fn add_bias(&self, bias: &str, out: &mut Vectors) {
        if self.tensors.contains_key(bias) {
            let bias = self.vector(bias);
            super::add(out, &vec![bias; out.len()]);
        }
    }
}
