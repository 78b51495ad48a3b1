//! Raspberry Pi Pico 2, its Arm cores: UART0 on GP0 (out) and GP1 (in) with 115,200 bits a second, the measuring pin on GP2.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use defmt_rtt as _;
use embassy_rp::clocks::ClockConfig;
use embassy_rp::config::Config;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::uart::{self, Uart};
use panic_probe as _;
use whit_firmware::{Polled, SerialBoard, dwt, run};

/// Cycles in a second.
const CLOCK: u32 = 150_000_000;

#[entry]
fn main() -> ! {
    let (Some(clocks), Some(core)) = (ClockConfig::system_freq(CLOCK).ok(), cortex_m::Peripherals::take())
    else {
        defmt::panic!("the clock is out of range, or the core is taken");
    };
    let chip = embassy_rp::init(Config::new(clocks));
    let uart = Uart::new_blocking(chip.UART0, chip.PIN_0, chip.PIN_1, uart::Config::default());
    let (sender, receiver) = uart.split();
    run(SerialBoard {
        receiver: Polled::new(receiver),
        sender,
        pin: Output::new(chip.PIN_2, Level::Low),
        counter: dwt::Counter::<{ CLOCK as u64 }>::new(core.DCB, core.DWT),
    })
}
