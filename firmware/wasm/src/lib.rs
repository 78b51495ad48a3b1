//! A host of WebAssembly as a board: what it imports to write, to tell when a token is done, to read a clock and to end.
#![no_std]
#![allow(unsafe_code, reason = "imported functions")]

use core::convert::Infallible;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use embedded_hal::digital::{ErrorType, OutputPin, PinState};
use whit_firmware::Board;

mod imported {
    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        pub(super) fn write(text: *const u8, len: usize);
        pub(super) safe fn pin(high: bool);
        pub(super) safe fn nanoseconds() -> u64;
        pub(super) safe fn exit(code: i32);
    }
}

/// Tokens that programs take at a time.
pub const BATCH: usize = 8;

/// The host.
#[derive(Debug, Default)]
pub struct Host(Pin);

impl Host {
    /// Ends the program; exit code 0 if all is `well`, else 1.
    pub fn exit(self, well: bool) {
        imported::exit(i32::from(!well));
    }

    /// Says why the program stops, and stops it.
    pub fn panicked(info: &PanicInfo<'_>) -> ! {
        let _ = writeln!(Self::default(), "{info}");
        core::arch::wasm32::unreachable()
    }
}

impl Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the host reads these bytes and nothing else.
        unsafe { imported::write(text.as_ptr(), text.len()) }
        Ok(())
    }
}

impl Board for Host {
    const UNIT: &'static str = "ns";
    const PER_SECOND: u64 = 1_000_000_000;
    type Pin = Pin;

    fn count(&mut self) -> u64 {
        imported::nanoseconds()
    }

    fn read(&mut self) -> Option<u8> {
        None
    }

    fn pin(&mut self) -> &mut Pin {
        &mut self.0
    }
}

/// The measuring pin: the host hears of it.
#[derive(Debug, Default)]
pub struct Pin;

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set_state(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set_state(PinState::High)
    }

    fn set_state(&mut self, state: PinState) -> Result<(), Infallible> {
        imported::pin(state == PinState::High);
        Ok(())
    }
}
