//! Boards with an ESP32-C3, as the DevKitM-1: UART0, which their USB port leads to, with 115,200 bits a second, the measuring
//! pin on GPIO 4.
#![no_std]
#![no_main]

use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::main;
use esp_hal::time::Instant;
use esp_hal::uart::{self, Uart};
use whit_firmware::{Count, SerialBoard, run};

esp_bootloader_esp_idf::esp_app_desc!();

/// The system timer, which counts from the reset, whatever the core does.
struct Timer;

impl Count for Timer {
    const UNIT: &'static str = "microseconds";
    const PER_SECOND: u64 = 1_000_000;

    fn count(&mut self) -> u64 {
        Instant::now().duration_since_epoch().as_micros()
    }
}

#[main]
fn main() -> ! {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let Ok(uart) = Uart::new(chip.UART0, uart::Config::default()) else {
        panic!("the UART cannot be that fast");
    };
    let (receiver, sender) = uart.with_rx(chip.GPIO20).with_tx(chip.GPIO21).split();
    run(SerialBoard {
        receiver,
        sender,
        pin: Output::new(chip.GPIO4, Level::Low, OutputConfig::default()),
        counter: Timer,
    })
}
