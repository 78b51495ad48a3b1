//! Which sources there are, and opening one by name.

use super::i2c::Chip;
use super::sysfs::Tree;
use super::{EnergyError, Source, hwmon, i2c, iio, pmic, powercap, ppk2};
use serde::Serialize;

/// A source that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What [`open`] takes.
    pub name: String,
    /// What it measures.
    pub describes: String,
    /// Whether it measures what runs the model, so that it may be chosen without being named.
    pub automatic: bool,
    /// Why it cannot be used, and what to do about it.
    pub problem: Option<String>,
}

/// A place where sources may be.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Which kind: `powercap`.
    pub kind: &'static str,
    /// Where was looked.
    pub looked_at: &'static str,
    /// What is there.
    pub found: Vec<Found>,
    /// How to attach one.
    pub attach: &'static str,
}

/// Looks everywhere below `tree`, in the order in which a source is chosen: sensors of the board before the
/// processor's own counters, since they see more.
pub fn look(tree: &Tree) -> Vec<Place> {
    vec![
        Place {
            kind: "hwmon",
            looked_at: hwmon::PLACE,
            found: look_hwmon(tree),
            attach: "a board with a power monitor that its device tree names (Jetson: ina3221); or load the driver: modprobe ina2xx",
        },
        Place {
            kind: "iio",
            looked_at: iio::PLACE,
            found: look_iio(tree),
            attach: "modprobe ina2xx-adc, for an INA219 or INA226 that the device tree names",
        },
        Place {
            kind: "pmic",
            looked_at: "vcgencmd pmic_read_adc",
            found: look_pmic(tree),
            attach: "only the Raspberry Pi 5 has it; sudo apt install raspi-utils",
        },
        Place {
            kind: "powercap",
            looked_at: powercap::PLACE,
            found: look_powercap(tree),
            attach: "an Intel or AMD processor outside of a virtual machine; modprobe intel_rapl_msr",
        },
        Place {
            kind: "ina2xx",
            looked_at: i2c::PLACE,
            found: Vec::new(),
            attach: "an INA219, INA226, INA228 or INA260 in the supply line and on the I²C bus, then --energy=ina226:/dev/i2c-1@0x40,shunt=0.1",
        },
        Place {
            kind: "ppk2",
            looked_at: "/dev/ttyACM*",
            found: Vec::new(),
            attach: "a Nordic Power Profiler Kit 2 in the supply line, then --energy=ppk2:/dev/ttyACM0,ampere=3.3",
        },
    ]
}

fn look_hwmon(tree: &Tree) -> Vec<Found> {
    let rails = hwmon::rails(tree);
    let found = |rail: &hwmon::Rail| {
        let same = rails.iter().filter(|other| other.chip == rail.chip);
        let alone = same.clone().count() == 1;
        let ambiguous = same.filter(|other| other.label == rail.label).count() > 1;
        let chip = if ambiguous { &rail.device } else { &rail.chip };
        let name = format!("hwmon:{chip}/{}", rail.label);
        let problem =
            hwmon::open(tree, &format!("{chip}/{}", rail.label)).err().map(|error| error.to_string());
        let whole = rail.is_whole() || alone;
        Found {
            name,
            describes: format!("{}, rail {}", rail.chip, rail.label),
            automatic: rail.is_monitor() && whole,
            problem,
        }
    };
    rails.iter().map(found).collect()
}

fn look_iio(tree: &Tree) -> Vec<Found> {
    let found = |device: iio::Device| {
        let name = format!("iio:{}", device.device);
        let problem = iio::open(tree, &device.device).err().map(|error| error.to_string());
        Found { name, automatic: device.is_monitor(), describes: device.chip, problem }
    };
    iio::devices(tree).into_iter().map(found).collect()
}

fn look_pmic(tree: &Tree) -> Vec<Found> {
    if !tree.is_this_machine() {
        return Vec::new();
    }
    let found = |source: pmic::Pmic| Found {
        name: source.name().to_owned(),
        describes: source.describe(),
        automatic: true,
        problem: None,
    };
    pmic::open().map(found).into_iter().collect()
}

