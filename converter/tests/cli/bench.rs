//! `whit bench`: its report, its tables and pictures, and comparisons. No speed is judged.

use crate::command::{Said, fail, json, say, succeed, whit};
use crate::made_up::imported;
use crate::reports::assert_keys;
use serde_json::{Value, json};
use std::path::Path;

/// Little to do; most tests add to measure it once.
const SHORT: [&str; 6] = ["--prompt-tokens", "100", "--decode-tokens", "3", "--max-time", "0"];

fn bench(folder: &Path, repeats: &str, more: &[&str]) -> String {
    succeed(folder, &[&["bench", "m.whit", "--repeats", repeats], &SHORT[..], more].concat())
}

fn measured(folder: &Path, repeats: &str, more: &[&str]) -> Value {
    serde_json::from_str(&bench(folder, repeats, &[more, &["--json"]].concat())).expect("JSON")
}

#[test]
fn bench_reports_every_file() {
    let folder = imported("int8");
    let reports = json(
        folder.path(),
        &[&["bench", "m.whit", "m.whit", "--repeats", "1", "--json"], &SHORT[..]].concat(),
    );
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len(), 2);
    assert_keys("bench", &reports[0], &KEYS);
    let report = &reports[0];
    // The context of 48 positions is all that there is.
    assert_eq!((&report["prompt_tokens"], &report["decode_tokens"]), (&48.into(), &3.into()));
    let positive = |value: &Value| value.as_f64().unwrap() > 0.0;
    for key in ["decode_tokens_per_s", "load_ms", "first_token_ms", "arena_bytes"] {
        assert!(positive(&report[key]), "{key}: {report}");
    }
    // Four matrices of 24 × 24 and 24 × 12 in both layers, and the feed-forward's three of 24 × 40.
    let layers = 2 * (2 * 24 * 24 + 2 * 24 * 12 + 3 * 24 * 40);
    assert_eq!(report["prefill_macs_per_token"], layers);
    assert_eq!(report["decode_macs_per_token"], layers + 320 * 24);
}

const KEYS: [&str; 49] = [
    "after",
    "arena_bytes",
    "backend",
    "backend_sweep",
    "bandwidth_share",
    "batch",
    "before",
    "cache",
    "commit",
    "contexts",
    "cpu_share",
    "date",
    "decode_macs_per_token",
    "decode_tokens",
    "decode_tokens_per_cpu_s",
    "decode_tokens_per_s",
    "file",
    "file_bytes",
    "fingerprint",
    "first_token_ms",
    "gb_per_s",
    "integer_peak_gmac_per_s",
    "integer_peak_instructions",
    "integer_peak_share",
    "latency_ms",
    "load_ms",
    "machine",
    "model_context",
    "notes",
    "peak_rss_bytes",
    "prefill_gmac_per_s",
    "prefill_macs_per_token",
    "prefill_tokens_per_cpu_s",
    "prefill_tokens_per_s",
    "prompt_tokens",
    "read_bandwidth_gb_per_s",
    "repeats",
    "rss_before_load_bytes",
    "samples",
    "scaling",
    "seed",
    "stability",
    "start",
    "summaries",
    "thread_sweep",
    "threads",
    "version",
    "weight_bytes_per_token",
    "weights_mapped_bytes",
];

#[test]
fn all_samples_are_kept() {
    let folder = imported("int8");
    let report = &measured(folder.path(), "2", &[])[0];
    let figures = &report["samples"]["figures"];
    assert_eq!(figures["prefill_tokens_per_s"].as_array().unwrap().len(), 2);
    assert_eq!(figures["load_ms"].as_array().unwrap().len(), 11);
    assert_eq!(figures["start_last_token_ms"].as_array().unwrap().len(), 2);
    let runs = report["samples"]["token_ms"].as_array().unwrap();
    let tokens: usize = runs.iter().map(|run| run.as_array().unwrap().len()).sum();
    assert_eq!((runs.len(), report["latency_ms"]["tokens"].as_u64()), (2, Some(tokens as u64)));
    let start = &report["start"];
    // 47 tokens fit beside the one that begins the text, unless the model ends it before.
    assert!((1..=47).contains(&start["tokens"].as_u64().unwrap()), "{start}");
}

