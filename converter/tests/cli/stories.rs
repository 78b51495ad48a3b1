//! The command on a real checkpoint: stories260K, its published text, and its loss on stories that it has not seen.
//!
//! The data lies under `WHIT_DATA`, by default `../shared/data` beside the workspace. Without it these tests say SKIP,
//! and fail where `CI` is `true`.

use crate::command::{json, succeed};
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};
use whit::kernels::Backend;

/// The data directory, if it has stories260K.
fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("WHIT_DATA").map_or_else(beside, |data| {
        // Relative to the workspace, as for every package's tests.
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(data)
    });
    if data.join("llama2c/stories260K.bin").is_file() {
        return Some(data);
    }
    let reason = format!("SKIP: {} has no llama2c/stories260K.bin (set WHIT_DATA)", data.display());
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
    eprintln!("{reason}");
    None
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// A folder with stories260K in three encodings.
fn imported(data: &Path) -> TempDir {
    let folder = tempdir().unwrap();
    let (checkpoint, tokenizer) = (data.join("llama2c/stories260K.bin"), data.join("llama2c/tok512.bin"));
    for weights in ["f32", "int8", "int4"] {
        let out = format!("{weights}.whit");
        let args =
            ["import", text(&checkpoint), "--tokenizer", text(&tokenizer), "--weights", weights, "-o", &out];
        succeed(folder.path(), &args);
    }
    folder
}

#[test]
fn greedy_text_is_the_published_one_on_every_backend_and_thread_count() {
    let Some(data) = data() else { return };
    let folder = imported(&data);
    let expected = std::fs::read_to_string(data.join("llama2c/expected_greedy_200.txt")).unwrap();
    let greedy = ["run", "f32.whit", "--temperature", "0", "--max-tokens", "200"];
    for backend in Backend::available() {
        for threads in ["1", "2", "3"] {
            let how = ["--backend", backend.name(), "--threads", threads];
            let found = succeed(folder.path(), &[&greedy[..], &how].concat());
            assert_eq!(found, expected, "{how:?}");
        }
    }
}

#[test]
fn a_prompt_is_continued_as_if_it_had_been_generated() {
    let Some(data) = data() else { return };
    let folder = imported(&data);
    let expected = std::fs::read_to_string(data.join("llama2c/expected_greedy_200.txt")).unwrap();
    let greedy = ["run", "f32.whit", "Once upon a time, there was", "--temperature", "0", "-n", "50"];
    let found = succeed(folder.path(), &greedy);
    assert!(expected.starts_with(&found) && found.len() > 100, "{found}");
}

#[test]
fn quantization_costs_no_more_than_it_should() {
    let Some(data) = data() else { return };
    let folder = imported(&data);
    let stories = data.join("text/tinystories_v2_dev_1000-2315.txt");
    let eval = |file: &str| {
        let how = ["--split", "<|endoftext|>", "--max-tokens", "6000", "--against", "f32.whit", "--json"];
        json(folder.path(), &[&["eval", file, "--text", text(&stories)], &how[..]].concat())
    };
    for (file, most) in [("int8.whit", 0.01), ("int4.whit", 0.16)] {
        let report = eval(file);
        let number = |key: &str| report[key].as_f64().unwrap();
        let cost = number("nats_per_token") - report["against"]["nats_per_token"].as_f64().unwrap();
        assert!(cost < most, "{file}: {cost} nats per token");
        assert!((0.0..most).contains(&number("kl_divergence")), "{report}");
    }
}
