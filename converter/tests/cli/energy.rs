//! Energy: which sources there are, what happens without one, and what a recording says.

use crate::command::{fail, json, succeed};
use crate::made_up::imported;
use std::fs;
use std::path::Path;
use tempfile::tempdir;

/// A processor's counter below `folder`, which stands still.
fn counter(folder: &Path) {
    let zone = folder.join("sys/class/powercap/intel-rapl:0");
    fs::create_dir_all(&zone).unwrap();
    for (file, contents) in
        [("name", "package-0"), ("energy_uj", "5000000"), ("max_energy_range_uj", "262143328850")]
    {
        fs::write(zone.join(file), contents).unwrap();
    }
}

/// As a Joulescope records: 1 W while D0 is low, 3 W while it is high; high for 0.25 s of every second.
fn recording(folder: &Path) {
    let line = |i: u32| {
        let high = i % 100 >= 50 && i % 100 < 75;
        format!("{},{},5.0,{}\n", f64::from(i) / 100.0, if high { 0.6 } else { 0.2 }, u8::from(high))
    };
    let lines: String = (0..1001).map(line).collect();
    fs::write(folder.join("r.csv"), format!("time,current,voltage,D0\n{lines}")).unwrap();
}

#[test]
fn without_a_source_nothing_is_measured_and_the_exit_code_is_3() {
    let folder = imported("int8");
    let message = fail(folder.path(), 3, &["bench", "m.whit", "--energy", "--energy-root", "."]);
    assert!(
        message.contains("looked for") && message.contains("/sys/class/powercap: nothing there"),
        "{message}"
    );
    assert!(message.contains("to attach"), "{message}");
    let message = fail(folder.path(), 3, &["bench", "m.whit", "--energy=hwmon:ina3221"]);
    assert!(message.contains("no power sensor `ina3221`"), "{message}");
}

#[test]
fn what_is_no_source_or_class_is_wrong_usage() {
    let folder = imported("int8");
    let cases: [(&[&str], &str); 5] = [
        (&["bench", "m.whit", "--energy=sun"], "`sun` is no source of energy"),
        (&["bench", "m.whit", "--energy=ina226:/dev/i2c-1"], "no address"),
        (&["bench", "m.whit", "--energy-model", "toaster"], "--energy-model: `toaster`"),
        (&["bench", "--energy"], "expected a FILE"),
        (&["energy", "r.csv", "--voltage", "0"], "expected a number above 0"),
    ];
    for (args, expected) in cases {
        let message = fail(folder.path(), 2, args);
        assert!(message.contains(expected), "{args:?}: {message}");
    }
}

#[test]
fn sources_are_listed_with_what_was_looked_for() {
    let folder = tempdir().unwrap();
    counter(folder.path());
    for args in [&["energy", "--root", "."] as &[_], &["bench", "--energy=list", "--energy-root", "."]] {
        let text = succeed(folder.path(), args);
        assert!(text.contains("powercap works; powercap:package-0 works when it is named"), "{text}");
        assert!(text.contains("/sys/class/hwmon: nothing there"), "{text}");
    }
    let places = json(folder.path(), &["energy", "--root", ".", "--json"]);
    let powercap = places.as_array().unwrap().iter().find(|place| place["kind"] == "powercap").unwrap();
    assert_eq!(powercap["found"][0]["name"], "powercap");
    assert_eq!(powercap["found"][0]["automatic"], true);
}

#[test]
fn a_measurement_names_its_source_and_an_estimate_is_kept_apart() {
    let folder = imported("int8");
    counter(folder.path());
    let bench = [
        "bench",
        "m.whit",
        "--prompt-tokens",
        "8",
        "--decode-tokens",
        "8",
        "--repeats",
        "1",
        "--max-time",
        "0",
    ];
    let short = [
        "--energy",
        "--energy-root",
        ".",
        "--energy-seconds",
        "1",
        "--energy-repeats",
        "1",
        "--idle-seconds",
        "1",
    ];
    let all = [&bench[..], &short, &["--energy-model", "cpu-45nm/sram", "--json"]].concat();
    let report = &json(folder.path(), &all)[0];
    let energy = &report["energy"];
    assert_eq!(energy["source"], "powercap:package-0");
    assert_eq!(energy["works"][0]["name"], "prefill");
    assert_eq!(energy["works"][1]["name"], "decode");
    for work in energy["works"].as_array().unwrap() {
        assert_eq!(
            (&work["gross_joules"], &work["net_joules"]),
            (&0.0.into(), &0.0.into()),
            "it stood still"
        );
        assert!(work["units"][0].as_u64().unwrap() >= 8, "{work}");
        assert!(work["windows"][0]["seconds"].as_f64().unwrap() >= 1.0, "{work}");
    }
    assert_eq!(report["estimate"]["class"], "cpu-45nm");
    assert_eq!(report["estimate"]["memory"], "sram");
    assert!(report["estimate"]["joules_per_token"].as_f64().unwrap() > 0.0);
    let text = succeed(folder.path(), &[&bench[..], &["--energy-model", "arithmetic-45nm"]].concat());
    let lines: Vec<_> = text.lines().filter(|line| line.contains("45 nm")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.trim().starts_with("estimate")), "{text}");
    assert!(!text.contains("energy from"), "{text}");
}

#[test]
fn a_recording_is_cut_where_the_pin_is_high() {
    let folder = tempdir().unwrap();
    recording(folder.path());
    let report = json(folder.path(), &["energy", "r.csv", "--json"]);
    let windows = &report["windows"][0];
    assert_eq!((&windows["windows"], &windows["cut_off"]), (&10.into(), &0.into()));
    let near = |value: &serde_json::Value, expected: f64| {
        let found = value.as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 0.02, "{found} is not {expected}");
    };
    near(&windows["gross_joules"]["median"], 0.75);
    near(&windows["net_joules"]["median"], 0.5);
    near(&report["idle_watts"], 1.0);
    near(&report["joules"], 15.0);
    let args =
        ["energy", "r.csv", "--tokens", "5", "--battery-wh", "10", "--co2-per-kwh", "0.4", "--svg", "r.svg"];
    let text = succeed(folder.path(), &args);
    for expected in
        ["pin D0: 10 windows of 5 tokens", "per token", "net", "tokens from 10 Wh", "g for a million tokens"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(fs::read_to_string(folder.path().join("r.svg")).unwrap().starts_with("<svg"));
    let text = succeed(folder.path(), &["energy", "r.csv", "--pin", "none"]);
    assert!(text.contains("drawn") && !text.contains("windows"), "{text}");
}

#[test]
fn a_recording_that_makes_no_sense_fails_with_line_and_column() {
    let folder = tempdir().unwrap();
    fs::write(
        folder.path().join("r.csv"),
        "Timestamp(ms),Current(uA),D0-D7\n0,1,00000000\n0.01,?,00000000\n",
    )
    .unwrap();
    let message = fail(folder.path(), 1, &["energy", "r.csv", "--voltage", "3"]);
    assert!(
        message.contains("r.csv, line 3: column 2 (Current(uA)): expected a number, found `?`"),
        "{message}"
    );
    let message = fail(folder.path(), 1, &["energy", "r.csv"]);
    assert!(message.contains("give that of the supply with --voltage"), "{message}");
    let message = fail(folder.path(), 1, &["energy", "none.csv"]);
    assert!(message.contains("none.csv: cannot be read"), "{message}");
}
