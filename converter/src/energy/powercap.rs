//! Linux powercap: energy counters of Intel and AMD processors (RAPL), `/sys/class/powercap/intel-rapl*`.
//!
//! The kernel's `Documentation/power/powercap/powercap.rst` has the files: `name`, `energy_uj`, which starts again
//! from 0 after `max_energy_range_uj`. Domains: `package-N`, within it `core`, `uncore`; `dram` beside it; `psys` is the
//! whole platform. They measure the processor, not the machine: neither disks, fans nor the supply's losses.

use super::sysfs::{Tree, entries, name, number, text};
use super::{EnergyError, Sample, Source};
use std::path::PathBuf;
use std::time::Duration;

/// Where the kernel has it.
pub const PLACE: &str = "/sys/class/powercap";

/// Since CVE-2020-8694, a side channel, only root may read the counters.
const REMEDY: &str = "the counters are for root alone since CVE-2020-8694; to open them until the next boot: \
    sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj /sys/class/powercap/intel-rapl*/*/energy_uj";

/// A counter.
#[derive(Clone, Debug)]
pub struct Zone {
    /// `package-0`, `dram`, `psys`, …; within a package, also whose: `package-0-dram`.
    pub name: String,
    path: PathBuf,
    range_uj: u64,
    is_part: bool,
}

impl Zone {
    /// The zone in `path`, a part of the zone `whole` if there is one.
    fn at(path: PathBuf, whole: Option<&str>) -> Option<Self> {
        let own = text(&path.join("name"))?;
        let name = whole.map_or_else(|| own.clone(), |whole| format!("{whole}-{own}"));
        let range_uj = number(&path.join("max_energy_range_uj"), REMEDY).ok()?;
        path.join("energy_uj").exists().then_some(Self { name, path, range_uj, is_part: whole.is_some() })
    }

    fn counter(&self) -> Result<u64, EnergyError> {
        number(&self.path.join("energy_uj"), REMEDY)
    }

    /// Whether it counts what no other that is chosen by default counts: packages, and the memory beside them.
    fn is_default(&self) -> bool {
        self.name != "psys" && (!self.is_part || self.name.ends_with("-dram"))
    }
}

/// All counters; those of `intel-rapl-mmio` count the same a second time and are left out.
pub fn zones(tree: &Tree) -> Vec<Zone> {
    let mut zones = Vec::new();
    for path in entries(&tree.path(PLACE), "intel-rapl:") {
        // The class directory lists parts beside their wholes.
        if name(&path).matches(':').count() != 1 {
            continue;
        }
        let Some(whole) = Zone::at(path.clone(), None) else { continue };
        let parts = entries(&path, "intel-rapl:").into_iter();
        let parts: Vec<Zone> = parts.filter_map(|part| Zone::at(part, Some(&whole.name))).collect();
        zones.push(whole);
        zones.extend(parts);
    }
    zones
}

/// The sum of counters.
#[derive(Debug)]
pub struct Powercap {
    name: String,
    counters: Vec<Counter>,
}

#[derive(Debug)]
struct Counter {
    zone: Zone,
    last_uj: u64,
    total_uj: u64,
}

/// Opens the counters that `wanted` names with `+` between them, or packages and memory if it is empty.
///
/// # Errors
/// There is none of that name, or it may not be read.
pub fn open(tree: &Tree, wanted: &str) -> Result<Powercap, EnergyError> {
    let zones = zones(tree);
    let chosen: Vec<Zone> = if wanted.is_empty() {
        zones.into_iter().filter(Zone::is_default).collect()
    } else {
        wanted.split('+').map(|part| find(&zones, part)).collect::<Result<_, _>>()?
    };
    if chosen.is_empty() {
        return Err(EnergyError::Absent(format!("{PLACE}: no energy counter")));
    }
    let name =
        format!("powercap:{}", chosen.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>().join("+"));
    let counter = |zone: Zone| Ok(Counter { last_uj: zone.counter()?, total_uj: 0, zone });
    Ok(Powercap { name, counters: chosen.into_iter().map(counter).collect::<Result<_, EnergyError>>()? })
}

fn find(zones: &[Zone], wanted: &str) -> Result<Zone, EnergyError> {
    let names = || zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>().join(", ");
    let zone = zones.iter().find(|zone| zone.name == wanted);
    zone.cloned()
        .ok_or_else(|| EnergyError::Absent(format!("powercap has no `{wanted}`; there is: {}", names())))
}

impl Counter {
    /// Takes note of the counter; it may have started again once since the last time.
    fn advance(&mut self) -> Result<u64, EnergyError> {
        let now = self.zone.counter()?;
        let step = now
            .checked_sub(self.last_uj)
            .unwrap_or_else(|| now.saturating_add(self.zone.range_uj.saturating_sub(self.last_uj)));
        self.last_uj = now;
        self.total_uj += step;
        Ok(self.total_uj)
    }
}

impl Source for Powercap {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        "energy counters of the processor (RAPL): not disks, fans or the supply's losses".to_owned()
    }

    /// A counter starts again after some minutes at full load.
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn read(&mut self) -> Result<Sample, EnergyError> {
        let mut sum = 0;
        for counter in &mut self.counters {
            sum += counter.advance()?;
        }
        Ok(Sample::Joules(sum as f64 / 1e6))
    }
}
