//! The runtime and hardly anything else: opens a model, continues one prompt, writes the text.
#![no_std]
#![no_main]

use core::fmt::Write;
use static_cell::ConstStaticCell;
use whit::{Aligned, Error, Model, SessionOptions, arena_size_in_batches};
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{CONTEXT, MODEL};

static ARENA: ConstStaticCell<Aligned<[u8; arena_size_in_batches(MODEL, CONTEXT, BATCH)]>> =
    ConstStaticCell::new(Aligned::zeroed());

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(arena)) = (Emulated::take(), ARENA.try_take()) else { Emulated::fail() };
    let result = write(&mut board, arena);
    board.exit(result.is_ok())
}

fn write(board: &mut Emulated, arena: &mut [u8]) -> Result<(), Error> {
    let model = Model::parse(MODEL)?;
    let mut session = model.session(arena, SessionOptions { batch: BATCH, ..model.options(CONTEXT) })?;
    let mut text = session.generate("ROMEO:", &model.sampling()?)?;
    text.limit_tokens(CONTEXT);
    for piece in text {
        let _ = board.write_str(&piece);
    }
    Ok(())
}
