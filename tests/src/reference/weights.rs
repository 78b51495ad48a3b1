//! A minimal reader of safetensors files, and the products that a reference needs, row by row.

use super::Vectors;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// All tensors of a directory, as bytes.
#[derive(Debug)]
pub(super) struct Weights {
    tensors: HashMap<String, Tensor>,
}

#[derive(Debug)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// Row `row` of the matrix as stored; a vector is one row.
    fn row(&self, row: usize) -> Vec<f64> {
        let cols = *self.shape.last().expect("no scalars");
        let half = |at: usize| u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
        let value = |i: usize| match self.dtype.as_str() {
            "F32" => f64::from(f32::from_le_bytes(self.bytes[4 * i..][..4].try_into().expect("four bytes"))),
            "BF16" => f64::from(f32::from_bits(u32::from(half(2 * i)) << 16)),
            "F16" => binary16(half(2 * i)),
            other => panic!("no reference for type {other}"),
        };
        (row * cols..(row + 1) * cols).map(value).collect()
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
            let bytes = std::fs::read(path).expect("the file can be read");
            let (len, rest) = bytes.split_at(8);
            let len = u64::from_le_bytes(len.try_into().expect("eight bytes")) as usize;
            let (header, data) = rest.split_at(len);
            let header: Value = serde_json::from_slice(header).expect("a JSON header");
            for (name, entry) in header.as_object().expect("an object") {
                let number = |value: &Value| value.as_u64().expect("a number") as usize;
                let Some(shape) = entry["shape"].as_array() else { continue };
                let offsets = &entry["data_offsets"];
                let tensor = Tensor {
                    dtype: entry["dtype"].as_str().expect("a type").to_owned(),
                    shape: shape.iter().map(number).collect(),
                    bytes: data[number(&offsets[0])..number(&offsets[1])].to_vec(),
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
