//! Arm's MPS2 boards: the CMSDK UART, and a LED as measuring pin (application notes AN386, AN500, AN505).

use crate::register::Register;
use core::convert::Infallible;
use core::fmt;
use embedded_hal::digital::{ErrorType, OutputPin};

/// Cycles of SysTick in a second.
#[cfg(board = "mps2")]
pub(crate) const CLOCK: u64 = 25_000_000;
#[cfg(board = "mps2-an505")]
pub(crate) const CLOCK: u64 = 20_000_000;

#[cfg(board = "mps2")]
const UART: usize = 0x4000_4000;
#[cfg(board = "mps2-an505")]
const UART: usize = 0x5020_0000;

#[cfg(board = "mps2")]
const LEDS: usize = 0x4002_8000;
#[cfg(board = "mps2-an505")]
const LEDS: usize = 0x5030_2000;

/// The first UART.
#[derive(Debug)]
pub(crate) struct Serial {
    data: Register,
    state: Register,
}

impl Serial {
    const SEND_FULL: u32 = 1;
    const RECEIVED: u32 = 2;

    #[allow(unsafe_code, reason = "registers of the UART")]
    pub(crate) fn new() -> Self {
        // SAFETY: the UART's registers, which change no memory.
        let [data, state, control, divider] =
            [0, 4, 8, 16].map(|offset| unsafe { Register::new(UART + offset) });
        divider.write(CLOCK as u32 / 115_200);
        control.write(0b11);
        Self { data, state }
    }

    pub(crate) fn read(&mut self) -> Option<u8> {
        (self.state.read() & Self::RECEIVED != 0).then(|| self.data.read() as u8)
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while self.state.read() & Self::SEND_FULL != 0 {}
            self.data.write(byte.into());
        }
        Ok(())
    }
}

/// The first LED.
#[derive(Debug)]
pub struct Pin(Register);

impl Pin {
    #[allow(unsafe_code, reason = "register of the LEDs")]
    pub(crate) fn new() -> Self {
        // SAFETY: the LEDs' register, which changes no memory.
        Self(unsafe { Register::new(LEDS) })
    }
}

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.write(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.write(1);
        Ok(())
    }
}
