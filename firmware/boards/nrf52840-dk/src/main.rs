//! nRF52840-DK: the serial line of its debug probe with 115,200 bits a second, the measuring pin on A0 (P0.03).
#![no_std]
#![no_main]

mod debug;

use cortex_m_rt::entry;
use defmt_rtt as _;
use nrf52840_hal::gpio::{Level, p0};
use nrf52840_hal::uarte::{self, Baudrate, Parity, Uarte};
use nrf52840_hal::{Clocks, pac};
use panic_probe as _;
use static_cell::ConstStaticCell;
use whit_firmware::{SerialBoard, dwt, run};

/// Cycles in a second.
const CLOCK: u64 = 64_000_000;

/// The byte that is sent. Of one byte only: with more, `write` of version 0.19 expects texts that fill what is free.
static SENT: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0]);

/// The byte that is received.
static RECEIVED: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0]);

#[entry]
fn main() -> ! {
    let (Some(chip), Some(core)) = (pac::Peripherals::take(), cortex_m::Peripherals::take()) else {
        defmt::panic!("the board is taken");
    };
    debug::keep_open(&chip);
    // The crystal, for seconds and bits of the right length.
    Clocks::new(chip.CLOCK).enable_ext_hfosc();
    chip.NVMC.icachecnf.write(|w| w.cacheen().enabled());
    let port = p0::Parts::new(chip.P0);
    let pins = uarte::Pins {
        txd: port.p0_06.into_push_pull_output(Level::High).degrade(),
        rxd: port.p0_08.into_floating_input().degrade(),
        cts: None,
        rts: None,
    };
    let uarte = Uarte::new(chip.UARTE0, pins, Parity::EXCLUDED, Baudrate::BAUD115200);
    let Ok((sender, receiver)) = uarte.split(SENT.take(), RECEIVED.take()) else {
        defmt::panic!("a byte is no buffer");
    };
    run(SerialBoard {
        receiver,
        sender,
        pin: port.p0_03.into_push_pull_output(Level::Low),
        counter: dwt::Counter::<CLOCK>::new(core.DCB, core.DWT),
    })
}
