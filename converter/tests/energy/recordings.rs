//! Recordings as the analysers' programs write them, and what they are cut into.

use whit_converter::energy::recording::csv::parse;
use whit_converter::energy::recording::{Cut, Recording, Spread, analyse};

fn read(text: &str, volts: Option<f64>) -> Recording {
    parse(text.as_bytes(), "r.csv", volts).unwrap_or_else(|error| panic!("{error}"))
}

fn refuse(text: &str) -> String {
    parse(text.as_bytes(), "r.csv", None).unwrap_err().to_string()
}

fn token(pin: &str) -> [Cut; 1] {
    [Cut { pin: pin.to_owned(), kind: "token", count: 1 }]
}

/// As nRF Connect's Power Profiler exports: 1 mA, and 10 mA while D2 is high.
fn profiler(bits: bool) -> String {
    let mut text =
        format!("Timestamp(ms),Current(uA),{}\n", if bits { "D0-D7" } else { "D0,D1,D2,D3,D4,D5,D6,D7" });
    for i in 0..100 {
        let high = i % 20 >= 10;
        let pins = if high { "00100000" } else { "00000000" };
        let pins =
            if bits { pins.to_owned() } else { pins.chars().map(String::from).collect::<Vec<_>>().join(",") };
        text += &format!("{:.2},{:.3},{pins}\n", f64::from(i) / 100.0, if high { 10_000.0 } else { 1000.0 });
    }
    text
}

#[test]
fn both_forms_of_the_profilers_channels_are_read_alike() {
    let [joined, apart] = [true, false].map(|bits| read(&profiler(bits), Some(3.0)));
    assert_eq!(joined.samples, apart.samples);
    assert_eq!(joined.pins, ["D0", "D1", "D2", "D3", "D4", "D5", "D6", "D7"]);
    assert_eq!(joined.pin("d2"), Some(4));
    assert!((joined.seconds() - 0.99e-3).abs() < 1e-15);
    assert_eq!(joined.samples[10].watts, 0.03);
}

#[test]
fn windows_are_where_the_pin_is_high_and_those_cut_off_are_left_out() {
    let analysis = analyse(&read(&profiler(true), Some(3.0)), &token("D2")).unwrap();
    let windows = &analysis.windows[0];
    // High at 10..20, 30..40, …, 90..100, of which the last has no end.
    assert_eq!((windows.windows, windows.cut_off), (4, 1));
    assert!((windows.seconds.median - 100e-6).abs() < 1e-12);
    let gross = 10.0 * 0.03 * 1e-5;
    assert!((windows.gross_joules.mean - gross).abs() < 1e-12, "{:?}", windows.gross_joules);
    assert!((analysis.idle_watts.unwrap() - 0.003).abs() < 1e-9, "{:?}", analysis.idle_watts);
    let net = windows.net_joules.unwrap();
    assert!((net.mean - (gross - 0.003 * 100e-6)).abs() < 1e-12, "{net:?}");
    // Windows and what is between them make up the whole; of the last sample, half its time is recorded.
    let in_the_last = 9.5 * 0.03 * 1e-5;
    let parts = 4.0 * gross + 0.003 * analysis.idle_seconds + in_the_last;
    assert!((analysis.joules - parts).abs() < 1e-12, "{} and {parts}", analysis.joules);
}

#[test]
fn an_edge_is_halfway_between_two_samples_however_far_they_are_apart() {
    let text = "time,power,D0\n0,1,0\n1,1,0\n3,5,1\n4,5,1\n8,1,0\n9,1,0\n";
    let analysis = analyse(&read(text, None), &token("D0")).unwrap();
    assert_eq!(analysis.windows[0].places, [[2.0, 6.0]]);
    assert_eq!(analysis.windows[0].gross_joules.median, 20.0);
    assert_eq!((analysis.idle_watts, analysis.idle_seconds), (Some(1.0), 5.0));
    assert_eq!(analysis.joules, 25.0);
}

#[test]
fn a_window_of_several_tokens_is_shared_among_them() {
    let recording = read(&profiler(true), Some(3.0));
    let one = analyse(&recording, &token("D2")).unwrap();
    let four = [Cut { count: 4, ..token("D2")[0].clone() }];
    let shared = analyse(&recording, &four).unwrap();
    assert_eq!(shared.windows[0].gross_joules.median, one.windows[0].gross_joules.median / 4.0);
    assert_eq!(shared.windows[0].per_window, 4);
}

#[test]
fn a_joulescopes_columns_are_read_by_name_with_their_units() {
    let with_units =
        "time (s),current (mA),voltage [V],GPI0,GPI1\n0,10,2.0,0,0\n0.5,20,2.0,1,0\n1.0,20,2.0,0,1\n";
    let plain = "#time,current,voltage,gpi0,gpi1\n0,0.01,2,0,0\n0.5,0.02,2,1,0\n1,0.02,2,0,1\n";
    let [a, b] = [with_units, plain].map(|text| read(text, None));
    assert_eq!(a.samples, b.samples);
    assert_eq!((a.samples[1].watts, a.samples[1].pins, a.samples[2].pins), (0.04, 1, 2));
    assert_eq!(a.pins, ["GPI0", "GPI1"]);
}

