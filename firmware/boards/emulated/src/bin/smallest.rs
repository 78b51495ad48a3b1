//! The runtime and hardly anything else: opens a model, continues one prompt, writes the text.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::hint::black_box;
use static_cell::ConstStaticCell;
use whit::{Aligned, Error, Model, Proven, SessionOptions};
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{CONTEXT, proven};

static MODEL: Proven = proven(BATCH);
static ARENA: ConstStaticCell<Aligned<[u8; MODEL.arena_size()]>> = ConstStaticCell::new(Aligned::zeroed());

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(arena)) = (Emulated::take(), ARENA.try_take()) else { Emulated::fail() };
    let result = write(&mut board, arena);
    board.exit(result.is_ok())
}

fn write(board: &mut Emulated, arena: &mut [u8]) -> Result<(), Error> {
    // For all that the compiler knows it could be another model: what the features bring is to stay in the program.
    let mut session = if cfg!(feature = "from-outside") {
        let model = Model::parse(black_box(whit_firmware::MODEL))?;
        model.session(arena, SessionOptions { batch: BATCH, ..model.options(CONTEXT) })?
    } else {
        black_box(&MODEL).session(arena)?
    };
    let mut text = session.generate("ROMEO:", &session.model().sampling()?)?;
    text.limit_tokens(CONTEXT);
    for piece in text {
        let _ = board.write_str(&piece);
    }
    Ok(())
}
