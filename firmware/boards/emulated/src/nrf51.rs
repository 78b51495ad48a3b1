//! The BBC micro:bit: UART and GPIO of the nRF51822 (its reference manual, version 3.0).

use crate::register::Register;
use core::convert::Infallible;
use core::fmt;
use embedded_hal::digital::{ErrorType, OutputPin};

/// Cycles of SysTick in a second.
pub(crate) const CLOCK: u64 = 16_000_000;

const UART: usize = 0x4000_2000;
const GPIO: usize = 0x5000_0000;

#[allow(unsafe_code, reason = "registers of two devices")]
const fn register(address: usize) -> Register {
    // SAFETY: called with addresses of registers of the UART and the GPIO below, which change no memory.
    unsafe { Register::new(address) }
}

/// The UART.
#[derive(Debug)]
pub(crate) struct Serial(());

impl Serial {
    const START_RECEIVING: Register = register(UART);
    const START_SENDING: Register = register(UART + 0x8);
    const RECEIVED: Register = register(UART + 0x108);
    const SENT: Register = register(UART + 0x11c);
    const ENABLE: Register = register(UART + 0x500);
    const RECEIVE: Register = register(UART + 0x518);
    const SEND: Register = register(UART + 0x51c);
    const SPEED: Register = register(UART + 0x524);

    pub(crate) fn new() -> Self {
        // 115,200 bits a second.
        Self::SPEED.write(0x01d7_e000);
        Self::ENABLE.write(4);
        Self::START_RECEIVING.write(1);
        Self::START_SENDING.write(1);
        Self(())
    }

    pub(crate) fn read(&mut self) -> Option<u8> {
        if Self::RECEIVED.read() == 0 {
            return None;
        }
        Self::RECEIVED.write(0);
        Some(Self::RECEIVE.read() as u8)
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            Self::SENT.write(0);
            Self::SEND.write(byte.into());
            while Self::SENT.read() == 0 {}
        }
        Ok(())
    }
}

/// GPIO 3, ring 0 of the board's edge.
#[derive(Debug)]
pub struct Pin(());

impl Pin {
    const MASK: u32 = 1 << 3;
    const SET: Register = register(GPIO + 0x508);
    const CLEAR: Register = register(GPIO + 0x50c);
    const OUTPUT: Register = register(GPIO + 0x518);

    pub(crate) fn new() -> Self {
        Self::OUTPUT.write(Self::MASK);
        Self(())
    }
}

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Self::CLEAR.write(Self::MASK);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Self::SET.write(Self::MASK);
        Ok(())
    }
}
