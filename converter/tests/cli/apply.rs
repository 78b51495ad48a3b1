//! Frames through a model, from import to numbers, with a `.tflite` file that TensorFlow wrote.

use crate::command::{fail, json, succeed};
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

/// `tests/files/digits`: an LSTM that reads digits row by row, and ten of them.
fn digits(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/digits").join(name)
}

/// A folder with the import of the digits' model, `m.whit`, and the digits 0 to 9 as bare f32, `frames`.
fn imported() -> TempDir {
    let folder = tempdir().expect("a folder");
    let model = digits("int8.tflite");
    succeed(folder.path(), &["import", model.to_str().expect("text"), "-o", "m.whit", "--license", "MIT"]);
    let images = std::fs::read(digits("images.bin")).expect("the images");
    let frames: Vec<u8> = images.iter().flat_map(|&byte| (f32::from(byte) / 255.0).to_le_bytes()).collect();
    std::fs::write(folder.path().join("frames"), frames).expect("written");
    folder
}

#[test]
fn digits_are_read_from_frames() {
    let folder = imported();
    let text = succeed(folder.path(), &["apply", "m.whit", "frames"]);
    let lines: Vec<Vec<f32>> =
        text.lines().map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect()).collect();
    assert_eq!(lines.len(), 10);
    assert!(lines[0][0] > 0.9, "a stream's first digit is read from a fresh state: {:?}", lines[0]);
    let report = json(folder.path(), &["apply", "m.whit", "frames", "--json"]);
    assert_eq!(report["count"], 280);
    let vectors = report["vectors"].as_array().unwrap();
    for (line, vector) in lines.iter().zip(vectors) {
        let vector = vector.as_array().unwrap();
        assert!(line.iter().zip(vector).all(|(&a, b)| a == b.as_f64().unwrap() as f32));
    }
    // The same as files, and from a file of the first kind; every backend gives the same bytes.
    succeed(folder.path(), &["apply", "m.whit", "frames", "-o", "out", "--backend", "scalar"]);
    succeed(folder.path(), &["apply", "m.whit", "frames", "-o", "out.npy"]);
    let [bare, npy] = ["out", "out.npy"].map(|name| std::fs::read(folder.path().join(name)).unwrap());
    assert_eq!(bare, lines.concat().iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    assert!(npy.starts_with(b"\x93NUMPY") && npy.ends_with(&bare));
}

#[test]
fn what_was_imported_is_shown_and_verified() {
    let folder = imported();
    let report = json(folder.path(), &["inspect", "m.whit", "--json"]);
    assert_eq!((&report["architecture"], &report["frames_per_output"]), (&"integer".into(), &28.into()));
    let kinds: Vec<_> = report["layers"].as_array().unwrap().iter().map(|layer| &layer["kind"]).collect();
    assert_eq!(kinds, ["lstm", "gather", "fully_connected", "softmax"]);
    assert_eq!(
        (&report["metadata"]["name"], &report["metadata"]["licence"]),
        (&"int8".into(), &"MIT".into())
    );
    let text = succeed(folder.path(), &["inspect", "m.whit", "--tensors"]);
    assert!(text.contains("layers.0.hidden.weights"), "{text}");
    let checks = json(folder.path(), &["verify", "m.whit", "--json"]);
    assert_eq!(checks["ok"], true);
    assert!(checks["checks"].as_array().unwrap().iter().any(|check| check["name"] == "golden scalar"));
}

#[test]
fn what_cannot_be_applied_is_named() {
    let folder = imported();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("part", &[0; 4 * 30]);
    write("odd", &[0; 5]);
    let said = fail(folder.path(), 1, &["apply", "m.whit", "part"]);
    assert!(said.starts_with("error: part: ") && said.contains("frames of 28 numbers"), "{said}");
    let said = fail(folder.path(), 1, &["apply", "m.whit", "odd"]);
    assert!(said.contains("odd: expected a .npy file or bare numbers of 4 bytes"), "{said}");
    let said = fail(folder.path(), 1, &["apply", "m.whit", "nothing"]);
    assert!(said.contains("nothing: cannot be read"), "{said}");
    let said = fail(folder.path(), 1, &["run", "m.whit", "Once"]);
    assert!(said.contains("m.whit: it holds a chain of integer layers"), "{said}");
    let model = digits("int8.tflite");
    let model = model.to_str().expect("text");
    let said = fail(folder.path(), 2, &["import", model, "--weights", "int4"]);
    assert!(said.contains("as it was quantized"), "{said}");
    let said = fail(folder.path(), 1, &["import", model, "-o", "part"]);
    assert!(said.contains("part: exists and is not a .whit file"), "{said}");
    let float = digits("float.tflite");
    let said = fail(folder.path(), 1, &["import", float.to_str().expect("text"), "-o", "f.whit"]);
    assert!(said.contains("expected int8, found float32"), "{said}");
}