#[test]
fn sweeps_measure_all_that_is_named() {
    let folder = imported("int8");
    let more = ["--threads", "1,2", "--context", "8,40,1000", "--backend", "all"];
    let report = &measured(folder.path(), "1", &more)[0];
    let all = |sweep: &str, key: &str| -> Vec<Value> {
        report[sweep].as_array().unwrap().iter().map(|entry| entry[key].clone()).collect()
    };
    assert_eq!(all("thread_sweep", "threads"), [1, 2]);
    let mut backends: Vec<Value> =
        whit::kernels::Backend::available().map(|backend| backend.name().into()).collect();
    backends.reverse();
    if backends.len() > 1 {
        assert_eq!(all("backend_sweep", "backend"), backends);
    }
    assert_eq!(report["backend"], backends[0]);
    // The model has 48 positions.
    assert_eq!(all("contexts", "context"), [8, 40]);
    assert_eq!(all("contexts", "tokens"), [16, 8]);
}

#[test]
fn several_numbers_of_threads_are_compared_turn_by_turn() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/shakespeare-small/model.whit");
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let args = [&["bench", model, "--threads", "1,2,3", "--repeats", "1"], &SHORT[..], more].concat();
        succeed(folder.path(), &args)
    };
    let reports: Value = serde_json::from_str(&run(&["--json"])).expect("JSON");
    let (scaling, figures) = (&reports[0]["scaling"], &reports[0]["samples"]["figures"]);
    let of = |key: &str| -> Vec<Value> {
        scaling.as_array().unwrap().iter().map(|entry| entry[key].clone()).collect()
    };
    assert_eq!(of("phase"), ["prefill", "prefill", "decode", "decode"]);
    assert_eq!(of("threads"), [2, 3, 2, 3]);
    assert_eq!(of("than_threads"), [1, 1, 1, 1]);
    for entry in scaling.as_array().unwrap() {
        assert_keys("bench", entry, &SCALING);
        let key = format!("{}_{}_threads_speed_up", entry["phase"].as_str().unwrap(), entry["threads"]);
        // Four turns for the one repeat, in both orders twice.
        assert_eq!(entry["burst_ms"].as_array().unwrap().len(), 4);
        assert_eq!(figures[&key].as_array().unwrap().len(), 4);
        let ms = |index: usize| entry["burst_ms"][0][index].as_f64().unwrap();
        let ratio = figures[&key][0].as_f64().unwrap();
        assert!((ratio * ms(1) / ms(0) - 1.0).abs() < 1e-9, "{key}: {entry}");
        assert_eq!(entry["speed_up"]["median"], reports[0]["summaries"][&key]["median"]);
        // Reading the weights needs no instruction that a backend must have.
        assert!(entry["phase"] == "prefill" || entry["probe"] == "reading the weights", "{entry}");
    }
    for text in [run(&[]), run(&["--markdown"])] {
        assert!(text.contains("speed-up") && text.contains("share of it"), "{text}");
    }
}

const SCALING: [&str; 10] = [
    "burst_ms",
    "burst_tokens",
    "machine_share",
    "machine_speed_up",
    "phase",
    "probe",
    "probe_ms",
    "speed_up",
    "than_threads",
    "threads",
];

#[test]
fn text_and_markdown_name_machine_and_commit() {
    let folder = imported("int8");
    for format in [&[][..], &["--markdown"]] {
        let text = bench(folder.path(), "1", format);
        let version = format!("whit {}", env!("CARGO_PKG_VERSION"));
        for part in ["prefill", "decode", "p99", "first token", &version] {
            assert!(text.contains(part), "no {part}: {text}");
        }
    }
}

#[test]
fn pictures_are_drawn_into_the_folder() {
    let folder = imported("int8");
    bench(folder.path(), "1", &["--context", "4,8", "--plot", "plots/new"]);
    let plots = crate::command::names(&folder.path().join("plots/new"));
    assert_eq!(plots, ["context.svg", "latency.svg", "roofline.svg"]);
    for plot in plots {
        let svg = std::fs::read_to_string(folder.path().join("plots/new").join(&plot)).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{plot}");
    }
}

/// No run is as steady as a spread of 0 asks.
#[test]
fn an_unstable_run_says_so_and_fails_only_if_stability_is_required() {
    let folder = imported("int8");
    let args = [&["bench", "m.whit"], &SHORT[..], &["--repeats", "3", "--spread", "0"]].concat();
    let said = say(folder.path(), &args);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains(" ~") && said.stdout.contains("not stable"), "{}", said.stdout);
    let required = say(folder.path(), &[&args[..], &["--require-stable"]].concat());
    assert_eq!(required.code, 1);
    assert!(required.stdout.contains("not stable"), "{}", required.stdout);
}

