//! Continues every line that comes over the serial line: the model that `WHIT_MODEL` names, or the built-in one.
#![no_std]
#![no_main]

use static_cell::ConstStaticCell;
use whit::{Aligned, SessionOptions, arena_size_in_batches};
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{CONTEXT, MODEL, TOKENS, generate};

static ARENA: ConstStaticCell<Aligned<[u8; arena_size_in_batches(MODEL, CONTEXT, BATCH)]>> =
    ConstStaticCell::new(Aligned::zeroed());

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(arena)) = (Emulated::take(), ARENA.try_take()) else { Emulated::fail() };
    let options = |model: &whit::Model<'_>| SessionOptions { batch: BATCH, ..model.options(CONTEXT) };
    let result = generate(&mut board, MODEL, arena, options, TOKENS);
    board.exit(result.is_ok())
}
