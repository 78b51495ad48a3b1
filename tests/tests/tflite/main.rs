//! `.tflite` files: read, imported, run, refused.

mod builder;
mod digits;
mod float;
mod graphs;
mod hostile;
mod png;

use whit::AlignedBytes;
use whit::integer::IntegerModel;
use whit_converter::import::tflite;
use whit_converter::integer::to_bytes;

/// A file of `tests/files/digits`, which `make.py` there made.
fn file(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("files/digits").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The `.whit` file of a `.tflite` file.
fn imported(tflite: &[u8]) -> AlignedBytes {
    let checkpoint = tflite::read(tflite, "model.tflite").unwrap_or_else(|error| panic!("{error}"));
    AlignedBytes::from(&to_bytes(&checkpoint).expect("an importer's chain fits together")[..])
}

/// All output vectors of a fresh session.
fn vectors(model: &IntegerModel<'_>, frames: &[i8]) -> Vec<i8> {
    let mut arena = AlignedBytes::zeroed(model.arena_size());
    let mut session = model.session(&mut arena).expect("the arena has the size asked for");
    let mut found = Vec::new();
    session.feed(frames, |vector| found.extend(vector)).expect("whole frames");
    found
}
