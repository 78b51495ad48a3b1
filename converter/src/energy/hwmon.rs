//! Linux hwmon: power sensors that the kernel has a driver for, `/sys/class/hwmon/hwmonN`.
//!
//! `Documentation/hwmon/sysfs-interface.rst` has the files: `energyN_input` in µJ, `powerN_input` in µW, `inN_input` in
//! mV and `currN_input` in mA; `*_label` names a rail. A Jetson's INA3221 has pairs of the latter two, with the names
//! of the board's rails: `VDD_IN` is the whole module, the others are parts of it or, on boards without it, beside
//! each other.

use super::sysfs::{Tree, entries, name, number, text};
use super::{EnergyError, Sample, Source};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the kernel has it.
pub const PLACE: &str = "/sys/class/hwmon";

const REMEDY: &str = "run as root, or: sudo chmod a+r on that file";

/// Chips that are on a board to measure supplies. Others, of graphics cards, batteries and supplies, are used only when
/// they are named: what they measure is not what runs the model.
pub(super) const MONITORS: [&str; 12] = [
    "ina209", "ina219", "ina220", "ina226", "ina230", "ina231", "ina238", "ina228", "ina233", "ina260",
    "ina3221", "ltc2945",
];

/// Rails that are the whole board.
const WHOLE: [&str; 3] = ["VDD_IN", "VIN_SYS_5V0_IN", "POM_5V_IN"];

/// One supply that is measured.
#[derive(Clone, Debug)]
pub struct Rail {
    /// The chip's name in the kernel.
    pub chip: String,
    /// `hwmon0`.
    pub device: String,
    /// The board's name for it, or the sensor's: `power1`.
    pub label: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Energy(PathBuf),
    Power(PathBuf),
    VoltageAndCurrent(PathBuf, PathBuf),
}

impl Rail {
    /// Whether a board carries the chip to measure itself.
    pub fn is_monitor(&self) -> bool {
        MONITORS.contains(&self.chip.as_str())
    }

    /// Whether it is the whole board.
    pub fn is_whole(&self) -> bool {
        WHOLE.contains(&self.label.as_str())
    }

    fn read(&self) -> Result<Sample, EnergyError> {
        let value = |path: &Path| number::<f64>(path, REMEDY);
        Ok(match &self.kind {
            Kind::Energy(energy) => Sample::Joules(value(energy)? / 1e6),
            Kind::Power(power) => Sample::Watts(value(power)? / 1e6),
            Kind::VoltageAndCurrent(voltage, current) => {
                Sample::Watts(value(voltage)? / 1e3 * value(current)? / 1e3)
            }
        })
    }
}

/// All rails of all chips.
pub fn rails(tree: &Tree) -> Vec<Rail> {
    tree.entries(PLACE, "hwmon").iter().flat_map(|folder| rails_of(folder)).collect()
}

/// The rails of a chip: energy where it counts it, else power, else pairs of voltage and current.
fn rails_of(folder: &Path) -> Vec<Rail> {
    let Some(chip) = text(&folder.join("name")) else { return Vec::new() };
    let rail = |label: String, kind| Rail { chip: chip.clone(), device: name(folder), label, kind };
    let energy =
        inputs(folder, "energy").map(|(n, path)| rail(label(folder, "energy", n), Kind::Energy(path)));
    let energy: Vec<Rail> = energy.collect();
    if !energy.is_empty() {
        return energy;
    }
    let power = inputs(folder, "power").map(|(n, path)| rail(label(folder, "power", n), Kind::Power(path)));
    let power: Vec<Rail> = power.collect();
    if !power.is_empty() {
        return power;
    }
    // An INA3221 has three rails; what follows are sums over them, and voltages of the shunts.
    let most = if chip == "ina3221" { 3 } else { u32::MAX };
    let pairs = inputs(folder, "curr").filter(|&(n, _)| n <= most).filter_map(|(n, current)| {
        let voltage = folder.join(format!("in{n}_input"));
        let kind = voltage.exists().then_some(Kind::VoltageAndCurrent(voltage, current))?;
        Some(rail(label(folder, "in", n), kind))
    });
    pairs.collect()
}

