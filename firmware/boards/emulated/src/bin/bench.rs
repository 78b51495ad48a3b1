//! Counts the instructions of matrix × vector and of tokens.
#![no_std]
#![no_main]

use static_cell::ConstStaticCell;
use whit::Aligned;
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{bench, self_test_arena};

static ARENA: ConstStaticCell<Aligned<[u8; self_test_arena(BATCH)]>> =
    ConstStaticCell::new(Aligned::zeroed());

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(arena)) = (Emulated::take(), ARENA.try_take()) else { Emulated::fail() };
    let result = bench(&mut board, arena, BATCH);
    board.exit(result.is_ok())
}
