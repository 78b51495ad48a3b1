//! INA219: 12 bits, bus up to 26 V, a shunt of ±40 to ±320 mV. Data sheet SBOS448G (2015), registers in section 8.6.
//!
//! The chip has no register that identifies it: what answers at the address is believed.

use crate::registers::Registers;
use crate::{Error, PowerMeter, Reading, Shunt, signed};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const BUS_VOLTAGE: u8 = 0x02;
const POWER: u8 = 0x03;
const CURRENT: u8 = 0x04;
const CALIBRATION: u8 = 0x05;

/// Register × step × resistance, 0.04096 V (equation 1 of the data sheet), in pV.
const SCALE: u64 = 40_960_000_000;
/// Bits of the bus register: a new conversion is there; its arithmetic overflowed.
const READY: u16 = 1 << 1;
const OVERFLOW: u16 = 1 << 0;
/// The fields of both ADCs: 2^n samples of 12 bits are averaged.
const AVERAGE: u16 = 0b1000;
/// Shunt and bus, continuously.
const CONTINUOUS: u16 = 0b111;

/// Full scale of the bus voltage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BusRange {
    /// 16 V.
    Of16V,
    /// 32 V by the register, 26 V by what the chip endures.
    #[default]
    Of32V,
}

/// An INA219 that converts continuously.
#[derive(Debug)]
pub struct Ina219<I2C> {
    registers: Registers<I2C>,
    shunt: Shunt,
    calibration: u16,
    average_log2: u8,
}

impl<I2C: I2c> Ina219<I2C> {
    /// Configures the chip at `address` to average 2^`average_log2` samples, at most 128. The amplifier before the ADC
    /// gets the smallest range that holds the shunt's largest voltage.
    ///
    /// # Errors
    /// [`Error::Bus`], or [`Error::Calibration`] if the shunt's largest voltage is above 320 mV or the register cannot
    /// hold the calibration.
    pub fn new(
        bus: I2C,
        address: u8,
        shunt: Shunt,
        range: BusRange,
        average_log2: u8,
    ) -> Result<Self, Error<I2C::Error>> {
        let holds = |gain: &u16| shunt.max_picovolts() <= 40_000_000_000 << gain;
        let gain = (0..4).find(holds).ok_or(Error::Calibration)?;
        // The lowest bit of the register is always 0.
        let calibration = shunt.calibration(SCALE, 0xffff).map(|register| register & !1);
        let calibration = calibration.filter(|&register| register != 0).ok_or(Error::Calibration)?;
        let average_log2 = average_log2.min(7);
        let adc = AVERAGE | u16::from(average_log2);
        let range = u16::from(range == BusRange::Of32V);
        let mut registers = Registers::new(bus, address);
        registers.set(CONFIGURATION, range << 13 | gain << 11 | adc << 7 | adc << 3 | CONTINUOUS)?;
        registers.set(CALIBRATION, calibration)?;
        Ok(Self { registers, shunt, calibration, average_log2 })
    }

    /// The bus, for other chips.
    pub fn release(self) -> I2C {
        self.registers.release()
    }
}

impl<I2C: I2c> PowerMeter for Ina219<I2C> {
    type Error = Error<I2C::Error>;

    fn ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.registers.word(BUS_VOLTAGE)? & READY != 0)
    }

    fn read(&mut self) -> Result<Reading, Self::Error> {
        let bus = self.registers.word(BUS_VOLTAGE)?;
        if bus & OVERFLOW != 0 {
            return Err(Error::Overflow);
        }
        let current = i16::from_be_bytes(self.registers.bytes(CURRENT)?);
        // Last: reading power clears the bit that says that a conversion is there.
        let power = self.registers.word(POWER)?;
        let microamps = |steps| self.shunt.microamps(steps, SCALE, self.calibration);
        let current_microamps = microamps(current.into());
        Ok(Reading {
            bus_microvolts: i64::from(bus >> 3) * 4000,
            current_microamps,
            // A step of power, in W, is 20 of current, in A.
            power_microwatts: signed(microamps(20 * i64::from(power)), current_microamps),
        })
    }

    fn conversion_micros(&self) -> u32 {
        // 532 µs each for shunt and bus.
        1064 << self.average_log2
    }
}
