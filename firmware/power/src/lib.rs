//! Drivers of I²C power monitors: Texas Instruments' INA219, INA226, INA228 and INA260.
//!
//! `no_std`, integers only. A driver takes anything that implements [`embedded_hal::i2c::I2c`]: a microcontroller's
//! bus in firmware, `/dev/i2c-N` on Linux. What it measures is read through one trait, [`PowerMeter`]. Registers, units
//! and arithmetic are those of the chips' data sheets, which each file names.
//!
//! | chip | bus voltage | current | power | energy | identity |
//! |---|---|---|---|---|---|
//! | [`Ina219`] | 4 mV, 12 bits | shunt, ±40 to ±320 mV | 16 bits | – | has none |
//! | [`Ina226`] | 1.25 mV, 15 bits | shunt, ±81.92 mV | 16 bits | – | checked |
//! | [`Ina228`] | 195.3125 µV, 20 bits | shunt, ±163.84 or ±40.96 mV | 24 bits | 40 bits | checked |
//! | [`Ina260`] | 1.25 mV, 15 bits | 2 mΩ inside, 1.25 mA | 10 mW | – | checked |
//!
//! # Example
//! ```
//! # use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
//! # let bus = Mock::new(&[
//! #     Transaction::write_read(0x40, vec![0xfe], vec![0x54, 0x49]),
//! #     Transaction::write_read(0x40, vec![0xff], vec![0x22, 0x70]),
//! #     Transaction::write(0x40, vec![0x00, 0x65, 0x27]),
//! #     Transaction::write_read(0x40, vec![0x06], vec![0x00, 0x08]),
//! #     Transaction::write_read(0x40, vec![0x06], vec![0x00, 0x00]),
//! #     Transaction::write_read(0x40, vec![0x02], vec![0x0f, 0xa0]),
//! #     Transaction::write_read(0x40, vec![0x01], vec![0x00, 0x50]),
//! #     Transaction::write_read(0x40, vec![0x03], vec![0x00, 0x32]),
//! # ]);
//! # let mut watch = bus.clone();
//! use whit_power::{Averaging, Ina260, PowerMeter};
//!
//! let mut meter = Ina260::new(bus, 0x40, Averaging::Of16)?;
//! while !meter.ready()? {}
//! assert_eq!(meter.read()?.power_microwatts, 500_000);
//! # watch.done();
//! # Ok::<(), whit_power::Error<embedded_hal::i2c::ErrorKind>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod averaging;
mod error;
mod ina219;
mod ina226;
mod ina228;
mod ina260;
mod registers;
mod shunt;

pub use averaging::Averaging;
pub use error::Error;
pub use ina219::{BusRange, Ina219};
pub use ina226::Ina226;
pub use ina228::Ina228;
pub use ina260::Ina260;
pub use shunt::Shunt;

/// What a monitor measured at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Voltage of the supply at the load's side of the shunt, in µV.
    pub bus_microvolts: i64,
    /// Current through the shunt in µA; negative where it flows back.
    pub current_microamps: i64,
    /// Power in µW, as the chip multiplied it; negative where current flows back.
    pub power_microwatts: i64,
}

/// A chip that measures voltage, current and power.
pub trait PowerMeter {
    /// Why reading failed.
    type Error;

    /// Whether a conversion has ended since the last time this was asked or [`PowerMeter::read`] was called; on the
    /// INA219, only since the latter.
    ///
    /// # Errors
    /// As [`PowerMeter::read`].
    fn ready(&mut self) -> Result<bool, Self::Error>;

    /// The last conversion, averaged as configured.
    ///
    /// # Errors
    /// The bus failed, or the chip says that its arithmetic overflowed.
    fn read(&mut self) -> Result<Reading, Self::Error>;

    /// Energy since the accumulator was last cleared, in µJ; `None` for chips that do not accumulate it.
    ///
    /// # Errors
    /// As [`PowerMeter::read`].
    fn energy_microjoules(&mut self) -> Result<Option<u64>, Self::Error> {
        Ok(None)
    }

    /// Time from one conversion, averaged as configured, to the next, in µs: reading more often gives nothing new.
    fn conversion_micros(&self) -> u32;
}

/// A magnitude, which is all that power registers hold, with the sign of the current.
fn signed(magnitude: i64, current: i64) -> i64 {
    if current < 0 { -magnitude } else { magnitude }
}
