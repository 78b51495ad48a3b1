//! The boards that QEMU emulates: one for each target, with a serial line, a counter of instructions and a pin.
//!
//! | target | board | core |
//! |---|---|---|
//! | thumbv6m-none-eabi | microbit | Cortex-M0 |
//! | thumbv7em-none-eabihf | mps2-an386, mps2-an500 | Cortex-M4F, M7 |
//! | thumbv8m.main-none-eabihf | mps2-an505 | Cortex-M33 |
//! | riscv32imc-unknown-none-elf | virt | RV32IMC |
//!
//! The counter counts instructions where QEMU runs with `-icount 6`; without, it means nothing.
#![no_std]

#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(any(board = "mps2", board = "mps2-an505"))]
mod mps2;
#[cfg(board = "microbit")]
mod nrf51;
mod register;
#[cfg(board = "virt")]
mod virt;

#[cfg(target_arch = "arm")]
pub use cortex_m::{Emulated, entry};
#[cfg(board = "virt")]
pub use virt::{Emulated, entry};

// For the functions in it that the compiler calls.
#[cfg(any(board = "microbit", board = "virt"))]
use whit_floats as _;

/// Tokens that programs take at a time: one where memory is small.
pub const BATCH: usize = if cfg!(board = "microbit") { 1 } else { 8 };

/// Most bytes of stack that are painted: more than any program needs, less than would take long.
const PAINTED: usize = 64 * 1024;

/// Nanoseconds that QEMU gives to an instruction with `-icount 6`.
const INSTRUCTION_NS: u64 = 1 << 6;

/// Instructions for each second of the emulated clock.
const INSTRUCTIONS_PER_SECOND: u64 = 1_000_000_000 / INSTRUCTION_NS;

/// Says where a program of the suite panicked. In others, as on a board, texts and places of all panics would be ten
/// kilobytes: they only end.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if cfg!(feature = "suite") {
        Emulated::say(format_args!("{info}\n"));
    }
    Emulated::fail()
}
