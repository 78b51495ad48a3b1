//! QEMU's `virt` for RISC-V: a 16550 UART, the counter of instructions, a register that ends the emulation; no pins.

use crate::virt::registers::{DATA, END, STATUS};
use crate::{INSTRUCTIONS_PER_SECOND, PAINTED};
use core::convert::Infallible;
use core::fmt::{self, Write};
use embedded_hal::digital::{ErrorType, OutputPin};
use portable_atomic::{AtomicBool, Ordering};
pub use riscv_rt::entry;
use whit_firmware::{Board, stack};

#[allow(unsafe_code, reason = "registers")]
mod registers {
    use crate::register::Register;

    /// What the UART sends and has received.
    // SAFETY: a register of the UART, which changes no memory.
    pub(super) const DATA: Register<u8> = unsafe { Register::new(0x1000_0000) };

    /// The state of its line.
    // SAFETY: as above.
    pub(super) const STATUS: Register<u8> = unsafe { Register::new(0x1000_0005) };

    /// Ends the emulation.
    // SAFETY: the register of the test device, which changes no memory.
    pub(super) const END: Register<u32> = unsafe { Register::new(0x10_0000) };
}

const RECEIVED: u8 = 1;
const CAN_SEND: u8 = 1 << 5;

/// The board.
#[derive(Debug)]
pub struct Emulated(NoPin);

impl Emulated {
    /// The board, once.
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        stack::paint(PAINTED);
        (!TAKEN.swap(true, Ordering::Relaxed)).then_some(Self(NoPin))
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
        let _ = Self(NoPin).write_fmt(text);
    }
}

fn end(well: bool) -> ! {
    loop {
        END.write(if well { 0x5555 } else { 1 << 16 | 0x3333 });
    }
}

impl Write for Emulated {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while STATUS.read() & CAN_SEND == 0 {}
            DATA.write(byte);
        }
        Ok(())
    }
}

impl Board for Emulated {
    const UNIT: &'static str = "instructions";
    const PER_SECOND: u64 = INSTRUCTIONS_PER_SECOND;
    type Pin = NoPin;

    fn count(&mut self) -> u64 {
        riscv::register::minstret::read64()
    }

    fn read(&mut self) -> Option<u8> {
        (STATUS.read() & RECEIVED != 0).then(|| DATA.read())
    }

    fn pin(&mut self) -> &mut NoPin {
        &mut self.0
    }
}

/// A pin that leads nowhere.
#[derive(Debug)]
pub struct NoPin;

impl ErrorType for NoPin {
    type Error = Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
