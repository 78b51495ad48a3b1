//! `whit energy`: which sources of energy there are, and what a recording of one says.

use super::failure::Failure;
use super::output::{grouped, print, print_json};
use super::table::{pairs, table};
use crate::energy::recording::{Analysis, Cut, PinWindows, Recording, Spread, analyse, csv, trace};
use crate::energy::sysfs::Tree;
use crate::energy::{find, kg_co2, tokens_per_charge};
use clap::value_parser;
use std::path::{Path, PathBuf};

/// List the sources of energy of this machine, or read an analyser's recording
///
/// Without RECORDING, shows where sources of energy were looked for, what is there, and how to attach one; `whit bench
/// --energy` measures with them. RECORDING is a CSV file of the Power Profiler (nRF Connect) or of a Joulescope, or
/// `ppk2:/dev/ttyACM0,source=3.3` to record from a Power Profiler Kit 2 now (`ampere=3.3` if something else supplies the
/// device). It is cut into windows where the device's measuring pin is high; idle draw, which is subtracted, is the mean
/// power while it is low.
///
/// JSON of a recording: origin, samples, lost_samples, seconds, samples_per_s, joules, watts, idle_seconds, idle_watts,
/// windows: an array with pin, kind (token, prefill), per_window, windows, cut_off, and median, mean, min, p95, max of
/// seconds, gross_joules and net_joules. Without a recording: an array with kind, looked_at, found (name, describes,
/// automatic, problem), attach.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A CSV file, or ppk2:DEVICE,source=VOLTS or ppk2:DEVICE,ampere=VOLTS
    recording: Option<String>,
    /// The digital channel that is high while a token is computed; `none` for the whole recording
    #[arg(long, value_name = "NAME", default_value = "D0")]
    pin: String,
    /// The digital channel that is high while the prompt is read
    #[arg(long, value_name = "NAME")]
    prefill_pin: Option<String>,
    /// Tokens that are computed in one window of --pin
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    tokens: u32,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    prompt_tokens: u32,
    /// The supply, in V, for recordings that have only current
    #[arg(long, value_name = "VOLTS", value_parser = positive)]
    voltage: Option<f64>,
    /// How long to record from a Power Profiler Kit 2
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive)]
    seconds: f64,
    /// Also say how many tokens a battery of so many Wh lasts
    #[arg(long, value_name = "WH", value_parser = positive)]
    battery_wh: Option<f64>,
    /// Also say how much CO2 a million tokens stand for, with a grid of so many kg per kWh
    #[arg(long, value_name = "KG", value_parser = positive)]
    co2_per_kwh: Option<f64>,
    /// Draw the recording and its windows
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Look for sources below DIR, where a container has the host's /sys
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&number: &f64| number > 0.0 && number.is_finite())
        .ok_or_else(|| "expected a number above 0".to_owned())
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Some(name) = &args.recording else { return list(&args.root, args.json) };
    let recording = read(name, &args)?;
    let analysis = analyse(&recording, &cuts(&args))?;
    if let Some(path) = &args.svg {
        let about = Failure::about(path);
        std::fs::write(path, trace::svg(&recording, &analysis))
            .map_err(|error| about(&format!("cannot be written: {error}")))?;
    }
    if args.json { print_json(&analysis) } else { print(text(&analysis, &args)) }
}

/// Shows the places below `root` and what is there.
pub(super) fn list(root: &Path, json: bool) -> Result<(), Failure> {
    let places = find::look(&Tree::at(root));
    if json { print_json(&places) } else { print(find::explain(&places)) }
}

fn read(name: &str, args: &Args) -> Result<Recording, Failure> {
    match name.strip_prefix("ppk2:") {
        None => Ok(csv::read(name.as_ref(), args.voltage)?),
        #[cfg(unix)]
        Some(line) => Ok(find::start_ppk2(line)?.record(args.seconds)?),
        #[cfg(not(unix))]
        Some(_) => {
            Err(find::open(&Tree::default(), name).err().map_or_else(|| Failure::Reported, Failure::from))
        }
    }
}

