//! A recurrent checkpoint, written here: imported, shown, applied to frames.

use crate::command::{fail, json, names, succeed};
use serde_json::json;
use std::path::Path;
use whit_converter::npy::{self, Numbers};

/// A directory `lstm` with a model of frames of two numbers, three elements and one output.
fn write(folder: &Path) {
    let directory = folder.join("lstm");
    std::fs::create_dir(&directory).expect("a folder");
    let config = json!({"model_type": "lstm", "input_size": 2, "hidden_size": 3, "output_size": 1});
    std::fs::write(directory.join("config.json"), config.to_string()).expect("written");
    let shapes = [
        ("head.bias", vec![1]),
        ("head.weight", vec![1, 3]),
        ("lstm.bias_hh_l0", vec![12]),
        ("lstm.bias_ih_l0", vec![12]),
        ("lstm.weight_hh_l0", vec![12, 3]),
        ("lstm.weight_ih_l0", vec![12, 2]),
    ];
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in shapes {
        let start = data.len();
        let numbers =
            (0..shape.iter().product::<usize>()).map(|i| ((i * 7 + name.len()) % 11) as f32 / 8.0 - 0.6);
        data.extend(numbers.flat_map(f32::to_le_bytes));
        header.insert(
            name.into(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::Value::Object(header).to_string().into_bytes();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    std::fs::write(directory.join("model.safetensors"), file).expect("written");
}

fn imported() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    succeed(folder.path(), &["import", "lstm", "-o", "m.whit", "--weights", "f32"]);
    folder
}

#[test]
fn a_recurrent_model_is_applied_to_frames() {
    let folder = imported();
    let path = folder.path();
    let frames: Vec<f32> = (0..600).map(|i| (i as f32 * 0.3).sin()).collect();
    std::fs::write(path.join("in.npy"), npy::encode(&[300, 2], &frames)).expect("written");
    assert_eq!(succeed(path, &["apply", "m.whit", "in.npy", "-o", "out.npy"]), "out.npy: 300 × 1\n");
    let read = |name: &str| npy::parse(&std::fs::read(path.join(name)).expect("readable")).expect("an array");
    let out = read("out.npy");
    assert_eq!(out.shape, [300, 1]);
    let Numbers::Real(numbers) = out.numbers else { panic!("real numbers") };
    assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "a state goes through all frames");
    // The first frames alone give the first outputs.
    std::fs::write(path.join("some.npy"), npy::encode(&[7, 2], &frames[..14])).expect("written");
    let report = json(path, &["apply", "m.whit", "some.npy", "-o", "some-out.npy", "--json"]);
    assert_eq!((&report["count"], &report["outputs"]), (&json!(7), &json!(1)));
    assert_eq!(read("some-out.npy").numbers, Numbers::Real(numbers[..7].to_vec()));
    let expected = ["in.npy", "lstm", "m.whit", "out.npy", "some-out.npy", "some.npy"];
    assert_eq!(names(path), expected);
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = imported();
    let path = folder.path();
    std::fs::write(path.join("wide.npy"), npy::encode(&[4, 3], &[0.0; 12])).expect("written");
    std::fs::write(path.join("none.npy"), b"a text").expect("written");
    for (input, expected) in [
        ("wide.npy", "error: wide.npy: expected real numbers [frames, 2], found another array [4, 3]\n"),
        (
            "none.npy",
            "error: none.npy: expected a .npy file or bare numbers of 4 bytes (f32), found 6 bytes\n",
        ),
    ] {
        assert_eq!(fail(path, 1, &["apply", "m.whit", input, "-o", "out.npy"]), expected);
    }
    let error = fail(path, 1, &["run", "m.whit", "text"]);
    assert!(error.contains("m.whit") && error.contains("tokenizer"), "{error}");
    assert!(!path.join("out.npy").exists());
}

#[test]
fn the_model_is_shown_as_what_it_is() {
    let folder = imported();
    let report = json(folder.path(), &["inspect", "m.whit", "--json"]);
    let architecture = &report["architecture"];
    assert_eq!(architecture["kind"], "recurrent");
    assert_eq!((&architecture["cell"], &architecture["hidden"]), (&json!("lstm"), &json!([3])));
    assert_eq!(report["golden"], json!(null));
    let text = succeed(folder.path(), &["inspect", "m.whit"]);
    assert!(text.contains("frames of 2") && text.contains("state  "), "{text}");
}
