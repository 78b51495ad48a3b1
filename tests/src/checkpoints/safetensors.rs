//! A streaming writer of safetensors files: a length, a JSON header, the numbers.

use super::{Kind, Spec};
use half::{bf16, f16};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Type of the numbers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// binary32.
    F32,
    /// binary16.
    F16,
    /// The upper half of binary32.
    Bf16,
}

impl Dtype {
    /// Its name in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Its name in a configuration.
    pub(super) const fn torch(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// `value` rounded to this type.
    pub fn rounded(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => f16::from_f32(value).to_f32(),
            Self::Bf16 => bf16::from_f32(value).to_f32(),
        }
    }

    fn append(self, value: f32, bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(value.to_le_bytes()),
            Self::F16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
            Self::Bf16 => bytes.extend(bf16::from_f32(value).to_le_bytes()),
        }
    }
}

/// Writes `specs` to one file, or to `shards` files of about equal size with an index.
pub(super) fn write_shards<'a, N: Fn(usize) -> f32>(
    directory: &Path,
    prefix: &str,
    specs: &'a [Spec],
    dtype: Dtype,
    shards: usize,
    numbers: impl Fn(&'a Spec) -> N,
) -> io::Result<()> {
    let named = |spec: &Spec| match spec.name.starts_with("lm_head.") {
        true => spec.name.clone(),
        false => format!("{prefix}{}", spec.name),
    };
    if shards <= 1 {
        return write_file(&directory.join("model.safetensors"), specs, dtype, named, &numbers);
    }
    let total: usize = specs.iter().map(|spec| len(spec, dtype)).sum();
    let mut weight_map = Map::new();
    let (mut first, mut end) = (0, 0);
    for shard in 1..=shards {
        let start = first;
        while first < specs.len() && (shard == shards || end < total * shard / shards) {
            end += len(&specs[first], dtype);
            first += 1;
        }
        let file = format!("model-{shard:05}-of-{shards:05}.safetensors");
        write_file(&directory.join(&file), &specs[start..first], dtype, named, &numbers)?;
        weight_map.extend(specs[start..first].iter().map(|spec| (named(spec), json!(file))));
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    super::write_json(&directory.join("model.safetensors.index.json"), &index)
}

fn len(spec: &Spec, dtype: Dtype) -> usize {
    spec.shape[0] * spec.shape[1] * dtype.len()
}

fn write_file<'a, N: Fn(usize) -> f32>(
    path: &Path,
    specs: &'a [Spec],
    dtype: Dtype,
    named: impl Fn(&Spec) -> String,
    numbers: &impl Fn(&'a Spec) -> N,
) -> io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0;
    for spec in specs {
        let end = start + len(spec, dtype);
        let entry = json!({ "dtype": dtype.name(), "shape": shape(spec), "data_offsets": [start, end] });
        header.insert(named(spec), entry);
        start = end;
    }
    let mut header = Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for spec in specs {
        write_numbers(&mut file, spec, dtype, numbers(spec))?;
    }
    file.flush()
}

/// The shape that the file states.
fn shape(spec: &Spec) -> Vec<usize> {
    let [rows, cols] = spec.shape;
    match spec.kind {
        Kind::Weight if spec.transposed => vec![cols, rows],
        Kind::Weight => vec![rows, cols],
        Kind::Gain | Kind::Bias => vec![cols],
    }
}

fn write_numbers(
    file: &mut impl Write,
    spec: &Spec,
    dtype: Dtype,
    number: impl Fn(usize) -> f32,
) -> io::Result<()> {
    let [rows, cols] = spec.shape;
    let (lines, line) = if spec.transposed { (cols, rows) } else { (rows, cols) };
    let mut bytes = Vec::with_capacity(line * dtype.len());
    for i in 0..lines {
        bytes.clear();
        for j in 0..line {
            let index = if spec.transposed { j * cols + i } else { i * cols + j };
            dtype.append(number(index), &mut bytes);
        }
        file.write_all(&bytes)?;
    }
    Ok(())
}
