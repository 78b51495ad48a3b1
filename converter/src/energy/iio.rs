//! Linux IIO: power monitors whose driver is in the industrial I/O subsystem, `/sys/bus/iio/devices/iio:deviceN`.
//!
//! `Documentation/ABI/testing/sysfs-bus-iio` has the files: `in_powerN_raw` × `in_powerN_scale` in mW,
//! `in_currentN_raw` in mA and `in_voltageN_raw` in mV likewise; a scale may stand once for all channels of a kind. The
//! driver of INA219 and INA226 has the shunt in channel 0 and the bus in channel 1.

use super::hwmon::MONITORS;
use super::sysfs::{Tree, entries, name, number, text};
use super::{EnergyError, Sample, Source};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the kernel has it.
pub const PLACE: &str = "/sys/bus/iio/devices";

const REMEDY: &str = "run as root, or: sudo chmod a+r on that file";

/// A device that tells power.
#[derive(Clone, Debug)]
pub struct Device {
    /// The chip's name in the kernel.
    pub chip: String,
    /// `iio:device0`.
    pub device: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Power(Channel),
    VoltageAndCurrent(Channel, Channel),
}

/// A raw value and what it is to be multiplied with.
#[derive(Clone, Debug)]
struct Channel {
    raw: PathBuf,
    scale: f64,
    offset: f64,
}

impl Channel {
    /// The channel of `kind` with the number `n`.
    fn at(folder: &Path, kind: &str, n: u32) -> Option<Self> {
        let raw = folder.join(format!("in_{kind}{n}_raw"));
        let setting = |what: &str| {
            let own = folder.join(format!("in_{kind}{n}_{what}"));
            let shared = folder.join(format!("in_{kind}_{what}"));
            number(&own, REMEDY).or_else(|_| number(&shared, REMEDY)).ok()
        };
        let scale = setting("scale").unwrap_or(1.0);
        raw.exists().then(|| Self { raw, scale, offset: setting("offset").unwrap_or(0.0) })
    }

    fn read(&self) -> Result<f64, EnergyError> {
        Ok((number::<f64>(&self.raw, REMEDY)? + self.offset) * self.scale)
    }
}

impl Device {
    fn at(folder: &Path) -> Option<Self> {
        let chip = text(&folder.join("name"))?;
        let kind = match channels(folder, "power").next() {
            Some(power) => Kind::Power(power),
            // What any other ADC's channels are wired to, nobody knows.
            None if MONITORS.contains(&chip.as_str()) => {
                let current = channels(folder, "current").next()?;
                Kind::VoltageAndCurrent(channels(folder, "voltage").last()?, current)
            }
            None => return None,
        };
        Some(Self { chip, device: name(folder), kind })
    }

    /// Whether a board carries the chip to measure itself.
    pub fn is_monitor(&self) -> bool {
        MONITORS.contains(&self.chip.as_str())
    }

    fn watts(&self) -> Result<f64, EnergyError> {
        match &self.kind {
            Kind::Power(power) => Ok(power.read()? / 1e3),
            Kind::VoltageAndCurrent(voltage, current) => Ok(voltage.read()? / 1e3 * current.read()? / 1e3),
        }
    }
}

fn channels(folder: &Path, kind: &'static str) -> impl Iterator<Item = Channel> {
    entries(folder, &format!("in_{kind}")).into_iter().filter_map(move |path| {
        let name = name(&path);
        let n = name.strip_prefix("in_")?.strip_prefix(kind)?.strip_suffix("_raw")?.parse().ok()?;
        Channel::at(path.parent()?, kind, n)
    })
}

/// All devices that tell power.
pub fn devices(tree: &Tree) -> Vec<Device> {
    tree.entries(PLACE, "iio:device").iter().filter_map(|folder| Device::at(folder)).collect()
}

/// One device.
#[derive(Debug)]
pub struct Iio {
    name: String,
    device: Device,
}

/// Opens the device with the name of a chip, or `iio:deviceN`.
///
/// # Errors
/// There is none, or it may not be read.
pub fn open(tree: &Tree, wanted: &str) -> Result<Iio, EnergyError> {
    let found = devices(tree).into_iter().find(|device| device.chip == wanted || device.device == wanted);
    let device = found.ok_or_else(|| EnergyError::Absent(format!("{PLACE}: no power sensor `{wanted}`")))?;
    device.watts()?;
    Ok(Iio { name: format!("iio:{wanted}"), device })
}

impl Source for Iio {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("sensor {} of the board ({})", self.device.chip, self.device.device)
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn read(&mut self) -> Result<Sample, EnergyError> {
        self.device.watts().map(Sample::Watts)
    }
}
