//! The Hugging Face importer against random checkpoints: what is right arrives number for number, what is wrong is
//! named in full.

mod arrives;
mod refused;

use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use whit_converter::checkpoint::{Checkpoint, Rows};
use whit_converter::import::{ImportError, huggingface};
use whit_tests::checkpoints::{self, Options, Shape};

fn written(name: &str, options: &Options) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    checkpoints::write(directory.path(), &shape(name), options).expect("written");
    directory
}

fn shape(name: &str) -> Shape {
    Shape::named(name).expect("a known name")
}

fn import(directory: &Path) -> Result<Checkpoint<'static>, ImportError> {
    huggingface::import(directory, |request| Ok(request.vocabulary.to_le_bytes().to_vec()))
}

fn message(directory: &Path) -> String {
    import(directory).err().expect("the import must fail").to_string()
}

fn edit_json(directory: &Path, file: &str, edit: impl FnOnce(&mut Value)) {
    let path = directory.join(file);
    let mut value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    edit(&mut value);
    fs::write(path, value.to_string()).expect("written");
}

/// Changes the header of `model.safetensors`, and adds tensors of zeros: name, type, shape, bytes.
fn edit_weights(
    directory: &Path,
    edit: impl FnOnce(&mut Map<String, Value>),
    added: &[(&str, &str, &[usize], usize)],
) {
    let path = directory.join("model.safetensors");
    let bytes = fs::read(&path).expect("read");
    let (len, rest) = bytes.split_at(8);
    let (header, numbers) = rest.split_at(u64::from_le_bytes(len.try_into().expect("8 bytes")) as usize);
    let mut header: Map<String, Value> = serde_json::from_slice(header).expect("JSON");
    let mut numbers = numbers.to_vec();
    edit(&mut header);
    for &(name, dtype, shape, len) in added {
        let offsets = [numbers.len(), numbers.len() + len];
        header.insert(name.to_owned(), json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets }));
        numbers.resize(offsets[1], 0);
    }
    let header = Value::Object(header).to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &numbers].concat();
    fs::write(path, bytes).expect("written");
}

fn all_numbers(rows: &dyn Rows) -> Vec<f32> {
    let mut out = vec![f32::NAN; rows.rows() * rows.cols()];
    out.chunks_mut(rows.cols()).enumerate().for_each(|(row, out)| rows.read(row, out));
    out
}
