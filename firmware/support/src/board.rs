//! What a board brings.

use core::convert::Infallible;
use core::fmt;
use embedded_hal::digital::{OutputPin, PinState};

/// A board, with its clocks and pins set up. Formatted text goes out through [`fmt::Write`], which never fails.
pub trait Board: fmt::Write {
    /// What the counter counts: `cycles` on hardware, `instructions` under emulation.
    const UNIT: &'static str;

    /// How many of them there are in a second.
    const PER_SECOND: u64;

    /// The pin for a power analyser.
    type Pin: OutputPin<Error = Infallible>;

    /// Cycles (or instructions) since some moment. Takes so few of them that a token's count does not show it.
    fn count(&mut self) -> u64;

    /// The next byte from the serial line or a button, if there is one.
    fn read(&mut self) -> Option<u8>;

    /// The measuring pin: high for the computation of exactly one token, or of one prompt.
    fn pin(&mut self) -> &mut Self::Pin;
}

/// A counter of cycles, or of time.
pub trait Count {
    /// What it counts.
    const UNIT: &'static str;

    /// How many of them there are in a second.
    const PER_SECOND: u64;

    /// How many there were since some moment.
    fn count(&mut self) -> u64;
}

/// A measurement: the pin is high from its start to its end. Two calls rather than one with a closure, whose result would
/// be moved, and take its size of a small stack twice.
#[derive(Debug)]
pub(crate) struct Measurement(u64);

impl Measurement {
    /// Raises the pin.
    pub(crate) fn start<B: Board>(board: &mut B) -> Self {
        let Ok(()) = board.pin().set_state(PinState::High);
        Self(board.count())
    }

    /// Lowers the pin; what it cost.
    pub(crate) fn end<B: Board>(self, board: &mut B) -> u64 {
        let cost = board.count() - self.0;
        let Ok(()) = board.pin().set_state(PinState::Low);
        cost
    }
}
