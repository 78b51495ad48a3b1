//! A display of 128 by 64 pixels with an SSD1306 at I²C address 0x3c.

use embassy_rp::Peri;
use embassy_rp::i2c::{self, Blocking, I2c};
use embassy_rp::peripherals::{I2C0, PIN_4, PIN_5};
use ssd1306::mode::{BufferedGraphicsMode, DisplayConfig};
use ssd1306::prelude::{DisplayRotation, DisplaySize128x64, I2CInterface};
use ssd1306::{I2CDisplayInterface, Ssd1306};
use whit_firmware::Screen;

type Interface = I2CInterface<I2c<'static, I2C0, Blocking>>;
type Display = Ssd1306<Interface, DisplaySize128x64, BufferedGraphicsMode<DisplaySize128x64>>;

/// The screen; where none is, the text goes to the serial line alone.
pub(crate) fn screen(
    bus: Peri<'static, I2C0>,
    data: Peri<'static, PIN_4>,
    clock: Peri<'static, PIN_5>,
) -> Screen<Display, 21, 6> {
    let mut config = i2c::Config::default();
    config.frequency = 400_000;
    let interface = I2CDisplayInterface::new(I2c::new_blocking(bus, clock, data, config));
    let mut display =
        Ssd1306::new(interface, DisplaySize128x64, DisplayRotation::Rotate0).into_buffered_graphics_mode();
    let _ = display.init();
    Screen::new(display, |display| {
        let _ = display.flush();
    })
}
