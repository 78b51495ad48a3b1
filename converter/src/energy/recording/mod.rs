//! What an external analyser recorded: power over time, and the state of digital channels, of which one is the
//! device's measuring pin.

pub mod csv;
pub mod trace;
pub mod windows;

pub use windows::{Analysis, Cut, PinWindows, Spread, analyse};

/// One time of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Since the recording's own zero, in s.
    pub seconds: f64,
    /// Power in W.
    pub watts: f32,
    /// Digital channels, the first of [`Recording::pins`] in the lowest bit.
    pub pins: u8,
}

/// Samples in the order of time.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file or device.
    pub origin: String,
    /// The samples; at least two.
    pub samples: Vec<Sample>,
    /// Names of the digital channels: `D0` to `D7`, `GPI0`, …; at most eight.
    pub pins: Vec<String>,
    /// Samples that the analyser says it lost.
    pub lost: u64,
}

impl Recording {
    /// From the first sample to the last, in s.
    pub fn seconds(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) => last.seconds - first.seconds,
            _ => 0.0,
        }
    }

    /// The bit of a digital channel, in upper or lower case.
    pub fn pin(&self, name: &str) -> Option<u8> {
        let pin = self.pins.iter().position(|pin| pin.eq_ignore_ascii_case(name))?;
        Some(1 << pin)
    }
}
