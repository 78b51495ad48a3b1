//! Recordings as CSV: of the Power Profiler (nRF Connect), of the Joulescope, and whatever names its columns alike.
//!
//! | column | read as |
//! |---|---|
//! | `Timestamp(ms)`, `time`, `t` | time |
//! | `Current(uA)`, `current`, `i` | current |
//! | `voltage`, `v` | voltage |
//! | `power`, `p` | power, which then counts rather than current × voltage |
//! | `D0-D7` | eight digital channels, the first character being D0 |
//! | `D0` … `D7`, `GPI0` … | one digital channel |
//!
//! Units stand in parentheses or brackets behind a name; without one they are s, A, V and W. A line of names may begin
//! with `#`; where there is none, the columns are time, current and voltage, as the Joulescope's older exports have
//! them. Of a digital channel, `0` and `-` (no data) are low and everything else is high: `X` means that it was both
//! while samples were averaged.

use super::{Recording, Sample};
use crate::energy::EnergyError;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What a column holds, and what its numbers are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    Time(f64),
    Current(f64),
    Voltage(f64),
    Power(f64),
    /// The first of eight channels.
    Pins(u8),
    /// One channel.
    Pin(u8),
    Other,
}

/// Columns by their places, and the names of the channels.
#[derive(Clone, Debug, Default)]
struct Layout {
    columns: Vec<Column>,
    names: Vec<String>,
    pins: Vec<String>,
}

/// Reads the recording at `path`; `volts` is the supply of those that have only current.
///
/// # Errors
/// It cannot be read, or a line makes no sense, which is named with its number and column.
pub fn read(path: &Path, volts: Option<f64>) -> Result<Recording, EnergyError> {
    let failed = EnergyError::reading(path, "check who may read it");
    let file = BufReader::new(File::open(path).map_err(&failed)?);
    parse(file, &path.display().to_string(), volts)
}

/// Reads a recording from `lines`; `origin` is what errors name.
///
/// # Errors
/// As [`read`].
pub fn parse(lines: impl BufRead, origin: &str, volts: Option<f64>) -> Result<Recording, EnergyError> {
    let mut layout: Option<Layout> = None;
    let mut samples: Vec<Sample> = Vec::new();
    let mut lost = 0;
    for (line, number) in lines.lines().zip(1u64..) {
        let place = || format!("{origin}, line {number}");
        let line = line.map_err(|error| EnergyError::nonsense(place(), error))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        let Some(layout) = &layout else {
            let (found, is_header) = Layout::of(line);
            if found.columns.contains(&Column::Other) && !is_header && line.starts_with('#') {
                continue; // a remark before the names
            }
            found.check(volts).map_err(|problem| EnergyError::nonsense(place(), problem))?;
            if !is_header {
                samples.extend(
                    found.sample(line, volts).map_err(|problem| EnergyError::nonsense(place(), problem))?,
                );
            }
            layout = Some(found);
            continue;
        };
        match layout.sample(line, volts).map_err(|problem| EnergyError::nonsense(place(), problem))? {
            Some(sample) if samples.last().is_some_and(|last| sample.seconds < last.seconds) => {
                return Err(EnergyError::nonsense(place(), "time goes back"));
            }
            Some(sample) => samples.push(sample),
            None => lost += 1,
        }
    }
    if samples.len() < 2 {
        return Err(EnergyError::nonsense(origin, "expected at least two samples"));
    }
    Ok(Recording { origin: origin.to_owned(), samples, pins: layout.unwrap_or_default().pins, lost })
}

impl Layout {
    /// The layout that `line` names, or that of a line of numbers; and whether it names one.
    fn of(line: &str) -> (Self, bool) {
        let fields: Vec<&str> = line.trim_start_matches('#').split(',').map(str::trim).collect();
        if fields.iter().all(|field| field.parse::<f64>().is_ok()) {
            let known = [Column::Time(1.0), Column::Current(1.0), Column::Voltage(1.0)];
            let columns = (0..fields.len()).map(|i| known.get(i).copied().unwrap_or(Column::Other)).collect();
            let names =
                (0..fields.len()).map(|i| ["time", "current", "voltage"].get(i).unwrap_or(&"").to_string());
            return (Self { columns, names: names.collect(), pins: Vec::new() }, false);
        }
        let mut layout = Self::default();
        for field in fields {
            let column = layout.column(field);
            layout.columns.push(column);
            layout.names.push(field.to_owned());
        }
        let is_header = layout.columns.iter().any(|column| matches!(column, Column::Time(_)));
        (layout, is_header)
    }

