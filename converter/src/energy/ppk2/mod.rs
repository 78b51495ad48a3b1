//! Nordic's Power Profiler Kit 2 on its serial line (USB, `/dev/ttyACM0`).
//!
//! Commands are a byte and its arguments. `GET_METADATA` is answered with lines of text that end with `END`: the
//! calibration ([`calibration`]). After `AVERAGE_START` the kit sends 100,000 samples a second, 4 bytes each
//! ([`samples`]), until `AVERAGE_STOP`. The protocol is that of Nordic's application (pc-nrfconnect-ppk) and of
//! IRNAS's ppk2-api-python; the kit measures current only, so the voltage is what the user says.

pub mod calibration;
pub mod samples;
#[cfg(unix)]
pub mod serial;

use super::recording::{Recording, Sample as Recorded};
use super::{EnergyError, Sample, Source};
use calibration::Calibration;
use samples::{Decoder, SECONDS_PER_SAMPLE};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

const AVERAGE_START: u8 = 0x06;
const AVERAGE_STOP: u8 = 0x07;
const DEVICE_RUNNING_SET: u8 = 0x0c;
const REGULATOR_SET: u8 = 0x0d;
const SET_POWER_MODE: u8 = 0x11;
const GET_METADATA: u8 = 0x19;

/// Empty reads, of a tenth of a second each, after which the kit is given up.
const PATIENCE: u32 = 20;
/// The calibration has some 800 bytes.
const METADATA_MOST: usize = 1 << 14;

/// Who supplies the device, and with what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The kit, with this voltage: 0.8 to 5 V.
    Source(f64),
    /// Something else, with this voltage; the kit is in its supply line.
    Ampere(f64),
}

impl Mode {
    /// The supply's voltage.
    pub fn volts(self) -> f64 {
        match self {
            Self::Source(volts) | Self::Ampere(volts) => volts,
        }
    }
}

/// Reads `/dev/ttyACM0,source=3.3` or `/dev/ttyACM0,ampere=3.3`.
///
/// # Errors
/// What is wrong, and an example.
pub fn parse(line: &str) -> Result<(String, Mode), EnergyError> {
    let usage = |problem: &str| {
        EnergyError::Usage(format!(
            "`ppk2:{line}`: {problem}; expected ppk2:/dev/ttyACM0,source=3.3 (the kit supplies 3.3 V) or \
             ppk2:/dev/ttyACM0,ampere=3.3 (something else does)"
        ))
    };
    let (device, mode) = line.split_once(',').ok_or_else(|| usage("no mode and voltage"))?;
    let (mode, volts) = mode.split_once('=').ok_or_else(|| usage("no voltage"))?;
    let volts: f64 = volts.parse().map_err(|_| usage("the voltage is not a number"))?;
    if !(0.8..=5.0).contains(&volts) {
        return Err(usage("the kit takes 0.8 to 5 V"));
    }
    match mode {
        "source" => Ok((device.to_owned(), Mode::Source(volts))),
        "ampere" => Ok((device.to_owned(), Mode::Ampere(volts))),
        _ => Err(usage("no such mode")),
    }
}

/// A kit that measures.
#[derive(Debug)]
pub struct Ppk2<L: Read + Write> {
    name: String,
    line: L,
    decoder: Decoder,
    volts: f64,
    joules: f64,
}

impl<L: Read + Write> Ppk2<L> {
    /// Asks the kit on `line`, whose reads wait a tenth of a second at most, for its calibration and starts it.
    ///
    /// # Errors
    /// The line fails, or no kit answers on it.
    pub fn start(name: &str, line: L, mode: Mode) -> Result<Self, EnergyError> {
        let mut kit = Self {
            name: format!("ppk2:{name}"),
            line,
            decoder: Decoder::new(Calibration::default(), mode.volts()),
            volts: mode.volts(),
            joules: 0.0,
        };
        // It may be measuring for somebody who is gone.
        kit.send(&[AVERAGE_STOP])?;
        while kit.receive(&mut [0; 4096])? > 0 {}
        kit.send(&[GET_METADATA])?;
        let calibration = Calibration::parse(&kit.metadata()?)?;
        kit.decoder = Decoder::new(calibration, mode.volts());
        kit.send(&[SET_POWER_MODE, if matches!(mode, Mode::Source(_)) { 2 } else { 1 }])?;
        let [high, low] = ((mode.volts() * 1e3).round() as u16).to_be_bytes();
        kit.send(&[REGULATOR_SET, high, low])?;
        kit.send(&[DEVICE_RUNNING_SET, 1])?;
        kit.send(&[AVERAGE_START])?;
        Ok(kit)
    }

