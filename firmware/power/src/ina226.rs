//! INA226: 16 bits, bus up to 36 V, a shunt of ±81.92 mV. Data sheet SBOS547A (2015), registers in section 7.6.

use crate::registers::{Registers, TEXAS_INSTRUMENTS};
use crate::{Averaging, Error, PowerMeter, Reading, Shunt, signed};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const BUS_VOLTAGE: u8 = 0x02;
const POWER: u8 = 0x03;
const CURRENT: u8 = 0x04;
const CALIBRATION: u8 = 0x05;
const MANUFACTURER: u8 = 0xfe;
const DIE: u8 = 0xff;

const DIE_ID: u16 = 0x2260;
/// Register × step × resistance, 0.00512 V (equation 1 of the data sheet), in pV.
const SCALE: u64 = 5_120_000_000;
/// Full scale of the shunt's ADC, 2^15 steps of 2.5 µV, in pV.
const FULL_SCALE: u64 = 81_920_000_000;
/// Bits 14 to 12 read 100 and are written so; both conversions take 1.1 ms; shunt and bus, continuously.
const FIXED: u16 = 0b100 << 12 | 0b100 << 6 | 0b100 << 3 | 0b111;

/// An INA226 that converts continuously.
#[derive(Debug)]
pub struct Ina226<I2C> {
    registers: Registers<I2C>,
    shunt: Shunt,
    calibration: u16,
    averaging: Averaging,
}

impl<I2C: I2c> Ina226<I2C> {
    /// Checks that the chip at `address` is one, and configures it.
    ///
    /// # Errors
    /// [`Error::Bus`], [`Error::WrongId`], or [`Error::Calibration`] if the shunt's largest voltage is above 81.92 mV or
    /// the register cannot hold the calibration.
    pub fn new(bus: I2C, address: u8, shunt: Shunt, averaging: Averaging) -> Result<Self, Error<I2C::Error>> {
        let calibration = shunt.calibration(SCALE, 0x7fff).ok_or(Error::Calibration)?;
        if shunt.max_picovolts() > FULL_SCALE {
            return Err(Error::Calibration);
        }
        let mut registers = Registers::new(bus, address);
        registers.identify(MANUFACTURER, TEXAS_INSTRUMENTS, 0xffff)?;
        registers.identify(DIE, DIE_ID, 0xfff0)?;
        registers.set(CONFIGURATION, FIXED | averaging.bits() << 9)?;
        registers.set(CALIBRATION, calibration)?;
        Ok(Self { registers, shunt, calibration, averaging })
    }

    /// The bus, for other chips.
    pub fn release(self) -> I2C {
        self.registers.release()
    }
}

impl<I2C: I2c> PowerMeter for Ina226<I2C> {
    type Error = Error<I2C::Error>;

    fn ready(&mut self) -> Result<bool, Self::Error> {
        self.registers.converted()
    }

    fn read(&mut self) -> Result<Reading, Self::Error> {
        self.registers.converted()?;
        let bus = i16::from_be_bytes(self.registers.bytes(BUS_VOLTAGE)?);
        let current = i16::from_be_bytes(self.registers.bytes(CURRENT)?);
        let power = self.registers.word(POWER)?;
        let microamps = |steps| self.shunt.microamps(steps, SCALE, self.calibration);
        let current_microamps = microamps(current.into());
        Ok(Reading {
            bus_microvolts: i64::from(bus) * 1250,
            current_microamps,
            // A step of power, in W, is 25 of current, in A.
            power_microwatts: signed(microamps(25 * i64::from(power)), current_microamps),
        })
    }

    fn conversion_micros(&self) -> u32 {
        2200 * self.averaging.count()
    }
}