/// The default sum, then each counter by itself.
fn look_powercap(tree: &Tree) -> Vec<Found> {
    let zones = powercap::zones(tree);
    if zones.is_empty() {
        return Vec::new();
    }
    let found = |wanted: &str, name: &str, automatic| {
        let source = powercap::open(tree, wanted);
        let describes =
            if automatic { "processor and its memory".to_owned() } else { format!("counter {wanted}") };
        Found {
            name: name.to_owned(),
            describes,
            automatic,
            problem: source.err().map(|error| error.to_string()),
        }
    };
    let each = zones.iter().map(|zone| found(&zone.name, &format!("powercap:{}", zone.name), false));
    core::iter::once(found("", "powercap", true)).chain(each).collect()
}

/// Opens a source by name, or the first that may be chosen and works if `name` is `auto`.
///
/// # Errors
/// There is none of that name, it may not be read, or the name means nothing.
pub fn open(tree: &Tree, name: &str) -> Result<Box<dyn Source>, EnergyError> {
    let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
    if let Some(chip) = Chip::named(kind) {
        return i2c::open(name, &i2c::parse(chip, rest)?);
    }
    match kind {
        "auto" => open_first(tree),
        "powercap" => Ok(Box::new(powercap::open(tree, rest)?)),
        "hwmon" if !rest.is_empty() => Ok(Box::new(hwmon::open(tree, rest)?)),
        "iio" if !rest.is_empty() => Ok(Box::new(iio::open(tree, rest)?)),
        "pmic" => Ok(Box::new(pmic::open()?)),
        "ppk2" => open_ppk2(rest),
        _ => Err(EnergyError::Usage(format!(
            "`{name}` is no source of energy; `list` shows those that are there"
        ))),
    }
}

fn open_first(tree: &Tree) -> Result<Box<dyn Source>, EnergyError> {
    let places = look(tree);
    let usable = |found: &&Found| found.automatic && found.problem.is_none();
    match places.iter().flat_map(|place| &place.found).find(usable) {
        Some(found) => open(tree, &found.name),
        None => Err(EnergyError::Absent(format!("no source of energy\n{}", explain(&places)))),
    }
}

#[cfg(unix)]
fn open_ppk2(line: &str) -> Result<Box<dyn Source>, EnergyError> {
    Ok(Box::new(start_ppk2(line)?))
}

#[cfg(not(unix))]
fn open_ppk2(_line: &str) -> Result<Box<dyn Source>, EnergyError> {
    Err(EnergyError::Absent(
        "ppk2: serial lines are read on Unix only; record with Nordic's application".into(),
    ))
}

/// A kit on a serial line, started.
///
/// # Errors
/// As [`open`].
#[cfg(unix)]
pub fn start_ppk2(line: &str) -> Result<ppk2::Ppk2<std::fs::File>, EnergyError> {
    let (device, mode) = ppk2::parse(line)?;
    ppk2::Ppk2::start(&device, ppk2::serial::open(device.as_ref())?, mode)
}

/// Where was looked, what was found there, and how to attach something: a line or two for each place.
pub fn explain(places: &[Place]) -> String {
    let mut text = "looked for:\n".to_owned();
    for place in places {
        text += &format!("  {:<9} {}: {}\n", place.kind, place.looked_at, outcome(place));
        if !place.found.iter().any(|found| found.automatic) {
            text += &format!("            to attach: {}\n", place.attach);
        }
    }
    text
}

fn outcome(place: &Place) -> String {
    let works = |automatic: bool| {
        let found =
            place.found.iter().filter(move |found| found.problem.is_none() && found.automatic == automatic);
        found.map(|found| found.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    for (names, when) in [(works(true), "works"), (works(false), "works when it is named")] {
        if !names.is_empty() {
            parts.push(format!("{names} {when}"));
        }
    }
    // One problem stands for all: what keeps a user from one counter keeps them from its neighbours.
    parts.extend(place.found.iter().find_map(|found| found.problem.clone()));
    match parts.as_slice() {
        [] if matches!(place.kind, "ina2xx" | "ppk2") => "used only when it is named".to_owned(),
        [] => "nothing there".to_owned(),
        parts => parts.join("; "),
    }
}
