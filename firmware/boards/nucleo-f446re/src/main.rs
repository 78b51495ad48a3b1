//! Nucleo-F446RE: the serial line of its debug probe (USART2) with 115,200 bits a second, the measuring pin on A0 (PA0).
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use defmt_rtt as _;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::rcc::{APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllSource, Sysclk};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, Uart};
use embassy_stm32::{Config, pac};
use panic_probe as _;
use whit_firmware::{Polled, SerialBoard, dwt, run};

/// Cycles in a second.
const CLOCK: u64 = 180_000_000;

/// 180 MHz from the 8 MHz that the debug probe gives.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hsi = false;
    rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Bypass });
    rcc.pll_src = PllSource::HSE;
    rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL180,
        divp: Some(PllPDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.apb1_pre = APBPrescaler::DIV4;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.sys = Sysclk::PLL1_P;
    config
}

#[entry]
fn main() -> ! {
    let Some(core) = cortex_m::Peripherals::take() else {
        defmt::panic!("the core is taken");
    };
    let chip = embassy_stm32::init(clocks());
    // Flash takes six cycles: prefetching, and the caches before it.
    pac::FLASH.acr().modify(|w| {
        w.set_prften(true);
        w.set_icen(true);
        w.set_dcen(true);
    });
    let Ok(uart) = Uart::new_blocking(chip.USART2, chip.PA3, chip.PA2, usart::Config::default()) else {
        defmt::panic!("the UART cannot be that fast");
    };
    let (sender, receiver) = uart.split();
    run(SerialBoard {
        receiver: Polled::new(receiver),
        sender,
        pin: Output::new(chip.PA0, Level::Low, Speed::Low),
        counter: dwt::Counter::<CLOCK>::new(core.DCB, core.DWT),
    })
}