#[test]
fn a_measurement_compared_with_itself_has_not_changed() {
    let folder = imported("int8");
    let report = bench(folder.path(), "5", &["--json"]);
    std::fs::write(folder.path().join("a.json"), &report).unwrap();
    let compare = ["bench", "--compare", "a.json", "a.json"];
    let comparisons = json(folder.path(), &[&compare[..], &["--json"]].concat());
    let figures = comparisons[0]["figures"].as_array().unwrap();
    assert!(figures.len() > 8, "{figures:?}");
    assert!(figures.iter().all(|figure| figure["verdict"] == "no_change_seen"), "{figures:?}");
    for format in [&[][..], &["--markdown"]] {
        let text = succeed(folder.path(), &[&compare[..], format].concat());
        assert!(text.contains("decode_tokens_per_s") && text.contains("no change seen"), "{text}");
    }
}

#[test]
fn different_things_are_compared_only_on_request() {
    let folder = imported("int8");
    let report = measured(folder.path(), "1", &[]);
    let mut other = report.clone();
    other[0]["threads"] = json!(2);
    for (name, value) in [("a.json", &report), ("b.json", &other)] {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    let compare = ["bench", "--compare", "a.json", "b.json"];
    let error = fail(folder.path(), 1, &compare);
    assert!(error.contains("threads: 1 before, 2 after") && error.contains("--allow-different"), "{error}");
    let text = succeed(folder.path(), &[&compare[..], &["--allow-different"]].concat());
    assert!(text.contains("different threads: 1 before, 2 after"), "{text}");
}

#[test]
fn what_is_no_measurement_is_named() {
    let folder = imported("int8");
    std::fs::write(folder.path().join("a.json"), "{}").unwrap();
    std::fs::write(folder.path().join("empty.json"), "[]").unwrap();
    for (file, said) in
        [("a.json", "whit bench --json"), ("empty.json", "no report"), ("none", "cannot be read")]
    {
        let error = fail(folder.path(), 1, &["bench", "--compare", file, file]);
        assert!(error.contains(file) && error.contains(said), "{error}");
    }
}

#[test]
fn the_backend_that_the_environment_names_computes() {
    let folder = imported("int8");
    let mut command =
        whit(folder.path(), &[&["bench", "m.whit", "--repeats", "1", "--json"], &SHORT[..]].concat());
    let output = command.env("WHIT_BACKEND", "scalar").output().expect("it starts");
    let reports: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(reports[0]["backend"], "scalar");
}

#[test]
fn what_is_missing_for_a_core_is_said_with_the_command_that_installs_it() {
    let folder = imported("int8");
    for (core, emulator, package, target) in [
        ("cortex-m4", "qemu-system-arm", "qemu-system-arm", "thumbv7em-none-eabihf"),
        ("rv32", "qemu-system-riscv32", "qemu-system-misc", "riscv32imc-unknown-none-elf"),
        ("cortex-a72", "qemu-aarch64", "qemu-user", "aarch64-unknown-linux-musl"),
    ] {
        let mut command = whit(folder.path(), &["bench", "m.whit", "--on", core, "--firmware", "."]);
        let said = Said::from(command.env("PATH", folder.path()).output().expect("it starts"));
        assert_eq!((said.code, &*said.stdout), (4, ""), "{}", said.stderr);
        let package = format!("apt-get install {package}");
        for part in [core, emulator, &package, "cargo is missing", "the source of whit is missing"] {
            assert!(said.stderr.contains(part), "no {part}: {}", said.stderr);
        }
        // Without a compiler there is nothing to say of its targets.
        assert!(!said.stderr.contains(target), "{}", said.stderr);
    }
}

#[test]
fn what_makes_no_sense_on_another_core_is_refused() {
    let folder = imported("int8");
    let wrong = [
        &["--on", "cortex-m9"][..],
        &["--on", "cortex-m4", "--threads", "2"],
        &["--on", "cortex-m4", "--energy"],
        &["--on", "cortex-m4", "--clock", "fast"],
        &["--clock", "64MHz"],
    ];
    for args in wrong {
        fail(folder.path(), 2, &[&["bench", "m.whit"], args].concat());
    }
    let error = fail(folder.path(), 1, &["bench", "m.whit", "--on", "rv32", "--prompt-tokens", "2000"]);
    assert!(error.contains("1024"), "{error}");
    let error = fail(folder.path(), 1, &["bench", "none.whit", "--on", "rv32"]);
    assert!(error.contains("none.whit"), "{error}");
}
