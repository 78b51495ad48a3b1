//! The state that a machine is in: clock, heat, and who else uses it.

use super::{Root, fields};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};

/// The state at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// What chooses the clock, as all CPUs have it; several names with commas where they differ.
    pub governor: Option<String>,
    /// Mean clock of all CPUs.
    pub mhz: Option<f64>,
    /// The hottest sensor of CPU or board.
    pub celsius: Option<f64>,
    /// Processes that wanted a CPU, over the last minute.
    pub load: Option<f64>,
    /// On a Raspberry Pi, what its firmware says of the supply and the heat.
    pub throttling: Option<Throttling>,
}

/// The word of `vcgencmd get_throttled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Throttling(pub u32);

impl Throttling {
    /// Reads `throttled=0x50005`, or the number alone.
    fn parse(text: &str) -> Option<Self> {
        let number = text.trim().trim_start_matches("throttled=").trim_start_matches("0x");
        u32::from_str_radix(number, 16).ok().map(Self)
    }

    /// What holds now. Bits 0 to 3 of the word, as the Raspberry Pi documentation defines them; bits 16 to 19 say the
    /// same of the time since the start.
    pub fn now(self) -> Vec<&'static str> {
        let names = ["under-voltage", "clock capped", "throttled", "soft temperature limit"];
        names
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| name)
            .collect()
    }
}

impl Conditions {
    /// Reads what the system under `root` tells now.
    pub fn read(root: &Root) -> Self {
        Self {
            governor: governor(root),
            mhz: mhz(root),
            celsius: celsius(root),
            load: root.number("proc/loadavg"),
            throttling: throttling(root),
        }
    }
}

const CPUS: &str = "sys/devices/system/cpu";

fn governor(root: &Root) -> Option<String> {
    let cpus = root.names(CPUS, "cpu");
    let names = cpus.iter().filter_map(|cpu| root.text(&format!("{CPUS}/{cpu}/cpufreq/scaling_governor")));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

/// From cpufreq, or as `/proc/cpuinfo` has it, which on virtual machines is the nominal clock.
fn mhz(root: &Root) -> Option<f64> {
    let cpus = root.names(CPUS, "cpu");
    let khz = cpus.iter().filter_map(|cpu| root.number(&format!("{CPUS}/{cpu}/cpufreq/scaling_cur_freq")));
    mean(khz.map(|khz| khz / 1e3)).or_else(|| {
        let cpuinfo = root.text("proc/cpuinfo")?;
        mean(fields(&cpuinfo, "cpu MHz").filter_map(|text| text.parse().ok()))
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Thermal zones of CPU and board, and the sensors of CPUs among the hardware monitors; both count in thousandths.
fn celsius(root: &Root) -> Option<f64> {
    let zones = root.names("sys/class/thermal", "thermal_zone").into_iter().filter_map(|zone| {
        let folder = format!("sys/class/thermal/{zone}");
        let kind = root.text(&format!("{folder}/type")).unwrap_or_default().to_lowercase();
        let is_cpu =
            ["cpu", "soc", "pkg", "acpitz", "package", "core"].iter().any(|name| kind.contains(name));
        if is_cpu { root.number(&format!("{folder}/temp")) } else { None }
    });
    let monitors = root.names("sys/class/hwmon", "hwmon").into_iter().flat_map(|monitor| {
        let folder = format!("sys/class/hwmon/{monitor}");
        let name = root.text(&format!("{folder}/name")).unwrap_or_default();
        let is_cpu = ["coretemp", "k10temp", "zenpower", "cpu_thermal"].contains(&name.as_str());
        let inputs = if is_cpu { root.names(&folder, "temp") } else { vec![] };
        let inputs = inputs.into_iter().filter(|input| input.ends_with("_input"));
        inputs.filter_map(|input| root.number(&format!("{folder}/{input}"))).collect::<Vec<_>>()
    });
    zones.chain(monitors).map(|thousandths| thousandths / 1e3).reduce(f64::max)
}

/// Only a Raspberry Pi has the program; nothing is started elsewhere.
fn throttling(root: &Root) -> Option<Throttling> {
    let program = root.path("usr/bin/vcgencmd");
    if !program.is_file() {
        return None;
    }
    let output =
        Command::new(program).arg("get_throttled").stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.ok().and_then(|output| Throttling::parse(&String::from_utf8_lossy(&output.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_firmware_names_what_holds_now() {
        assert_eq!(Throttling::parse("throttled=0x0\n"), Some(Throttling(0)));
        let word = Throttling::parse("throttled=0x50005\n").expect("a word");
        assert_eq!(word.now(), ["under-voltage", "throttled"]);
        // Only in the past.
        assert!(Throttling(0xf0000).now().is_empty());
        assert_eq!(Throttling::parse("VCHI initialization failed"), None);
        assert_eq!(Throttling::parse(""), None);
    }
}
