//! A screen beside the serial line: text wraps at its right edge and scrolls at its lower one.

use crate::Board;
use core::fmt::{self, Write};
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::mono_font::{MonoTextStyle, MonoTextStyleBuilder};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, Drawable, Point};
use embedded_graphics::text::{Baseline, Text};

/// Pixels of a character.
const WIDTH: usize = 6;
const HEIGHT: usize = 10;

const STYLE: MonoTextStyle<'_, BinaryColor> = MonoTextStyleBuilder::new()
    .font(&FONT_6X10)
    .text_color(BinaryColor::On)
    .background_color(BinaryColor::Off)
    .build();

/// What a character looks like that the font has not.
const UNKNOWN: u8 = b'?';

/// A screen of `ROWS` lines of `COLUMNS` characters; 21 by 6 are what 128 by 64 pixels show. What it cannot show is lost.
#[derive(Debug)]
pub struct Screen<D, const COLUMNS: usize, const ROWS: usize> {
    display: D,
    show: fn(&mut D),
    text: [[u8; COLUMNS]; ROWS],
    row: usize,
    column: usize,
}

impl<D: DrawTarget<Color = BinaryColor>, const COLUMNS: usize, const ROWS: usize> Screen<D, COLUMNS, ROWS> {
    /// An empty screen; `show` is called when something was drawn, for displays that are drawn in memory.
    pub fn new(mut display: D, show: fn(&mut D)) -> Self {
        let _ = display.clear(BinaryColor::Off);
        show(&mut display);
        Self { display, show, text: [[b' '; COLUMNS]; ROWS], row: 0, column: 0 }
    }

    fn put(&mut self, character: char) {
        match character {
            '\n' => self.next_line(),
            '\r' => {}
            '\x08' => self.back(),
            _ => {
                if self.column == COLUMNS {
                    self.next_line();
                }
                let shown = u8::try_from(character).ok().filter(|byte| (b' '..=b'~').contains(byte));
                self.text[self.row][self.column] = shown.unwrap_or(UNKNOWN);
                self.draw(self.row, self.column, 1);
                self.column += 1;
            }
        }
    }

    /// To the character before, which may be the last of the line above.
    fn back(&mut self) {
        if self.column == 0 && self.row > 0 {
            (self.row, self.column) = (self.row - 1, COLUMNS);
        }
        self.column = self.column.saturating_sub(1);
    }

    fn next_line(&mut self) {
        self.column = 0;
        if self.row + 1 < ROWS {
            self.row += 1;
            return;
        }
        self.text.rotate_left(1);
        self.text[ROWS - 1].fill(b' ');
        for row in 0..ROWS {
            self.draw(row, 0, COLUMNS);
        }
    }

    /// Draws some characters of a line.
    fn draw(&mut self, row: usize, column: usize, len: usize) {
        let place = Point::new((column * WIDTH) as i32, (row * HEIGHT) as i32);
        if let Ok(text) = core::str::from_utf8(&self.text[row][column..column + len]) {
            let _ = Text::with_baseline(text, place, STYLE, Baseline::Top).draw(&mut self.display);
        }
    }
}

impl<D: DrawTarget<Color = BinaryColor>, const COLUMNS: usize, const ROWS: usize> Write
    for Screen<D, COLUMNS, ROWS>
{
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.put(character);
        }
        (self.show)(&mut self.display);
        Ok(())
    }
}

/// A board whose text appears on a screen, too.
#[derive(Debug)]
pub struct Mirrored<B, S> {
    /// The board.
    pub board: B,
    /// The screen.
    pub screen: S,
}

impl<B: Write, S: Write> Write for Mirrored<B, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.board.write_str(text)?;
        self.screen.write_str(text)
    }
}

impl<B: Board, S: Write> Board for Mirrored<B, S> {
    const UNIT: &'static str = B::UNIT;
    const PER_SECOND: u64 = B::PER_SECOND;
    type Pin = B::Pin;

    fn count(&mut self) -> u64 {
        self.board.count()
    }

    fn read(&mut self) -> Option<u8> {
        self.board.read()
    }

    fn pin(&mut self) -> &mut B::Pin {
        self.board.pin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::mock_display::MockDisplay;
    use std::string::String;

    /// A small screen on a display that may be drawn over.
    fn screen() -> Screen<MockDisplay<BinaryColor>, 5, 3> {
        let mut display = MockDisplay::new();
        display.set_allow_overdraw(true);
        Screen::new(display, |_| {})
    }

    /// The lit pixels of a display, as characters.
    fn lit(display: &MockDisplay<BinaryColor>) -> String {
        let pixels = (0..64).flat_map(|y| (0..64).map(move |x| Point::new(x, y)));
        pixels.map(|at| if display.get_pixel(at) == Some(BinaryColor::On) { '#' } else { '.' }).collect()
    }

    /// The lit pixels when these are the lines.
    fn lines(lines: &[&str]) -> String {
        let mut display = MockDisplay::new();
        display.set_allow_overdraw(true);
        for (row, line) in lines.iter().enumerate() {
            let place = Point::new(0, (row * HEIGHT) as i32);
            let drawn = Text::with_baseline(line, place, STYLE, Baseline::Top).draw(&mut display);
            assert!(drawn.is_ok());
        }
        lit(&display)
    }

    /// The lit pixels after a text.
    fn after(text: &str) -> String {
        let mut screen = screen();
        for piece in text.split_inclusive(' ') {
            assert_eq!(screen.write_str(piece), Ok(()));
        }
        lit(&screen.display)
    }

    #[test]
    fn text_wraps_at_the_right_edge() {
        assert_eq!(after("abcdefg"), lines(&["abcde", "fg"]));
        assert_eq!(after("abcde\nfg"), lines(&["abcde", "fg"]));
    }

    #[test]
    fn text_scrolls_at_the_lower_edge() {
        assert_eq!(after("one\ntwo\nthree\nfour"), lines(&["two", "three", "four"]));
        assert_eq!(after("abcdefghij klmnopq"), lines(&["fghij", " klmn", "opq"]));
    }

    #[test]
    fn what_is_taken_back_is_gone_from_the_line_above_too() {
        assert_eq!(after("abcdef\x08 \x08\x08 \x08x\r"), lines(&["abcdx"]));
    }

    #[test]
    fn a_character_that_the_font_has_not_is_a_question_mark() {
        assert_eq!(after("aé\tb"), lines(&["a??b"]));
    }
}
