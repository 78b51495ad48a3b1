//! A line typed on the serial line, echoed as terminals expect it.

use crate::Board;
use heapless::Vec;

/// Longest prompt, in bytes; what is typed beyond is not taken, nor echoed.
pub(crate) const LONGEST: usize = 200;

const END_OF_TRANSMISSION: u8 = 4;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;

/// Waits for a line, and gives it without its end; `None` after Control-D.
pub(crate) fn read<B: Board>(board: &mut B) -> Option<Vec<u8, LONGEST>> {
    let mut line = Vec::new();
    loop {
        match board.read() {
            None => {}
            Some(END_OF_TRANSMISSION) => return None,
            Some(b'\r' | b'\n') => return Some(line),
            Some(BACKSPACE | DELETE) => erase(board, &mut line),
            Some(byte) => {
                let _ = line.push(byte);
                echo(board, &line);
            }
        }
    }
}

/// Takes the last character off the line and the screen.
fn erase<B: Board>(board: &mut B, line: &mut Vec<u8, LONGEST>) {
    // The bytes of a character after its first are 10xxxxxx.
    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    let _ = board.write_str("\x08 \x08");
}

/// Shows the character that ends the line, once it is whole.
fn echo<B: Board>(board: &mut B, line: &[u8]) {
    let start = line.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    if let Ok(character) = core::str::from_utf8(&line[start..]) {
        let _ = board.write_str(character);
    }
}
