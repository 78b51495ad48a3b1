//! Nucleo-H743ZI and H743ZI2: the serial line of the debug probe (USART3) with 115,200 bits a second, the measuring pin on A0
//! (PA3).
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use defmt_rtt as _;
use embassy_stm32::Config;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, Uart};
use panic_probe as _;
use whit_firmware::{Polled, SerialBoard, dwt, run};

/// Cycles in a second.
const CLOCK: u64 = 400_000_000;

/// 400 MHz, the most for every revision of the chip, from the 8 MHz that the debug probe gives.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Bypass });
    rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL100,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV2;
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.apb3_pre = APBPrescaler::DIV2;
    rcc.apb4_pre = APBPrescaler::DIV2;
    rcc.voltage_scale = VoltageScale::Scale1;
    config
}

#[entry]
fn main() -> ! {
    let Some(mut core) = cortex_m::Peripherals::take() else {
        defmt::panic!("the core is taken");
    };
    let chip = embassy_stm32::init(clocks());
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let Ok(uart) = Uart::new_blocking(chip.USART3, chip.PD9, chip.PD8, usart::Config::default()) else {
        defmt::panic!("the UART cannot be that fast");
    };
    let (sender, receiver) = uart.split();
    run(SerialBoard {
        receiver: Polled::new(receiver),
        sender,
        pin: Output::new(chip.PA3, Level::Low, Speed::Low),
        counter: dwt::Counter::<CLOCK>::new(core.DCB, core.DWT),
    })
}
