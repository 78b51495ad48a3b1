//! INA228: 20 bits, bus up to 85 V, a shunt of ±163.84 or ±40.96 mV, and energy accumulated in the chip. Data sheet
//! SLYS021A (2022), registers in section 7.6, arithmetic in section 8.1.2.

use crate::registers::{Registers, TEXAS_INSTRUMENTS};
use crate::{Averaging, Error, PowerMeter, Reading, Shunt, signed};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const ADC_CONFIGURATION: u8 = 0x01;
const SHUNT_CALIBRATION: u8 = 0x02;
const BUS_VOLTAGE: u8 = 0x05;
const CURRENT: u8 = 0x07;
const POWER: u8 = 0x08;
const ENERGY: u8 = 0x09;
const DIAGNOSTICS: u8 = 0x0b;
const MANUFACTURER: u8 = 0x3e;
const DIE: u8 = 0x3f;

const DIE_ID: u16 = 0x2281;
/// Full scale of the shunt's ADC in pV: wide and, with [`FINE_RANGE`], narrow.
const WIDE: u64 = 163_840_000_000;
const NARROW: u64 = 40_960_000_000;
/// Bits of the configuration: clear the accumulators; the narrow range.
const CLEAR: u16 = 1 << 14;
const FINE_RANGE: u16 = 1 << 4;
/// Shunt and bus, continuously, 1052 µs each.
const CONTINUOUS: u16 = 0xb << 12 | 0b101 << 9 | 0b101 << 6;
/// Bits of the diagnostics: arithmetic overflowed; a new conversion is there.
const OVERFLOW: u16 = 1 << 9;
const READY: u16 = 1 << 1;

/// An INA228 that converts continuously and accumulates energy since [`Ina228::new`] or [`Ina228::clear`].
#[derive(Debug)]
pub struct Ina228<I2C> {
    registers: Registers<I2C>,
    shunt: Shunt,
    calibration: u16,
    range: u16,
    averaging: Averaging,
}

impl<I2C: I2c> Ina228<I2C> {
    /// Checks that the chip at `address` is one, and configures it, with the narrow range where it holds the shunt's
    /// largest voltage.
    ///
    /// # Errors
    /// [`Error::Bus`], [`Error::WrongId`], or [`Error::Calibration`] if the shunt's largest voltage is above 163.84 mV or
    /// so small that the calibration is 0.
    pub fn new(bus: I2C, address: u8, shunt: Shunt, averaging: Averaging) -> Result<Self, Error<I2C::Error>> {
        let volts = shunt.max_picovolts();
        if volts > WIDE {
            return Err(Error::Calibration);
        }
        let (range, full_scale) = if volts <= NARROW { (FINE_RANGE, NARROW) } else { (0, WIDE) };
        // 13107.2 × 10^6 × step × resistance, four times that in the narrow range, where 2^19 steps are the largest
        // current: the share of the full scale, in 4096ths.
        let calibration = (volts * 4096 / full_scale) as u16;
        if calibration == 0 {
            return Err(Error::Calibration);
        }
        let mut registers = Registers::new(bus, address);
        registers.identify(MANUFACTURER, TEXAS_INSTRUMENTS, 0xffff)?;
        registers.identify(DIE, DIE_ID, 0xfff0)?;
        let mut meter = Self { registers, shunt, calibration, range, averaging };
        meter.clear()?;
        meter.registers.set(ADC_CONFIGURATION, CONTINUOUS | averaging.bits())?;
        meter.registers.set(SHUNT_CALIBRATION, meter.calibration)?;
        Ok(meter)
    }

    /// Sets the accumulated energy to zero.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn clear(&mut self) -> Result<(), Error<I2C::Error>> {
        self.registers.set(CONFIGURATION, CLEAR | self.range)
    }

    /// The bus, for other chips.
    pub fn release(self) -> I2C {
        self.registers.release()
    }

    /// What the chip says of its last conversion.
    fn flags(&mut self) -> Result<u16, Error<I2C::Error>> {
        let flags = self.registers.word(DIAGNOSTICS)?;
        if flags & OVERFLOW == 0 { Ok(flags) } else { Err(Error::Overflow) }
    }

    /// `steps` of the current register in µA, by what the calibration register truly holds.
    fn microamps(&self, steps: u128) -> u64 {
        let full_scale = if self.range == FINE_RANGE { NARROW } else { WIDE };
        let numerator = steps * u128::from(full_scale) * u128::from(self.calibration);
        // At most 2^40 × 51.2 steps of at most 2^32 / 2^19 µA fit u64.
        (numerator / (u128::from(self.shunt.microohms) << (12 + 19))) as u64
    }
}

impl<I2C: I2c> PowerMeter for Ina228<I2C> {
    type Error = Error<I2C::Error>;

    fn ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.flags()? & READY != 0)
    }

    fn read(&mut self) -> Result<Reading, Self::Error> {
        self.flags()?;
        let bus = twenty_bits(self.registers.bytes(BUS_VOLTAGE)?);
        let current = twenty_bits(self.registers.bytes(CURRENT)?);
        let [high, middle, low] = self.registers.bytes(POWER)?;
        let power = u32::from_be_bytes([0, high, middle, low]);
        let magnitude = self.microamps(u128::from(current.unsigned_abs())) as i64;
        // A step of power, in W, is 3.2 of current, in A.
        let power = self.microamps(u128::from(power) * 16) / 5;
        Ok(Reading {
            // 195.3125 µV.
            bus_microvolts: i64::from(bus) * 3125 / 16,
            current_microamps: signed(magnitude, current.into()),
            power_microwatts: signed(power as i64, current.into()),
        })
    }

    /// Counts without regard to the current's direction; the chip starts again from 0 after 2^40 steps of 51.2 current
    /// steps, in J: 350 hours at 85 V and the largest current.
    fn energy_microjoules(&mut self) -> Result<Option<u64>, Self::Error> {
        let [a, b, c, d, e] = self.registers.bytes(ENERGY)?;
        let steps = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        // A step of energy, in J, is 16 of power.
        Ok(Some(self.microamps(u128::from(steps) * 256) / 5))
    }

    fn conversion_micros(&self) -> u32 {
        2104 * self.averaging.count()
    }
}

/// Two's complement of 20 bits, in the upper bits of 24.
fn twenty_bits([high, middle, low]: [u8; 3]) -> i32 {
    i32::from_be_bytes([high, middle, low, 0]) >> 12
}
