//! Verdicts on made-up measurements.

use super::*;
use serde_json::{Value, json};

/// A report as `whit bench --json` prints it, made up, with these speeds of decode.
fn report(decode: &[f64]) -> Value {
    let token_ms: Vec<Vec<f64>> = decode.iter().map(|speed| vec![1e3 / speed; 20]).collect();
    let mut report: Value = serde_json::from_str(include_str!("report.json")).expect("JSON");
    report["samples"]["figures"]["decode_tokens_per_s"] = json!(decode);
    report["samples"]["token_ms"] = json!(token_ms);
    report
}

fn reports(value: Value) -> Vec<Report> {
    serde_json::from_value(Value::Array(vec![value])).expect("a report")
}

const STEADY: [f64; 8] = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 100.0];

fn compared(before: Value, after: Value) -> Comparison {
    compare(&reports(before), &reports(after)).expect("as many").remove(0)
}

fn verdicts(after: &[f64]) -> Vec<(String, Verdict)> {
    let figures = compared(report(&STEADY), report(after)).figures;
    figures.into_iter().map(|figure| (figure.key, figure.verdict)).collect()
}

fn of(key: &str, verdict: Verdict) -> (String, Verdict) {
    (key.to_owned(), verdict)
}

#[test]
fn a_measurement_is_no_change_from_itself() {
    let comparison = compared(report(&STEADY), report(&STEADY));
    assert!(comparison.differences.is_empty() && comparison.notes.is_empty(), "{comparison:?}");
    assert!(comparison.figures.iter().all(|figure| figure.verdict == Verdict::NoChangeSeen));
    let decode = &comparison.figures[0];
    assert_eq!(
        (decode.key.as_str(), decode.ratio.map(|ratio| ratio.ratio)),
        ("decode_tokens_per_s", Some(1.0))
    );
}

#[test]
fn more_tokens_and_fewer_milliseconds_are_faster() {
    let faster = verdicts(&STEADY.map(|speed| speed * 1.2));
    assert_eq!(faster[0], of("decode_tokens_per_s", Verdict::Faster));
    assert_eq!(faster[1], of("load_ms", Verdict::NoChangeSeen));
    assert_eq!(faster[2], of("latency_ms.p50", Verdict::Faster));
    let slower = verdicts(&STEADY.map(|speed| speed * 0.8));
    assert_eq!(slower[0].1, Verdict::Slower);
    assert_eq!(slower[2].1, Verdict::Slower);
}

#[test]
fn a_change_within_the_noise_is_not_seen() {
    let noisy = [90.0, 115.0, 99.0, 108.0, 85.0, 120.0, 102.0, 97.0];
    assert_eq!(verdicts(&noisy)[0].1, Verdict::NoChangeSeen);
}

#[test]
fn four_runs_are_too_few() {
    let figures = compared(report(&STEADY), report(&[200.0; 4])).figures;
    assert_eq!((figures[0].verdict, figures[0].ratio), (Verdict::TooFewRuns, None));
}

#[test]
fn other_settings_and_models_are_named() {
    let mut after = report(&STEADY);
    after["threads"] = json!(2);
    after["fingerprint"] = json!("00000000000000bb");
    let differences = compared(report(&STEADY), after).differences;
    assert_eq!(
        differences,
        ["model: 00000000000000aa before, 00000000000000bb after", "threads: 1 before, 2 after"]
    );
}

#[test]
fn another_machine_and_an_unstable_run_are_noted() {
    let mut after = report(&STEADY);
    after["machine"]["cpu"] = json!("two");
    after["stability"] =
        json!({"stable": false, "spread_limit": 0.05, "unstable": ["load_ms"], "reasons": ["why"]});
    let comparison = compared(report(&STEADY), after);
    assert!(comparison.differences.is_empty());
    let unstable: Vec<_> =
        comparison.figures.iter().map(|figure| (figure.key.as_str(), figure.unstable)).collect();
    assert_eq!(unstable[..2], [("decode_tokens_per_s", false), ("load_ms", true)]);
    assert_eq!(
        comparison.notes,
        ["another machine: one, 1 core, Linux before, two, 1 core, Linux after", "unstable after: why"]
    );
}

#[test]
fn files_are_paired_by_name_and_otherwise_by_place() {
    let named = |name: &str| {
        let mut value = report(&STEADY);
        value["file"] = json!(name);
        value
    };
    let all = |names: [&str; 2]| names.map(|name| reports(named(name)).remove(0));
    let pairs = |before, after| {
        let comparisons = compare(&all(before), &all(after)).expect("as many");
        comparisons.into_iter().map(|c| format!("{} {}", c.before, c.after)).collect::<Vec<_>>()
    };
    assert_eq!(pairs(["x/a", "x/b"], ["y/b", "y/a"]), ["x/a y/a", "x/b y/b"]);
    assert_eq!(pairs(["a", "b"], ["c", "d"]), ["a c", "b d"]);
    assert!(compare(&all(["a", "b"]), &reports(named("a"))).is_err());
}
