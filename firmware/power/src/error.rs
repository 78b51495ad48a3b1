//! What can go wrong between a driver and its chip.

use core::fmt;

/// Why a driver failed; `E` is the bus's own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The bus failed: no answer at the address, arbitration lost, or what the controller says.
    Bus(E),
    /// Another chip, or none, is at the address.
    WrongId {
        /// The register that identifies the chip.
        register: u8,
        /// What the data sheet says.
        expected: u16,
        /// What was read.
        found: u16,
    },
    /// Shunt and largest current do not go together: the calibration register or the shunt's voltage is out of range.
    Calibration,
    /// The chip's power or current does not fit its register, so neither is valid.
    Overflow,
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Bus(error)
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => write!(f, "the bus failed: {error:?}"),
            Self::WrongId { register, expected, found } => {
                write!(f, "register {register:#04x} says {found:#06x}, not {expected:#06x}: another chip")
            }
            Self::Calibration => f.write_str("the shunt does not suit the largest current"),
            Self::Overflow => f.write_str("current or power is beyond what the chip was calibrated for"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}
