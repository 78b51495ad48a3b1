//! INA260: an INA226 with a 2 mΩ shunt inside, so its steps are fixed: 1.25 mA, 1.25 mV, 10 mW; ±15 A, bus up to 36 V.
//! Data sheet SBOS656C (2016), registers in section 8.6.

use crate::registers::{Registers, TEXAS_INSTRUMENTS};
use crate::{Averaging, Error, PowerMeter, Reading, signed};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const CURRENT: u8 = 0x01;
const BUS_VOLTAGE: u8 = 0x02;
const POWER: u8 = 0x03;
const MANUFACTURER: u8 = 0xfe;
const DIE: u8 = 0xff;

const DIE_ID: u16 = 0x2270;
/// Bits 14 to 12 read 110 and are written so; both conversions take 1.1 ms; shunt and bus, continuously.
const FIXED: u16 = 0b110 << 12 | 0b100 << 6 | 0b100 << 3 | 0b111;

/// An INA260 that converts continuously.
#[derive(Debug)]
pub struct Ina260<I2C> {
    registers: Registers<I2C>,
    averaging: Averaging,
}

impl<I2C: I2c> Ina260<I2C> {
    /// Checks that the chip at `address` is one, and configures it.
    ///
    /// # Errors
    /// [`Error::Bus`] or [`Error::WrongId`].
    pub fn new(bus: I2C, address: u8, averaging: Averaging) -> Result<Self, Error<I2C::Error>> {
        let mut registers = Registers::new(bus, address);
        registers.identify(MANUFACTURER, TEXAS_INSTRUMENTS, 0xffff)?;
        registers.identify(DIE, DIE_ID, 0xfff0)?;
        registers.set(CONFIGURATION, FIXED | averaging.bits() << 9)?;
        Ok(Self { registers, averaging })
    }

    /// The bus, for other chips.
    pub fn release(self) -> I2C {
        self.registers.release()
    }
}

impl<I2C: I2c> PowerMeter for Ina260<I2C> {
    type Error = Error<I2C::Error>;

    fn ready(&mut self) -> Result<bool, Self::Error> {
        self.registers.converted()
    }

    fn read(&mut self) -> Result<Reading, Self::Error> {
        self.registers.converted()?;
        let bus = i16::from_be_bytes(self.registers.bytes(BUS_VOLTAGE)?);
        let current = i16::from_be_bytes(self.registers.bytes(CURRENT)?);
        let power = self.registers.word(POWER)?;
        let current_microamps = i64::from(current) * 1250;
        Ok(Reading {
            bus_microvolts: i64::from(bus) * 1250,
            current_microamps,
            power_microwatts: signed(i64::from(power) * 10_000, current_microamps),
        })
    }

    fn conversion_micros(&self) -> u32 {
        2200 * self.averaging.count()
    }
}
