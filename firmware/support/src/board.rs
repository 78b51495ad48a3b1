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

/// What `work` gives, done while the pin is high, and its cost.
pub(crate) fn measured<B: Board, R>(board: &mut B, work: impl FnOnce() -> R) -> (R, u64) {
    let Ok(()) = board.pin().set_state(PinState::High);
    let start = board.count();
    let result = work();
    let cost = board.count() - start;
    let Ok(()) = board.pin().set_state(PinState::Low);
    (result, cost)
}
