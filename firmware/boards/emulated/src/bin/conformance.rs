//! Every model's golden transcript and text, the runtime's conformance suite in what memory is there, floats, and copies.
#![no_std]
#![no_main]

use static_cell::ConstStaticCell;
use whit::Aligned;
use whit::kernels::conformance::ROOM;
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{conformance, copies, floats, self_test, self_test_arena};

/// Bytes for the suite: all that it can use, or what the micro:bit has left.
const SUITE: usize = if cfg!(board = "microbit") { 7 * 1024 } else { ROOM };

/// Memory that the models use first, then the suite.
const LEN: usize = if SUITE > self_test_arena(BATCH) { SUITE } else { self_test_arena(BATCH) };

static MEMORY: ConstStaticCell<Aligned<[u8; LEN]>> = ConstStaticCell::new(Aligned::zeroed());

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(memory)) = (Emulated::take(), MEMORY.try_take()) else { Emulated::fail() };
    let held = self_test(&mut board, memory, BATCH);
    let conforms = bytemuck::try_cast_slice_mut(memory).is_ok_and(|room| conformance(&mut board, room));
    let exact = floats(&mut board);
    let copied = copies(&mut board);
    board.exit(held && conforms && exact && copied)
}