/// Numbers and paths of `<kind>N_input`.
fn inputs(folder: &Path, kind: &str) -> impl Iterator<Item = (u32, PathBuf)> {
    entries(folder, kind).into_iter().filter_map(move |path| {
        let number = name(&path).strip_prefix(kind)?.strip_suffix("_input")?.parse().ok()?;
        Some((number, path))
    })
}

fn label(folder: &Path, kind: &str, n: u32) -> String {
    text(&folder.join(format!("{kind}{n}_label"))).unwrap_or_else(|| format!("{kind}{n}"))
}

/// The sum of rails.
#[derive(Debug)]
pub struct Hwmon {
    name: String,
    rails: Vec<Rail>,
    /// Counters start somewhere.
    start: f64,
}

/// Opens `CHIP`, `CHIP/RAIL` or `CHIP/RAIL+RAIL`; a chip may be named as `hwmonN` where two have the same name.
/// Without a rail, that of the whole board, or the only one.
///
/// # Errors
/// There is no such rail, it may not be read, or it is not clear which are meant.
pub fn open(tree: &Tree, wanted: &str) -> Result<Hwmon, EnergyError> {
    let (chip, labels) = wanted.split_once('/').unwrap_or((wanted, ""));
    let all = rails(tree);
    let of_chip: Vec<Rail> =
        all.into_iter().filter(|rail| rail.chip == chip || rail.device == chip).collect();
    let rails = choose(&of_chip, chip, labels)?;
    let labels: Vec<&str> = rails.iter().map(|rail| rail.label.as_str()).collect();
    let mut source = Hwmon { name: format!("hwmon:{chip}/{}", labels.join("+")), rails, start: 0.0 };
    match source.read()? {
        Sample::Joules(start) => source.start = start,
        Sample::Watts(_) => {}
    }
    Ok(source)
}

fn choose(rails: &[Rail], chip: &str, labels: &str) -> Result<Vec<Rail>, EnergyError> {
    let names = || rails.iter().map(|rail| rail.label.as_str()).collect::<Vec<_>>().join(", ");
    if rails.is_empty() {
        return Err(EnergyError::Absent(format!("{PLACE}: no power sensor `{chip}`")));
    }
    if labels.is_empty() {
        let whole =
            rails.iter().find(|rail| rail.is_whole()).or_else(|| (rails.len() == 1).then(|| &rails[0]));
        return whole.map(|rail| vec![rail.clone()]).ok_or_else(|| {
            let example = rails.iter().take(2).map(|rail| rail.label.as_str()).collect::<Vec<_>>().join("+");
            EnergyError::Usage(format!(
                "`hwmon:{chip}` has several rails ({}); say which, as `hwmon:{chip}/{example}`",
                names()
            ))
        });
    }
    let find = |label| {
        let rail = rails.iter().find(|rail: &&Rail| rail.label == label).cloned();
        rail.ok_or_else(|| {
            EnergyError::Absent(format!("`hwmon:{chip}` has no rail `{label}`; there is: {}", names()))
        })
    };
    labels.split('+').map(find).collect()
}

impl Source for Hwmon {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        let labels: Vec<&str> = self.rails.iter().map(|rail| rail.label.as_str()).collect();
        format!("sensor {} of the board, {}", self.rails[0].chip, labels.join(" + "))
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn read(&mut self) -> Result<Sample, EnergyError> {
        let (mut joules, mut watts, mut counters) = (0.0, 0.0, 0);
        for rail in &self.rails {
            match rail.read()? {
                Sample::Joules(value) => (joules, counters) = (joules + value, counters + 1),
                Sample::Watts(value) => watts += value,
            }
        }
        if counters == self.rails.len() {
            Ok(Sample::Joules(joules - self.start))
        } else if counters == 0 {
            Ok(Sample::Watts(watts))
        } else {
            Err(EnergyError::Usage(format!("`{}` mixes counters of energy with sensors of power", self.name)))
        }
    }
}
