//! INA219, INA226, INA228 and INA260 on `/dev/i2c-N`, with the drivers that firmware uses.
//!
//! Named as `ina226:/dev/i2c-1@0x40,shunt=0.1,max=2`: device, address, the shunt in Ω and the largest current in A. The
//! chip must not have a kernel driver at the same time.

use super::EnergyError;

/// Where the kernel has buses.
pub const PLACE: &str = "/dev/i2c-*";

/// Which chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// 12 bits.
    Ina219,
    /// 16 bits.
    Ina226,
    /// 20 bits, and energy.
    Ina228,
    /// Its own shunt.
    Ina260,
}

impl Chip {
    /// The chip with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ina219" => Some(Self::Ina219),
            "ina226" => Some(Self::Ina226),
            "ina228" => Some(Self::Ina228),
            "ina260" => Some(Self::Ina260),
            _ => None,
        }
    }

    /// Full scale of its shunt's ADC, in V.
    fn full_scale(self) -> f64 {
        match self {
            Self::Ina219 => 0.32,
            Self::Ina226 => 0.08192,
            Self::Ina228 => 0.16384,
            Self::Ina260 => f64::INFINITY,
        }
    }
}

/// A chip on a bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Wiring {
    /// Which chip.
    pub chip: Chip,
    /// The bus: `/dev/i2c-1`.
    pub device: String,
    /// Its address there.
    pub address: u8,
    /// The shunt in µΩ and the largest current in µA.
    pub shunt: whit_power::Shunt,
}

/// Reads `/dev/i2c-1@0x40,shunt=0.1,max=2`. The shunt is 0.1 Ω unless it is said, as on breakout boards; the largest
/// current what the chip can measure on it.
///
/// # Errors
/// What is wrong, and an example.
pub fn parse(chip: Chip, wiring: &str) -> Result<Wiring, EnergyError> {
    let usage = |problem: String| {
        EnergyError::Usage(format!(
            "`{wiring}`: {problem}; expected /dev/i2c-1@0x40,shunt=0.1,max=0.8 (in Ω and A)"
        ))
    };
    let mut parts = wiring.split(',');
    let (device, address) =
        parts.next().and_then(|part| part.split_once('@')).ok_or_else(|| usage("no address".into()))?;
    let digits =
        address.strip_prefix("0x").ok_or_else(|| usage(format!("address `{address}` is not hexadecimal")))?;
    let address = u8::from_str_radix(digits, 16).ok().filter(|address| (0x08..0x78).contains(address));
    let address = address.ok_or_else(|| usage("an address is 0x08 to 0x77".into()))?;
    let (mut ohms, mut amperes) = (0.1, None);
    for part in parts {
        let (key, value) = part.split_once('=').ok_or_else(|| usage(format!("`{part}` has no value")))?;
        let value: f64 = value.parse().map_err(|_| usage(format!("`{value}` is not a number")))?;
        if !(1e-6..4000.0).contains(&value) {
            return Err(usage(format!("{key}={value} is out of range")));
        }
        match key {
            "shunt" if chip != Chip::Ina260 => ohms = value,
            "max" if chip != Chip::Ina260 => amperes = Some(value),
            _ => return Err(usage(format!("`{key}` is not known here"))),
        }
    }
    let amperes = amperes.unwrap_or_else(|| (chip.full_scale() / ohms).min(4000.0));
    let shunt = whit_power::Shunt {
        microohms: (ohms * 1e6).round() as u32,
        // Not rounded up: the product must stay within the chip's scale.
        max_microamps: (amperes * 1e6).floor() as u32,
    };
    Ok(Wiring { chip, device: device.to_owned(), address, shunt })
}

#[cfg(target_os = "linux")]
mod linux {
    use super::super::{EnergyError, Sample, Source};
    use super::{Chip, Wiring};
    use linux_embedded_hal::I2cdev;
    use std::time::Duration;
    use whit_power::{Averaging, BusRange, Error, Ina219, Ina226, Ina228, Ina260, PowerMeter};

    /// 16 conversions: 18 to 35 ms, what is between two samples is averaged by the chip.
    const AVERAGING: Averaging = Averaging::Of16;

    /// A chip, as a source.
    struct Monitor<M> {
        name: String,
        device: String,
        meter: M,
        /// Of chips that count energy.
        start: Option<u64>,
    }

