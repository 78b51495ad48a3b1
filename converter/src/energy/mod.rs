//! Joules: where they are measured, how a window of work is measured, and what a recording says.
//!
//! A [`Source`] is anything that tells energy or power while a program runs on the same machine: [`powercap`],
//! [`hwmon`], [`iio`], chips on [`i2c`], the Raspberry Pi 5's [`pmic`], a Power Profiler Kit 2 on a [`ppk2`] line.
//! [`find`] looks for them and opens one by name; [`record`] reads one while work is done; [`method`] is the procedure:
//! idle, windows of work, idle again. A [`recording`] of an external analyser is read instead from a file, and cut
//! into windows by the pin that the device drives. [`model`] estimates, and never measures.

pub mod error;
pub mod find;
pub mod hwmon;
pub mod i2c;
pub mod iio;
pub mod method;
pub mod model;
pub mod pmic;
pub mod powercap;
pub mod ppk2;
pub mod record;
pub mod recording;
pub mod sysfs;

pub use error::EnergyError;

use std::time::Duration;

/// What a source tells at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// Energy since the source was opened, in J. What counters tell, whose difference is exact.
    Joules(f64),
    /// Power now, in W. What is between two samples is not seen.
    Watts(f64),
}

/// Something that measures energy or power while a program runs.
pub trait Source: Send {
    /// What [`find::open`] takes to open it again.
    fn name(&self) -> &str;

    /// What is measured, and what is not, in a sentence.
    fn describe(&self) -> String;

    /// How long to wait between samples: what the hardware renews, or what reading costs, whichever is longer.
    fn interval(&self) -> Duration;

    /// The sample of now.
    ///
    /// # Errors
    /// The source can no longer be read, or tells nonsense.
    fn read(&mut self) -> Result<Sample, EnergyError>;
}

/// Tokens that a battery of `battery_wh` lasts.
///
/// ```
/// // A laptop's battery, at a tenth of a joule.
/// assert_eq!(whit_converter::energy::tokens_per_charge(50.0, 0.1), 1_800_000.0);
/// ```
pub fn tokens_per_charge(battery_wh: f64, joules_per_token: f64) -> f64 {
    battery_wh * JOULES_PER_WH / joules_per_token
}

/// Carbon dioxide that `joules` from the grid stand for, in kg.
pub fn kg_co2(joules: f64, kg_per_kwh: f64) -> f64 {
    joules / JOULES_PER_WH / 1000.0 * kg_per_kwh
}

const JOULES_PER_WH: f64 = 3600.0;