    /// The text that answers `GET_METADATA`.
    fn metadata(&mut self) -> Result<String, EnergyError> {
        let (mut text, mut empty) = (Vec::new(), 0);
        let mut buffer = [0; 1024];
        while text.len() < METADATA_MOST && empty < PATIENCE {
            let length = self.receive(&mut buffer)?;
            text.extend_from_slice(&buffer[..length]);
            empty = if length == 0 { empty + 1 } else { 0 };
            if text.windows(3).any(|end| end == b"END") {
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
        }
        Err(EnergyError::Absent(format!(
            "{}: nothing there answers as a Power Profiler Kit 2 does",
            self.name
        )))
    }

    /// Takes what has come in; `sink` gets each sample's amperes and pins.
    fn drain(&mut self, mut sink: impl FnMut(f64, u8)) -> Result<(), EnergyError> {
        let mut buffer = [0; 1 << 14];
        let length = self.receive(&mut buffer)?;
        self.decoder.decode(&buffer[..length], |sample| sink(sample.amperes, sample.pins));
        Ok(())
    }

    /// Records `seconds` of the kit's time.
    ///
    /// # Errors
    /// The line fails, or falls silent.
    pub fn record(mut self, seconds: f64) -> Result<Recording, EnergyError> {
        let count = (seconds / SECONDS_PER_SAMPLE).round() as usize;
        let (mut samples, mut empty) = (Vec::<Recorded>::new(), 0);
        let volts = self.volts;
        while samples.len() <= count {
            let before = samples.len();
            self.drain(|amperes, pins| {
                let seconds = samples.len() as f64 * SECONDS_PER_SAMPLE;
                samples.push(Recorded { seconds, watts: (amperes * volts) as f32, pins });
            })?;
            empty = if samples.len() == before { empty + 1 } else { 0 };
            if empty == PATIENCE {
                return Err(EnergyError::nonsense(&self.name, "it has stopped sending samples"));
            }
        }
        samples.truncate(count + 1);
        let pins = (0..8).map(|pin| format!("D{pin}")).collect();
        Ok(Recording { origin: self.name.clone(), samples, pins, lost: self.decoder.lost() })
    }

    fn send(&mut self, command: &[u8]) -> Result<(), EnergyError> {
        self.line
            .write_all(command)
            .and_then(|()| self.line.flush())
            .map_err(EnergyError::reading(Path::new(&self.name), ""))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, EnergyError> {
        self.line.read(buffer).map_err(EnergyError::reading(Path::new(&self.name), ""))
    }
}

impl<L: Read + Write> Drop for Ppk2<L> {
    /// Stops the samples; the device keeps its supply.
    fn drop(&mut self) {
        // Nobody is left to tell if the kit is gone.
        let _ = self.line.write_all(&[AVERAGE_STOP]);
    }
}

impl<L: Read + Write + Send> Source for Ppk2<L> {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("Power Profiler Kit 2: current × {} V", self.volts)
    }

    /// The system keeps 4 kB of a serial line, 10 ms of samples.
    fn interval(&self) -> Duration {
        Duration::from_millis(2)
    }

    fn read(&mut self) -> Result<Sample, EnergyError> {
        let (volts, mut charge) = (self.volts, 0.0);
        self.drain(|amperes, _| charge += amperes * SECONDS_PER_SAMPLE)?;
        self.joules += charge * volts;
        Ok(Sample::Joules(self.joules))
    }
}
