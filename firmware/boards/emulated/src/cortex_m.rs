//! What the Cortex-M boards have in common: SysTick counts, semihosting ends the program.

#[cfg(any(board = "mps2", board = "mps2-an505"))]
use crate::mps2::{CLOCK, Pin, Serial};
#[cfg(board = "microbit")]
use crate::nrf51::{CLOCK, Pin, Serial};
use crate::{INSTRUCTION_NS, INSTRUCTIONS_PER_SECOND, PAINTED};
use core::fmt::{self, Write};
pub use cortex_m_rt::entry;
use cortex_m_rt::exception;
use cortex_m_semihosting::debug;
use whit_firmware::{Board, Count, stack, systick};

/// The board.
#[derive(Debug)]
pub struct Emulated {
    serial: Serial,
    counter: systick::Counter<CLOCK>,
    pin: Pin,
}

impl Emulated {
    /// The board, once.
    pub fn take() -> Option<Self> {
        stack::paint(PAINTED);
        let peripherals = cortex_m::Peripherals::take()?;
        Some(Self {
            serial: Serial::new(),
            counter: systick::Counter::new(peripherals.SYST),
            pin: Pin::new(),
        })
    }

    /// Ends the emulation; exit code 0 if all is `well`, else 1.
    pub fn exit(self, well: bool) -> ! {
        end(well)
    }

    /// Ends the emulation of a program that cannot begin: the board or its memory is taken.
    pub fn fail() -> ! {
        end(false)
    }

    /// Writes to the serial line of a board that someone has.
    pub(crate) fn say(text: fmt::Arguments<'_>) {
        let _ = Serial::new().write_fmt(text);
    }
}

fn end(well: bool) -> ! {
    loop {
        debug::exit(if well { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}

impl Write for Emulated {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.serial.write_str(text)
    }
}

impl Board for Emulated {
    const UNIT: &'static str = "instructions";
    const PER_SECOND: u64 = INSTRUCTIONS_PER_SECOND;
    type Pin = Pin;

    fn count(&mut self) -> u64 {
        self.counter.count() * 1_000_000_000 / CLOCK / INSTRUCTION_NS
    }

    fn read(&mut self) -> Option<u8> {
        self.serial.read()
    }

    fn pin(&mut self) -> &mut Pin {
        &mut self.pin
    }
}

#[exception]
fn SysTick() {
    systick::wrapped();
}