    /// Opens what `wiring` says; `name` is how the user named it.
    ///
    /// # Errors
    /// The bus cannot be opened, or another chip or none answers.
    pub fn open(name: &str, wiring: &Wiring) -> Result<Box<dyn Source>, EnergyError> {
        let Wiring { chip, ref device, address, shunt } = *wiring;
        let bus = I2cdev::new(device).map_err(|error| {
            let path = std::path::Path::new(device);
            let io = std::io::Error::from(error);
            let remedy = "add yourself to the group i2c: sudo usermod -aG i2c $USER, then log in again";
            if io.kind() == std::io::ErrorKind::NotFound {
                return EnergyError::Absent(format!(
                    "{device}: no such bus; on a Raspberry Pi: sudo raspi-config nonint do_i2c 0"
                ));
            }
            EnergyError::reading(path, remedy)(io)
        })?;
        Ok(match chip {
            Chip::Ina219 => boxed(name, device, Ina219::new(bus, address, shunt, BusRange::Of32V, 4))?,
            Chip::Ina226 => boxed(name, device, Ina226::new(bus, address, shunt, AVERAGING))?,
            Chip::Ina228 => boxed(name, device, Ina228::new(bus, address, shunt, AVERAGING))?,
            Chip::Ina260 => boxed(name, device, Ina260::new(bus, address, AVERAGING))?,
        })
    }

    fn boxed<M, E>(
        name: &str,
        device: &str,
        meter: Result<M, Error<E>>,
    ) -> Result<Box<dyn Source>, EnergyError>
    where
        M: PowerMeter<Error = Error<E>> + Send + 'static,
        E: core::fmt::Debug,
    {
        let failed = |error: Error<E>| EnergyError::nonsense(name, error);
        let mut meter = meter.map_err(failed)?;
        let start = meter.energy_microjoules().map_err(failed)?;
        // Until the first conversion has ended the registers hold 0.
        std::thread::sleep(Duration::from_micros(2 * u64::from(meter.conversion_micros())));
        Ok(Box::new(Monitor { name: name.to_owned(), device: device.to_owned(), meter, start }))
    }

    impl<M, E> Source for Monitor<M>
    where
        M: PowerMeter<Error = Error<E>> + Send,
        E: core::fmt::Debug,
    {
        fn name(&self) -> &str {
            &self.name
        }

        fn describe(&self) -> String {
            let what = if self.start.is_some() { "energy counted" } else { "power sampled" };
            format!("{what} by a monitor on {}: what flows through its shunt", self.device)
        }

        fn interval(&self) -> Duration {
            Duration::from_micros(self.meter.conversion_micros().into())
        }

        fn read(&mut self) -> Result<Sample, EnergyError> {
            let failed = |error: Error<E>| EnergyError::nonsense(&self.name, error);
            if let Some(start) = self.start {
                let now = self.meter.energy_microjoules().map_err(failed)?;
                return Ok(Sample::Joules(now.unwrap_or(start).saturating_sub(start) as f64 / 1e6));
            }
            let reading = self.meter.read().map_err(failed)?;
            Ok(Sample::Watts(reading.power_microwatts as f64 / 1e6))
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::open;

/// Opens what `wiring` says.
///
/// # Errors
/// Always: only Linux shows its I²C buses to programs.
#[cfg(not(target_os = "linux"))]
pub fn open(name: &str, _wiring: &Wiring) -> Result<Box<dyn super::Source>, EnergyError> {
    Err(EnergyError::Absent(format!("{name}: only Linux shows its I²C buses to programs")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use whit_power::Shunt;

    #[test]
    fn wiring_is_read_with_what_breakout_boards_have() {
        let wiring = parse(Chip::Ina226, "/dev/i2c-1@0x40").expect("defaults");
        assert_eq!((wiring.device.as_str(), wiring.address), ("/dev/i2c-1", 0x40));
        assert_eq!(wiring.shunt, Shunt { microohms: 100_000, max_microamps: 819_200 });
        let wiring = parse(Chip::Ina228, "/dev/i2c-22@0x4f,max=10,shunt=0.015").expect("both");
        assert_eq!((wiring.device.as_str(), wiring.address), ("/dev/i2c-22", 0x4f));
        assert_eq!(wiring.shunt, Shunt { microohms: 15_000, max_microamps: 10_000_000 });
    }

    #[test]
    fn wrong_wiring_is_answered_with_an_example() {
        for (wiring, expected) in [
            ("/dev/i2c-1", "no address"),
            ("/dev/i2c-1@64", "not hexadecimal"),
            ("/dev/i2c-1@0x80", "0x08 to 0x77"),
            ("/dev/i2c-1@0x40,shunt", "no value"),
            ("/dev/i2c-1@0x40,shunt=0", "out of range"),
            ("/dev/i2c-1@0x40,shunt=NaN", "out of range"),
            ("/dev/i2c-1@0x40,gain=2", "`gain` is not known"),
        ] {
            let message = parse(Chip::Ina219, wiring).expect_err("refused").to_string();
            assert!(message.contains(expected) && message.contains("shunt=0.1"), "{wiring}: {message}");
        }
        assert!(parse(Chip::Ina260, "/dev/i2c-1@0x40,shunt=0.1").is_err(), "its shunt is inside");
    }
}
