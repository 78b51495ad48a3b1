//! Reports: their keys are documented and stable, and import, inspect, verify, run, eval and bench agree.

use crate::command::{json, names, say, succeed};
use crate::made_up::{CHECKPOINT, TOKENIZER, imported, write};
use serde_json::Value;
use tempfile::tempdir;

/// The keys of a JSON object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Asserts that `value` has these keys, given sorted, and that the help of `command` names them.
pub(crate) fn assert_keys(command: &str, value: &Value, expected: &[&str]) {
    assert_eq!(keys(value), expected);
    let help = succeed(std::path::Path::new("."), &[command, "--help"]);
    for key in expected {
        assert!(help.contains(key), "`whit {command} --help` does not name {key}");
    }
}

#[test]
fn import_reports_what_it_wrote() {
    let folder = tempdir().unwrap();
    write(folder.path());
    let args =
        ["import", CHECKPOINT, "--tokenizer", TOKENIZER, "--json", "--name", "Made Up", "--license", "MIT"];
    let report = json(folder.path(), &args);
    assert_keys(
        "import",
        &report,
        &[
            "bits_per_weight",
            "encodings",
            "file",
            "file_bytes",
            "golden",
            "parameters",
            "peak_rss_bytes",
            "ratio",
            "source",
            "source_bytes",
            "tensors",
        ],
    );
    let size = std::fs::metadata(folder.path().join("made.up.whit")).unwrap().len();
    assert_eq!(report["file_bytes"], size);
    assert_eq!(report["golden"]["output"].as_array().unwrap().len(), 24);
    let contents = json(folder.path(), &["inspect", "made.up.whit", "--json"]);
    assert_eq!(contents["metadata"]["name"], "Made Up");
    assert_eq!(contents["metadata"]["licence"], "MIT");
    assert_eq!(contents["golden"], report["golden"]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for weights in ["f32", "f16", "int8", "int4"] {
        let [one, two] = [imported(weights), imported(weights)]
            .map(|folder| std::fs::read(folder.path().join("m.whit")).unwrap());
        assert!(one == two, "{weights}");
    }
}

#[test]
fn every_encoding_and_cache_verifies() {
    for (weights, more) in [
        ("f32", &[][..]),
        ("f16", &["--cache", "int8"]),
        ("int8", &["--embedding", "f16"]),
        ("int4", &["--group", "16", "--cache", "int8"]),
        ("int4", &["--group", "0", "--embedding", "int4"]),
    ] {
        let folder = tempdir().unwrap();
        write(folder.path());
        let args = ["import", CHECKPOINT, "--tokenizer", TOKENIZER, "-o", "m.whit", "--weights", weights];
        succeed(folder.path(), &[&args, more].concat());
        let report = json(folder.path(), &["verify", "m.whit", "--json"]);
        assert_keys("verify", &report, &["checks", "file", "ok"]);
        assert_eq!(report["ok"], true);
        let checks = report["checks"].as_array().unwrap();
        assert!(checks.iter().all(|check| check["status"] == "ok"), "{report}");
        let golden = checks.iter().filter(|check| check["name"].as_str().unwrap().starts_with("golden"));
        assert_eq!(golden.count(), 2 * whit::kernels::Backend::available().count());
    }
}

#[test]
fn inspect_reports_sizes_that_add_up() {
    let folder = imported("int4");
    let report = json(folder.path(), &["inspect", "m.whit", "--json", "--context", "10", "--cache", "int8"]);
    assert_keys(
        "inspect",
        &report,
        &[
            "architecture",
            "bits_per_weight",
            "encodings",
            "file",
            "file_bytes",
            "fingerprint",
            "format_version",
            "golden",
            "memory",
            "metadata",
            "parameters",
            "parts",
            "sampling",
            "sections",
            "tensors",
            "tokenizer",
            "weight_bytes_per_token",
        ],
    );
    let sum = |list: &Value, key: &str| -> u64 {
        list.as_array().unwrap().iter().map(|entry| entry[key].as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&report["tensors"], "bytes"), sum(&report["encodings"], "bytes"));
    assert_eq!(sum(&report["tensors"], "bytes"), sum(&report["parts"], "bytes"));
    assert_eq!(sum(&report["parts"], "parameters"), report["parameters"].as_u64().unwrap());
    let memory = &report["memory"];
    let part = |key: &str| memory[key].as_u64().unwrap();
    assert_eq!(part("cache_bytes") + part("buffer_bytes"), part("arena_bytes"));
    assert_eq!((part("context"), &memory["cache"]), (10, &"int8".into()));
}

#[test]
fn run_reports_the_text_that_it_prints() {
    let folder = imported("int8");
    let args = ["run", "m.whit", "abc", "--seed", "7", "-n", "20"];
    let text = succeed(folder.path(), &args);
    let report = json(folder.path(), &[&args[..], &["--json"]].concat());
    assert_keys(
        "run",
        &report,
        &["file", "finish", "generated_tokens", "prompt", "prompt_tokens", "stats", "text"],
    );
    assert_keys(
        "run",
        &report["stats"],
        &[
            "arena_bytes",
            "backend",
            "cache",
            "context",
            "decode_tokens_per_s",
            "load_ms",
            "peak_rss_bytes",
            "prefill_tokens_per_s",
            "threads",
            "weight_bytes_per_token",
        ],
    );
    assert_eq!(text, format!("abc{}", report["text"].as_str().unwrap()));
    assert_eq!((&report["finish"], &report["generated_tokens"]), (&"max_tokens".into(), &20.into()));
}

#[test]
fn a_checkpoint_runs_as_its_import_does() {
    let folder = imported("f32");
    let settings = ["abc", "--seed", "7", "-n", "20"];
    let whole = [&["run", CHECKPOINT, "--tokenizer", TOKENIZER], &settings[..]].concat();
    let before = names(folder.path());
    assert_eq!(
        succeed(folder.path(), &whole),
        succeed(folder.path(), &[&["run", "m.whit"], &settings[..]].concat())
    );
    assert_eq!(names(folder.path()), before);
}

#[test]
fn a_stop_string_ends_the_text_before_it() {
    let folder = imported("f32");
    let args = ["run", "m.whit", "abc", "--seed", "7", "-n", "20", "--json"];
    let text = json(folder.path(), &args)["text"].as_str().unwrap().to_owned();
    let stop: String = text.chars().skip(3).take(2).collect();
    let report = json(folder.path(), &[&args[..], &["--stop", &stop]].concat());
    assert_eq!(report["finish"], "stop_string");
    assert_eq!(report["text"], text[..text.find(&stop).unwrap()]);
}

#[test]
fn statistics_go_to_stderr() {
    let folder = imported("f32");
    let args = ["run", "m.whit", "abc", "--seed", "7", "-n", "5"];
    let said = say(folder.path(), &[&args[..], &["--stats"]].concat());
    assert_eq!(said.stdout, succeed(folder.path(), &args));
    assert!(["prefill", "decode", "load", "peak memory"].iter().all(|name| said.stderr.contains(name)));
}

#[test]
fn a_model_is_as_close_to_itself_as_can_be() {
    let folder = imported("f32");
    std::fs::write(folder.path().join("text"), "One text.<end> Another, a longer one. <end>".repeat(3))
        .unwrap();
    let args = [
        "eval",
        "m.whit",
        "--text",
        "text",
        "--split",
        "<end>",
        "--against",
        "m.whit",
        "--context",
        "8",
        "--json",
    ];
    let report = json(folder.path(), &args);
    assert_keys(
        "eval",
        &report,
        &[
            "against",
            "bits_per_byte",
            "bytes",
            "context",
            "documents",
            "file",
            "kl_divergence",
            "nats_per_token",
            "perplexity",
            "text",
            "tokens",
            "top1_agreement",
        ],
    );
    let number = |key: &str| report[key].as_f64().unwrap();
    assert_eq!((number("kl_divergence"), number("top1_agreement")), (0.0, 1.0));
    assert_eq!(report["nats_per_token"], report["against"]["nats_per_token"]);
    assert_eq!(report["documents"], 6);
    assert_eq!(report["bytes"], 3 * ("One text.".len() + "Another, a longer one.".len()));
    let bits = number("nats_per_token") * number("tokens") / number("bytes") / std::f64::consts::LN_2;
    assert!((bits - number("bits_per_byte")).abs() < 1e-12);
    assert!((number("nats_per_token").exp() - number("perplexity")).abs() < 1e-9);
}

#[test]
fn a_limit_of_tokens_is_exact() {
    let folder = imported("f32");
    std::fs::write(folder.path().join("text"), "A text that is longer than any context.".repeat(5)).unwrap();
    for most in ["1", "47", "48", "49", "100"] {
        let report =
            json(folder.path(), &["eval", "m.whit", "--text", "text", "--max-tokens", most, "--json"]);
        assert_eq!(report["tokens"].as_u64().unwrap().to_string(), most);
        assert!(report.get("kl_divergence").is_none());
    }
}