fn cuts(args: &Args) -> Vec<Cut> {
    let token =
        (args.pin != "none").then(|| Cut { pin: args.pin.clone(), kind: "token", count: args.tokens });
    let prefill = args.prefill_pin.as_ref();
    let prefill =
        prefill.map(|pin| Cut { pin: pin.clone(), kind: "prompt token", count: args.prompt_tokens });
    token.into_iter().chain(prefill).collect()
}

fn text(analysis: &Analysis, args: &Args) -> String {
    let a = analysis;
    let lost = if a.lost_samples == 0 { String::new() } else { format!(", {} lost", a.lost_samples) };
    let idle = a.idle_watts.map_or_else(
        || "not known: no pin was low".to_owned(),
        |watts| {
            format!("{} over {:.3} s with the pin low; subtracted from net", power(watts), a.idle_seconds)
        },
    );
    let mut lines = vec![
        (
            "recorded",
            format!("{:.3} s, {} samples{lost}, {:.0} per second", a.seconds, a.samples, a.samples_per_s),
        ),
        ("drawn", format!("{}, {} on average", energy(a.joules), power(a.watts))),
    ];
    if !a.windows.is_empty() {
        lines.push(("idle", idle));
    }
    let mut text = format!("{}\n{}", a.origin, pairs(&lines));
    for windows in &a.windows {
        text += &windows_text(windows);
        if windows.kind == "token" {
            text += &derived(windows.net_joules.unwrap_or(windows.gross_joules).mean, args);
        }
    }
    text
}

fn windows_text(windows: &PinWindows) -> String {
    let w = windows;
    let cut_off =
        if w.cut_off == 0 { String::new() } else { format!(", {} more cut off and not counted", w.cut_off) };
    let each = if w.per_window == 1 { String::new() } else { format!(" of {} {}s", w.per_window, w.kind) };
    let row = |name: &str, spread: &Spread, unit: fn(f64) -> String| {
        let values = [spread.median, spread.mean, spread.min, spread.p95, spread.max];
        core::iter::once(name.to_owned()).chain(values.map(unit)).collect()
    };
    let mut rows = vec![row("time", &w.seconds, time), row("gross", &w.gross_joules, energy)];
    rows.extend(w.net_joules.as_ref().map(|net| row("net", net, energy)));
    let head = [&format!("per {}", w.kind) as &str, ">median", ">mean", ">min", ">p95", ">max"];
    format!("\n  pin {}: {} windows{each}{cut_off}\n{}", w.pin, w.windows, table(&head, &rows))
}

/// What a token's energy means elsewhere.
fn derived(joules: f64, args: &Args) -> String {
    let battery = args.battery_wh.map(|wh| {
        (
            "battery",
            format!(
                "{} tokens from {wh} Wh, idle draw not counted",
                grouped(tokens_per_charge(wh, joules) as u64)
            ),
        )
    });
    let co2 = args.co2_per_kwh.map(|kg| {
        (
            "CO2",
            format!("{} for a million tokens, at {kg} kg/kWh", scaled(kg_co2(joules * 1e6, kg) * 1e3, "g")),
        )
    });
    pairs(&battery.into_iter().chain(co2).collect::<Vec<_>>())
}

/// `1.234 mJ`.
pub(super) fn energy(joules: f64) -> String {
    scaled(joules, "J")
}

/// `1.234 mW`.
pub(super) fn power(watts: f64) -> String {
    scaled(watts, "W")
}

fn time(seconds: f64) -> String {
    scaled(seconds, "s")
}

/// Four digits, and the prefix that leaves at most three of them before the point.
fn scaled(value: f64, unit: &str) -> String {
    let prefixes = [(1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")];
    let (factor, prefix) =
        prefixes.into_iter().find(|(factor, _)| value.abs() >= *factor).unwrap_or((1.0, ""));
    let value = value / factor;
    let digits = if value.abs() >= 100.0 {
        1
    } else if value.abs() >= 10.0 {
        2
    } else {
        3
    };
    format!("{value:.digits$} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_four_digits() {
        let cases = [
            (0.0, "0.000 J"),
            (1234.0, "1.234 kJ"),
            (1.0, "1.000 J"),
            (-0.0123, "-12.30 mJ"),
            (0.000_456_7, "456.7 µJ"),
            (7.5e-9, "7.500 nJ"),
        ];
        for (joules, expected) in cases {
            assert_eq!(energy(joules), expected);
        }
    }
}
