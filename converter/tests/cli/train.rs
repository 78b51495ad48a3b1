//! Training from outside: a text becomes a model that writes, and nothing that happens on the way changes its bits.

use crate::command::{fail, json, names, say, succeed, whit};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::{TempDir, tempdir};

/// A transformer so small that its training takes a moment.
const SIZES: &[&str] =
    &["--layers", "1", "--width", "16", "--heads", "2", "--hidden", "32", "--context", "16", "--batch", "4"];

/// A recurrent model as small.
const LSTM: &[&str] =
    &["--arch", "lstm", "--layers", "1", "--width", "16", "--embedding", "8", "--batch", "4"];

/// Sentences of few words in a random order.
fn sentences(count: usize, seed: u64) -> String {
    const WORDS: [[&str; 4]; 3] = [
        ["The cat", "A bird", "My friend", "The old king"],
        ["sees", "loves", "follows", "forgets"],
        ["the sea", "a red door", "the rain", "an old song"],
    ];
    let mut state = seed;
    let mut word = |words: &[&'static str; 4]| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(state >> 33) as usize % 4]
    };
    (0..count).map(|_| format!("{} {} {}.\n", word(&WORDS[0]), word(&WORDS[1]), word(&WORDS[2]))).collect()
}

/// A folder with `text.txt` and `other.txt`.
fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("text.txt"), sentences(120, 1)).unwrap();
    fs::write(folder.path().join("other.txt"), sentences(12, 2)).unwrap();
    folder
}

/// `whit train text.txt` of the tiny transformer.
fn train<'a>(directory: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    train_model(SIZES, directory, more)
}

fn train_model<'a>(model: &[&'a str], directory: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "text.txt", "-o", directory], model, more].concat()
}

fn bytes(folder: &Path, file: &str) -> Vec<u8> {
    fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Asserts that two runs came to the same bits: model, moments, everything that a next step would need.
fn assert_same(folder: &Path, one: &str, other: &str) {
    for file in ["model.safetensors", "training/state.safetensors", "config.json", "tokenizer.json"] {
        let same = bytes(folder, &format!("{one}/{file}")) == bytes(folder, &format!("{other}/{file}"));
        assert!(same, "{file} of {one} and {other} differ");
    }
}

#[test]
fn a_text_becomes_a_file_that_writes_text() {
    let folder = folder();
    let steps = ["--steps", "120", "--learning-rate", "0.01", "--json"];
    let report = json(folder.path(), &train("words", &steps));
    assert_eq!((report["steps"].as_u64(), report["end"].as_str()), (Some(120), Some("finished")));
    let loss = report["best"]["loss"].as_f64().unwrap();
    // A guess among the characters costs 3.3 nats.
    assert!(loss < 2.0, "{loss}");
    let written = ["config.json", "generation_config.json", "metrics.jsonl", "model.safetensors"];
    let written = [&written[..], &["tokenizer.json", "tokenizer_config.json", "training"]].concat();
    assert_eq!(names(&folder.path().join("words")), written);
    succeed(folder.path(), &["import", "words", "--weights", "int4"]);
    succeed(folder.path(), &["verify", "words.whit"]);
    let text = succeed(folder.path(), &["run", "words.whit", "The ", "--max-tokens", "10"]);
    assert!(text.starts_with("The ") && text.len() >= 14, "{text:?}");
    // Without a prompt, a line begins.
    let text = succeed(folder.path(), &["run", "words.whit", "--temperature", "0", "--max-tokens", "1"]);
    assert!("TAMo".contains(&text), "{text:?}");
    succeed(folder.path(), &["plot", "words"]);
    assert!(names(&folder.path().join("words")).contains(&"loss.svg".to_owned()));
}

#[test]
fn what_training_measures_is_what_the_file_does() {
    // Streams of a batch begin afresh, where `whit eval` reads on: one row for recurrent models.
    let recurrent = [&LSTM[2..LSTM.len() - 1], &["1"]].concat();
    let cases: [(&[&str], &[&str], &str, f64); 7] = [
        (SIZES, &["--kv-heads", "1"], "f32", 1e-4),
        (SIZES, &["--style", "gpt2"], "f32", 1e-4),
        (SIZES, &["--kv-heads", "1", "--qat", "int8", "--qat-from", "0"], "int8", 2e-3),
        (SIZES, &["--kv-heads", "2", "--qat", "int4"], "int4", 2e-3),
        (&recurrent, &["--arch", "lstm"], "f32", 1e-4),
        (&recurrent, &["--arch", "gru", "--tokenizer", "bytes"], "f32", 1e-4),
        (&recurrent, &["--arch", "lstm", "--qat", "int4"], "int4", 2e-3),
    ];
    let folder = folder();
    for (number, (model, options, weights, tolerance)) in cases.into_iter().enumerate() {
        let directory = format!("case{number}");
        let common = ["--steps", "30", "--learning-rate", "0.01", "--valid", "other.txt", "--json"];
        let args = train_model(model, &directory, &[options, &common].concat());
        let trained = json(folder.path(), &args);
        let file = format!("{directory}.whit");
        succeed(folder.path(), &["import", &directory, "--weights", weights, "-o", &file]);
        let found = json(folder.path(), &["eval", &file, "--text", "other.txt", "--json"]);
        let [trained, found] =
            [&trained["best"]["loss"], &found["nats_per_token"]].map(|x| x.as_f64().unwrap());
        assert!((trained - found).abs() <= tolerance * found, "{options:?}: {trained} became {found}");
    }
}

#[test]
fn threads_and_resuming_change_no_bit() {
    let folder = folder();
    for (model, whole, threads) in [(SIZES, "whole", "threads"), (LSTM, "whole-lstm", "threads-lstm")] {
        let steps = ["--steps", "24", "--eval-every", "6"];
        succeed(folder.path(), &train_model(model, whole, &[&steps[..], &["--threads", "1"]].concat()));
        succeed(folder.path(), &train_model(model, threads, &[&steps[..], &["--threads", "3"]].concat()));
        assert_same(folder.path(), whole, threads);
        // A finished run has nothing left to do, and says the same.
        let again = [&steps[..], &["--resume", "--threads", "2"]].concat();
        let said = succeed(folder.path(), &train_model(model, threads, &again));
        assert!(said.contains("24"), "{said}");
        assert_same(folder.path(), whole, threads);
    }
}

/// Starts a run, and kills it in the middle of the `sightings`-th write that is seen; whether it ended before.
#[cfg(unix)]
fn kill_while_it_writes(folder: &Path, args: &[&str], directory: &str, sightings: usize) -> bool {
    let mut child: Child =
        whit(folder, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts");
    let mut seen = BTreeSet::new();
    let training = folder.join(directory).join("training");
    let folders = [folder.join(directory), training];
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{status}");
            return true;
        }
        for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".part") {
                seen.insert(name);
            }
        }
        if seen.len() >= sightings {
            child.kill().expect("killed");
            child.wait().expect("ended");
            return false;
        }
    }
}

