//! Registers behind an I²C address: one byte of address, then big-endian contents.

use crate::Error;
use embedded_hal::i2c::I2c;

/// "TI" in ASCII, in the register that names the manufacturer.
pub(crate) const TEXAS_INSTRUMENTS: u16 = 0x5449;

/// The mask register of the INA226 and the INA260, and of its bits: a new conversion is there; its arithmetic overflowed.
const MASK_ENABLE: u8 = 0x06;
const READY: u16 = 1 << 3;
const OVERFLOW: u16 = 1 << 2;

/// A chip on a bus.
#[derive(Debug)]
pub(crate) struct Registers<I2C> {
    bus: I2C,
    address: u8,
}

impl<I2C: I2c> Registers<I2C> {
    pub(crate) fn new(bus: I2C, address: u8) -> Self {
        Self { bus, address }
    }

    /// The bus, for other chips.
    pub(crate) fn release(self) -> I2C {
        self.bus
    }

    /// A register of 16 bits.
    pub(crate) fn word(&mut self, register: u8) -> Result<u16, Error<I2C::Error>> {
        self.bytes(register).map(u16::from_be_bytes)
    }

    /// A register of `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Error<I2C::Error>> {
        let mut bytes = [0; N];
        self.bus.write_read(self.address, &[register], &mut bytes)?;
        Ok(bytes)
    }

    /// Sets a register of 16 bits.
    pub(crate) fn set(&mut self, register: u8, word: u16) -> Result<(), Error<I2C::Error>> {
        let [high, low] = word.to_be_bytes();
        Ok(self.bus.write(self.address, &[register, high, low])?)
    }

    /// An error unless `register` holds `expected`. The lowest four bits of a die's identity are its revision, which
    /// `mask` leaves out.
    pub(crate) fn identify(
        &mut self,
        register: u8,
        expected: u16,
        mask: u16,
    ) -> Result<(), Error<I2C::Error>> {
        let found = self.word(register)?;
        if found & mask == expected & mask {
            Ok(())
        } else {
            Err(Error::WrongId { register, expected, found })
        }
    }

    /// Whether an INA226 or INA260 has converted anew; an error if its last conversion overflowed.
    pub(crate) fn converted(&mut self) -> Result<bool, Error<I2C::Error>> {
        let flags = self.word(MASK_ENABLE)?;
        if flags & OVERFLOW == 0 { Ok(flags & READY != 0) } else { Err(Error::Overflow) }
    }
}