#[test]
fn an_older_joulescope_names_no_columns() {
    let recording = read("0.0,1e-3,3.3\n5.0e-7,2e-3,3.3\n", None);
    assert_eq!(recording.samples.len(), 2);
    assert_eq!(recording.samples[1].watts, 0.0066);
    assert!(recording.pins.is_empty());
}

#[test]
fn power_counts_rather_than_current_times_voltage() {
    let recording = read("t,i,v,p\n0,1,1,7\n1,1,1,9\n", None);
    assert_eq!(recording.samples[1].watts, 9.0);
    assert_eq!(analyse(&recording, &[]).unwrap().joules, 8.0);
}

#[test]
fn samples_that_are_no_numbers_are_lost_and_not_made_up() {
    let recording = read("time,current,voltage\n0,1,1\n1,nan,nan\n2,1,1\n", None);
    assert_eq!((recording.samples.len(), recording.lost), (2, 1));
}

#[test]
fn marks_of_byte_order_remarks_and_line_ends_do_not_matter() {
    let recording = read(
        "\u{feff}# Joulescope JS220, 2024-05-01\r\n\r\ntime,current,voltage\r\n0,1,1\r\n1,1,1\r\n",
        None,
    );
    assert_eq!(recording.samples.len(), 2);
}

#[test]
fn a_line_that_makes_no_sense_is_named_with_its_column() {
    let cases = [
        (
            "time,current,voltage\n0,1,1\n1,x,1\n",
            "r.csv, line 3: column 2 (current): expected a number, found `x`",
        ),
        (
            "Timestamp(ms),Current(uA),D0-D7\n0,1,0000\n",
            "there is current but no voltage; give that of the supply with --voltage",
        ),
        (
            "time,power,D0-D7\n0,1,0000\n",
            "line 2: column 3 (D0-D7): expected eight of 0, 1, X and -, found `0000`",
        ),
        ("time,current,voltage\n0,1,1\n1,1\n", "line 3: expected 3 columns, found 2"),
        ("time,current,voltage\n0,1,1\n1,1,1,1\n", "line 3: expected 3 columns, found more"),
        ("time,current,voltage\n1,1,1\n0,1,1\n", "line 3: time goes back"),
        ("time,current,voltage\n1,1,1\n", "expected at least two samples"),
        ("", "expected at least two samples"),
        (
            "current,voltage\n1,1\n",
            "line 1: expected a column `time` or `Timestamp(ms)`, found: current, voltage",
        ),
        ("time,voltage\n1,1\n", "line 1: expected a column `current`"),
        ("time(h),current,voltage\n1,1,1\n", "line 1: expected a column `time`"),
        ("Once upon a time there was a file", "line 1: expected a column `time`"),
    ];
    for (text, expected) in cases {
        let message = refuse(text);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    let not_text = parse(&b"time,current,voltage\n\xff,1,1\n"[..], "r.csv", None).unwrap_err().to_string();
    assert!(not_text.contains("r.csv, line 2"), "{not_text}");
}

#[test]
fn any_truncation_and_any_changed_byte_is_read_or_refused() {
    let text = profiler(true);
    let whole = &text.as_bytes()[..400];
    for length in 0..whole.len() {
        let _ = parse(&whole[..length], "r.csv", Some(3.0));
    }
    for at in 0..whole.len() {
        for byte in [0, b',', b'\n', b'-', b'e', 0xff] {
            let mut damaged = whole.to_vec();
            damaged[at] = byte;
            if let Ok(recording) = parse(&damaged[..], "r.csv", Some(3.0)) {
                assert!(recording.samples.iter().all(|sample| sample.watts.is_finite()));
                let _ = analyse(&recording, &token("D2"));
            }
        }
    }
}

#[test]
fn a_pin_that_is_not_there_or_never_high_is_said() {
    let recording = read(&profiler(true), Some(3.0));
    let message = analyse(&recording, &token("GPI0")).unwrap_err();
    assert!(message.contains("no pin `GPI0` (digital channels: D0, D1"), "{message}");
    let message = analyse(&recording, &token("D0")).unwrap_err();
    assert!(message.contains("pin D0 is never high from beginning to end"), "{message}");
}

#[test]
fn a_pin_that_is_always_high_leaves_no_idle_draw() {
    let text = "time,power,D0,D1\n0,1,1,0\n1,1,1,1\n2,1,1,0\n3,1,1,0\n";
    let cuts = [Cut { pin: "D1".into(), kind: "token", count: 1 }];
    let found = analyse(&read(text, None), &cuts).unwrap();
    assert_eq!((found.idle_watts, found.idle_seconds, found.windows[0].windows), (Some(1.0), 2.0, 1));
    let message = analyse(&read(text, None), &token("D0")).unwrap_err();
    assert!(message.contains("1 cut off by its ends"), "{message}");
}

#[test]
fn spreads_are_by_nearest_rank() {
    let found = Spread::of((1..=20).rev().map(f64::from).collect()).unwrap();
    assert_eq!(found, Spread { median: 10.0, mean: 10.5, min: 1.0, p95: 19.0, max: 20.0 });
    assert_eq!(Spread::of(Vec::new()), None);
    assert_eq!(Spread::of(vec![7.0]).unwrap().p95, 7.0);
}
