//! `whit report` and the encodings of single matrices, on a made-up checkpoint.

use crate::command::{fail, json, succeed};
use crate::made_up::{CHECKPOINT, TOKENIZER, write};
use serde_json::Value;
use std::path::Path;
use tempfile::{TempDir, tempdir};

const TEXT: &str = "Once upon a time there was a text with nothing in it but letters.";

fn import(folder: &Path, name: &str, options: &[&str]) -> Value {
    let out = format!("{name}.whit");
    let args = ["import", CHECKPOINT, "--tokenizer", TOKENIZER, "-o", &out, "--json"];
    json(folder, &[&args[..], options].concat())
}

/// A folder with a text and the checkpoint in three encodings.
fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    write(folder.path());
    std::fs::write(folder.path().join("text.txt"), TEXT).unwrap();
    for weights in ["f32", "int8", "int4"] {
        import(folder.path(), weights, &["--weights", weights]);
    }
    folder
}

const REPORT: [&str; 6] = ["report", "f32.whit", "int8.whit", "int4.whit", "--text", "text.txt"];

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().expect("a number");
    assert!((value - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{value} {expected}");
}

#[test]
fn metrics_are_those_of_size_and_of_whit_eval() {
    let folder = folder();
    let report =
        json(folder.path(), &[&REPORT[..], &["--rounds", "0", "--joules", "3,2,1", "--json"]].concat());
    let help = succeed(folder.path(), &["report", "--help"]);
    for key in report.as_object().unwrap().keys() {
        assert!(help.contains(key), "the help does not name {key}");
    }
    let bytes = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len() as f64;
    for (variant, energy) in report["variants"].as_array().unwrap().iter().zip([1.5, 3.0]) {
        for key in variant.as_object().unwrap().keys().chain(variant["metrics"].as_object().unwrap().keys()) {
            assert!(help.contains(key), "the help does not name {key}");
        }
        let (file, metrics) = (variant["file"].as_str().unwrap(), &variant["metrics"]);
        let scored = ["eval", file, "--against", "f32.whit", "--text", "text.txt", "--json"];
        let scored = json(folder.path(), &scored);
        for key in ["kl_divergence", "top1_agreement"] {
            assert_eq!(metrics[key], scored[key], "{file}: {key}");
        }
        assert_eq!(variant["nats_per_token"], scored["nats_per_token"]);
        near(&metrics["size"], bytes("f32.whit") / bytes(file));
        let perplexity = |score: &Value| score["perplexity"].as_f64().unwrap();
        near(&metrics["quality"], perplexity(&scored["against"]) / perplexity(&scored));
        near(&metrics["energy"], energy);
        assert!(metrics["decode"].is_null() && variant["speeds"].is_null());
    }
}

#[test]
fn without_a_source_energy_is_said_to_have_none_and_claims_are_called_claims() {
    let folder = folder();
    for form in [&[][..], &["--markdown"]] {
        let found = succeed(folder.path(), &[&REPORT[..], &["--rounds", "0"], form].concat());
        assert_eq!(found.matches("no source").count(), 3, "{found}");
        assert!(found.contains("not measured here") && found.contains("000:L11173"), "{found}");
        assert_eq!(found.matches("speed not measured").count(), 3, "{found}");
    }
}

#[test]
fn speeds_are_measured_here_or_taken_from_a_saved_measurement_of_the_same_files() {
    let folder = folder();
    let here = ["report", "f32.whit", "int8.whit", "--text", "text.txt", "--rounds", "1", "--json"];
    let report = json(folder.path(), &[&here[..], &["--svg", "front.svg"]].concat());
    assert!(report["variants"][0]["metrics"]["decode"]["ratio"].as_f64().unwrap() > 0.0);
    let picture = std::fs::read_to_string(folder.path().join("front.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("int8"));
    let measured = ["bench", "f32.whit", "int8.whit", "--json", "--max-time", "0", "--repeats", "1"];
    std::fs::write(folder.path().join("saved.json"), succeed(folder.path(), &measured)).unwrap();
    let from = [&REPORT[..], &["--bench", "saved.json"]].concat();
    let report = json(folder.path(), &[&from[..], &["--json"]].concat());
    let ratios = [0, 1].map(|variant| &report["variants"][variant]["metrics"]["decode"]);
    assert!(ratios[0]["ratio"].is_number() && ratios[1].is_null());
    // The same name, another file.
    import(folder.path(), "int8", &["--weights", "f16"]);
    assert!(fail(folder.path(), 1, &from).contains("int8.whit was another file"));
}

#[test]
fn joules_must_be_given_for_every_file() {
    let folder = folder();
    let error = fail(folder.path(), 2, &[&REPORT[..], &["--joules", "1,2"]].concat());
    assert!(error.contains("expected 3 values"), "{error}");
}

#[test]
fn a_matrix_has_the_encoding_that_was_chosen_for_it() {
    let folder = tempdir().unwrap();
    write(folder.path());
    let chosen = ["--weights", "int4", "--tensor", "ffn.down=int8", "--tensor", "layers.1.attention.qkv=f16"];
    import(folder.path(), "mixed", &chosen);
    let contents = json(folder.path(), &["inspect", "mixed.whit", "--json"]);
    let encoding = |name: &str| {
        let tensors = contents["tensors"].as_array().unwrap();
        let tensor = tensors.iter().find(|tensor| tensor["name"] == name).expect("a tensor");
        tensor["encoding"].as_str().unwrap().to_owned()
    };
    assert_eq!(encoding("layers.0.ffn.down"), "int8");
    assert_eq!(encoding("layers.1.attention.qkv"), "f16");
    assert!(encoding("layers.0.attention.qkv").starts_with("int4"));
    let args = ["import", CHECKPOINT, "--tokenizer", TOKENIZER, "--tensor", "layers.7.ffn.up=int8"];
    assert!(fail(folder.path(), 1, &args).contains("no tensor `layers.7.ffn.up`; its layers are 0 to 1"));
}

#[test]
fn a_matrix_takes_16_bit_activations_where_they_were_chosen() {
    let folder = tempdir().unwrap();
    write(folder.path());
    import(folder.path(), "wide", &["--tensor", "ffn.down=int8:a16", "--tensor", "embedding=int8:a16"]);
    let contents = json(folder.path(), &["inspect", "wide.whit", "--json"]);
    let tensors = contents["tensors"].as_array().unwrap();
    let bits = |name: &str| {
        let tensor = tensors.iter().find(|tensor| tensor["name"] == name).expect("a tensor");
        tensor["activation_bits"].as_u64()
    };
    let names = ["layers.1.ffn.down", "embedding", "layers.1.ffn.up", "layers.1.ffn.norm"];
    assert_eq!(names.map(bits), [Some(16), Some(16), Some(8), None]);
    let text = succeed(folder.path(), &["inspect", "wide.whit", "--tensors"]);
    assert!(text.contains("int8, 16-bit activations") && text.contains("16 bits"), "{text}");
    assert!(succeed(folder.path(), &["verify", "wide.whit"]).contains("tokens and their logits agree"));
    let args = ["import", CHECKPOINT, "--tokenizer", TOKENIZER, "--tensor", "ffn.down=f16:a16"];
    assert!(fail(folder.path(), 2, &args).contains("f16 takes its input as it is"));
}
