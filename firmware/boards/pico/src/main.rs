//! Raspberry Pi Pico: UART0 on GP0 (out) and GP1 (in) with 115,200 bits a second, the measuring pin on GP2.
//! With the feature `display`, text on an SSD1306 as well, at GP4 (data) and GP5 (clock).
#![no_std]
#![no_main]

#[cfg(feature = "display")]
mod display;

use cortex_m_rt::{entry, exception};
use defmt_rtt as _;
use embassy_rp::clocks::ClockConfig;
use embassy_rp::config::Config;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::uart::{self, Uart};
use panic_probe as _;
use whit_firmware::{Polled, SerialBoard, run, systick};
use whit_floats as _;

/// Cycles in a second.
const CLOCK: u32 = 125_000_000;

#[entry]
fn main() -> ! {
    let (Some(clocks), Some(core)) = (ClockConfig::system_freq(CLOCK).ok(), cortex_m::Peripherals::take())
    else {
        defmt::panic!("the clock is out of range, or the core is taken");
    };
    let chip = embassy_rp::init(Config::new(clocks));
    let uart = Uart::new_blocking(chip.UART0, chip.PIN_0, chip.PIN_1, uart::Config::default());
    let (sender, receiver) = uart.split();
    let board = SerialBoard {
        receiver: Polled::new(receiver),
        sender,
        pin: Output::new(chip.PIN_2, Level::Low),
        counter: systick::Counter::<{ CLOCK as u64 }>::new(core.SYST),
    };
    #[cfg(feature = "display")]
    let board = whit_firmware::Mirrored { board, screen: display::screen(chip.I2C0, chip.PIN_4, chip.PIN_5) };
    run(board)
}

#[exception]
fn SysTick() {
    systick::wrapped();
}