#[cfg(unix)]
fn assert_kills_change_nothing(model: &[&str]) {
    let folder = folder();
    let options = ["--steps", "40", "--eval-every", "3", "--threads", "1"];
    succeed(folder.path(), &train_model(model, "whole", &options));
    let more = [&options[..], &["--save-every", "1", "--resume"]].concat();
    let killed = train_model(model, "killed", &more);
    let mut kills = 0;
    // At its first write that is seen, its second, and so on, so that some processes get further than others.
    while !kill_while_it_writes(folder.path(), &killed, "killed", 1 + kills % 9) {
        kills += 1;
        assert!(kills < 200, "it does not get on");
        // Whatever was saved is whole: a reader takes it at any moment.
        if folder.path().join("killed/model.safetensors").exists() {
            succeed(folder.path(), &["import", "killed", "-o", "killed.whit"]);
        }
    }
    // How many is a matter of the machine's speed.
    assert!(kills > 0, "it ended before a write was seen");
    assert_same(folder.path(), "whole", "killed");
    assert!(names(&folder.path().join("killed/training")).iter().all(|name| !name.ends_with(".part")));
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_while_it_saves_comes_to_the_same_bits() {
    assert_kills_change_nothing(SIZES);
    // Its rounding begins in between, and its state is carried from save to save.
    assert_kills_change_nothing(&[LSTM, &["--qat", "int8"]].concat());
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_says_how_to_go_on() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let folder = folder();
    let args = train("long", &["--steps", "1000000", "--save-every", "1000000"]);
    let child = whit(folder.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let state = folder.path().join("long/metrics.jsonl");
    while fs::metadata(&state).map_or(0, |file| file.len()) == 0 {
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(
        message.contains("error: interrupted; long holds step ") && message.contains("--resume"),
        "{message}"
    );
    assert!(folder.path().join("long/training/state.safetensors").exists());
}

#[test]
fn fine_tuning_begins_where_the_other_model_was() {
    let folder = folder();
    let steps = ["--steps", "60", "--learning-rate", "0.01", "--json"];
    let first = json(folder.path(), &train("first", &steps));
    let tuned =
        ["train", "other.txt", "-o", "tuned", "--init", "first", "--valid", "text.txt", "--context", "16"];
    let tuned =
        [&tuned[..], &["--steps", "1", "--learning-rate", "1e-9", "--warmup", "0", "--json"]].concat();
    let tuned = json(folder.path(), &tuned);
    let [first, tuned] = [first, tuned].map(|report| report["best"]["loss"].as_f64().unwrap());
    // Both texts are of one kind.
    assert!((first - tuned).abs() < 0.2, "{first} {tuned}");
    assert_eq!(bytes(folder.path(), "first/tokenizer.json"), bytes(folder.path(), "tuned/tokenizer.json"));
}

#[test]
fn training_ends_where_validation_finds_no_gain_and_the_best_model_stays() {
    let folder = folder();
    let steps = ["--steps", "90", "--eval-every", "3", "--patience", "2", "--valid", "other.txt", "--json"];
    // A few good steps, and then ones far too large.
    let rate = ["--learning-rate", "0.5", "--warmup", "60", "--kv-heads", "2"];
    let report = json(folder.path(), &train("wild", &[&steps[..], &rate].concat()));
    assert_eq!(report["end"], "no_gain");
    let [last, best] = [&report["steps"], &report["best"]["step"]].map(|step| step.as_u64().unwrap());
    assert_eq!(last, best + 6);
    succeed(folder.path(), &["import", "wild", "--weights", "f32"]);
    let found = json(folder.path(), &["eval", "wild.whit", "--text", "other.txt", "--json"]);
    let [kept, found] = [&report["best"]["loss"], &found["nats_per_token"]].map(|x| x.as_f64().unwrap());
    assert!((kept - found).abs() < 1e-3, "{kept} {found}");
    // Rounding is tried all the same, and what was best without it does not count.
    let qat = ["--qat", "int8", "--qat-from", "0.9"];
    let rounded = json(folder.path(), &train("rounded", &[&steps[..], &rate, &qat].concat()));
    assert!(rounded["best"]["step"].as_u64().unwrap() > 81, "{rounded}");
    let rate = ["--learning-rate", "1e30", "--clip", "0", "--warmup", "0", "--steps", "9"];
    let said = say(folder.path(), &train("no-number", &rate));
    let advice = "expected a loss, found no number; lower --learning-rate";
    assert!(said.code == 1 && said.stderr.contains(advice), "{}", said.stderr);
}

#[test]
fn documents_have_a_token_between_them_and_the_test_share_is_scored() {
    let folder = folder();
    let stories: String = (0..30).map(|story| sentences(3, story) + "<|end|>\n").collect();
    fs::write(folder.path().join("text.txt"), stories).unwrap();
    let more =
        ["--split", "<|end|>", "--tokenizer", "bpe:300", "--test-share", "0.1", "--steps", "20", "--json"];
    let report = json(folder.path(), &train("stories", &more));
    assert_eq!(report["vocabulary"], 300);
    assert!(report["test"]["loss"].as_f64().unwrap() > 0.0);
    let config: Value = serde_json::from_slice(&bytes(folder.path(), "stories/config.json")).unwrap();
    assert_eq!(config["eos_token_id"], 299);
    succeed(folder.path(), &["import", "stories"]);
    // The token that begins a text is enough to begin with.
    succeed(folder.path(), &["run", "stories.whit", "--max-tokens", "5"]);
}

#[test]
fn wrong_usage_is_refused_with_advice() {
    let folder = folder();
    fs::write(folder.path().join("short.txt"), "x").unwrap();
    fs::write(folder.path().join("noise.txt"), [0xff, 0xfe]).unwrap();
    succeed(folder.path(), &train("done", &["--steps", "1"]));
    let cases: [(&[&str], i32, &str); 12] = [
        (&["train", "none.txt", "-o", "m"], 1, "none.txt: cannot be read"),
        (&["train", "short.txt", "-o", "m"], 1, "short.txt: expected at least 2 tokens"),
        (&["train", "noise.txt", "-o", "m"], 1, "noise.txt: expected UTF-8"),
        (&["train", "text.txt", "-o", "."], 1, "expected a new or empty directory, found `"),
        (&["train", "text.txt", "-o", "done"], 1, "--resume goes on with it"),
        (&["train", "text.txt", "-o", "done", "--resume"], 1, "done: cannot be resumed: "),
        (&["train", "text.txt", "-o", "m", "--tokenizer", "words"], 2, "expected chars, bytes, or bpe:N"),
        (
            &["train", "text.txt", "-o", "m", "--valid-share", "0.5", "--test-share", "0.5"],
            2,
            "less than 1 together",
        ),
        (
            &["train", "text.txt", "-o", "m", "--arch", "lstm", "--heads", "2"],
            2,
            "--heads is for transformers",
        ),
        (&["train", "text.txt", "-o", "m", "--embedding", "2"], 2, "--embedding is for recurrent models"),
        (&["train", "text.txt", "-o", "m", "--init", "done", "--preset", "1m"], 2, "cannot be used with"),
        (&["train", "text.txt", "-o", "m", "--width", "33"], 1, "must be"),
    ];
    for (args, code, expected) in cases {
        let message = fail(folder.path(), code, args);
        assert!(message.contains(expected), "{args:?}: {message}");
    }
    assert!(!folder.path().join("m").exists());
    let said = say(folder.path(), &["plot", "text.txt"]);
    assert!(said.code == 1 && said.stderr.contains("what `whit train` wrote"), "{}", said.stderr);
}
