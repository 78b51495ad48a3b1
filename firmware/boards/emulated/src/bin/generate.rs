//! Continues every line that comes over the serial line: the model that `WHIT_MODEL` names, or the built-in one.
#![no_std]
#![no_main]

use static_cell::ConstStaticCell;
use whit::{Aligned, Error, Proven};
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{TOKENS, generate, proven};

static MODEL: Proven = proven(BATCH);
static ARENA: ConstStaticCell<Aligned<[u8; MODEL.arena_size()]>> = ConstStaticCell::new(Aligned::zeroed());

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(arena)) = (Emulated::take(), ARENA.try_take()) else { Emulated::fail() };
    let result = talk(&mut board, arena);
    board.exit(result.is_ok())
}

fn talk(board: &mut Emulated, arena: &mut [u8]) -> Result<(), Error> {
    // A reference: moving the session out of the result would take its size of the stack again.
    let mut session = MODEL.session(arena);
    generate(board, session.as_mut().map_err(|error| *error)?, TOKENS)
}