    /// The column with this name.
    fn column(&mut self, name: &str) -> Column {
        let name = name.trim_matches('"').to_lowercase();
        let (base, unit) = name.split_once(['(', '[']).unwrap_or((&name, ""));
        let (base, unit) = (base.trim(), unit.trim_end_matches([')', ']']));
        let Some(factor) = factor(unit) else { return Column::Other };
        match base {
            "timestamp" | "time" | "t" => Column::Time(factor),
            "current" | "i" => Column::Current(factor),
            "voltage" | "v" => Column::Voltage(factor),
            "power" | "p" => Column::Power(factor),
            // Both forms can be in one file, and then say the same.
            "d0-d7" if self.pins.is_empty() => {
                self.pins = (0..8).map(|pin| format!("D{pin}")).collect();
                Column::Pins(0)
            }
            _ if is_pin(base)
                && self.pins.len() < 8
                && !self.pins.iter().any(|pin| pin.eq_ignore_ascii_case(base)) =>
            {
                self.pins.push(base.to_uppercase());
                Column::Pin(self.pins.len() as u8 - 1)
            }
            _ => Column::Other,
        }
    }

    /// That there is what energy needs.
    fn check(&self, volts: Option<f64>) -> Result<(), String> {
        let has = |wanted: fn(&Column) -> bool| self.columns.iter().any(wanted);
        let names = self.names.join(", ");
        if !has(|column| matches!(column, Column::Time(_))) {
            return Err(format!("expected a column `time` or `Timestamp(ms)`, found: {names}"));
        }
        if has(|column| matches!(column, Column::Power(_))) {
            return Ok(());
        }
        if !has(|column| matches!(column, Column::Current(_))) {
            return Err(format!("expected a column `current`, `Current(uA)` or `power`, found: {names}"));
        }
        if volts.is_none() && !has(|column| matches!(column, Column::Voltage(_))) {
            return Err(
                "there is current but no voltage; give that of the supply with --voltage VOLTS".to_owned()
            );
        }
        Ok(())
    }

    /// The sample of a line; `None` if it says that there was none (`nan`).
    fn sample(&self, line: &str, supply: Option<f64>) -> Result<Option<Sample>, String> {
        let (mut seconds, mut amperes, mut volts, mut watts) = (f64::NAN, f64::NAN, supply, None);
        let (mut pins, mut fields) = (0u8, 0);
        for (field, i) in line.split(',').zip(0..) {
            let field = field.trim();
            let Some(column) = self.columns.get(i) else {
                return Err(format!("expected {} columns, found more", self.columns.len()));
            };
            let number = || number(field, i, &self.names[i]);
            match *column {
                Column::Time(factor) => seconds = number()? * factor,
                Column::Current(factor) => amperes = number()? * factor,
                Column::Voltage(factor) => volts = Some(number()? * factor),
                Column::Power(factor) => watts = Some(number()? * factor),
                Column::Pins(first) => pins |= all_pins(field, i, &self.names[i])? << first,
                Column::Pin(pin) => pins |= u8::from(is_high(field)) << pin,
                Column::Other => {}
            }
            fields = i + 1;
        }
        if fields < self.columns.len() {
            return Err(format!("expected {} columns, found {fields}", self.columns.len()));
        }
        let watts = watts.or_else(|| volts.map(|volts| amperes * volts)).unwrap_or(f64::NAN);
        let sample = Sample { seconds, watts: watts as f32, pins };
        Ok((seconds.is_finite() && sample.watts.is_finite()).then_some(sample))
    }
}

fn number(field: &str, i: usize, name: &str) -> Result<f64, String> {
    field.parse().map_err(|_| format!("column {} ({name}): expected a number, found `{field}`", i + 1))
}

/// Eight characters, the first being D0.
fn all_pins(field: &str, i: usize, name: &str) -> Result<u8, String> {
    if field.chars().count() != 8 {
        return Err(format!("column {} ({name}): expected eight of 0, 1, X and -, found `{field}`", i + 1));
    }
    Ok(field.chars().zip(0..).fold(0, |pins, (pin, bit)| pins | u8::from(!matches!(pin, '0' | '-')) << bit))
}

fn is_high(field: &str) -> bool {
    !matches!(field, "0" | "-" | "" | "0.0")
}

/// `d0`, `gpi3`, `in1`.
fn is_pin(name: &str) -> bool {
    let digit = ["d", "gpi", "in"].iter().find_map(|kind| name.strip_prefix(kind));
    digit.is_some_and(|digit| digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit())
}

/// What a unit stands for; `None` if it is unknown.
fn factor(unit: &str) -> Option<f64> {
    match unit.trim() {
        "" | "s" | "a" | "v" | "w" => Some(1.0),
        "ms" | "ma" | "mv" | "mw" => Some(1e-3),
        "us" | "µs" | "ua" | "µa" | "μa" | "uv" | "µv" | "uw" | "µw" => Some(1e-6),
        "ns" | "na" | "nw" => Some(1e-9),
        _ => None,
    }
}
