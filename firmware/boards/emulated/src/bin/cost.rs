//! Counts what the model that `WHIT_MODEL` names costs: `whit bench FILE --on NAME`, which says how many tokens.
#![no_std]
#![no_main]

use static_cell::ConstStaticCell;
use whit::cost::arbitrary;
use whit::format::File;
use whit::{Aligned, SessionOptions, Token, arena_size_in_batches};
use whit_emulated::{BATCH, Emulated, entry};
use whit_firmware::{MODEL, cost};

const PROMPT: usize = number(option_env!("WHIT_PROMPT_TOKENS"));
const DECODE: usize = number(option_env!("WHIT_DECODE_TOKENS"));
const CONTEXT: usize = if PROMPT > DECODE { PROMPT } else { DECODE };

static TOKENS: [Token; CONTEXT] = match File::architecture(MODEL) {
    Ok(architecture) => arbitrary(architecture.vocabulary()),
    Err(_) => panic!("not a .whit file"),
};

static ARENA: ConstStaticCell<Aligned<[u8; arena_size_in_batches(MODEL, CONTEXT, BATCH)]>> =
    ConstStaticCell::new(Aligned::zeroed());

/// What an environment variable says when this is built; 16 if there is none.
const fn number(variable: Option<&str>) -> usize {
    match variable {
        None => 16,
        Some(text) => match usize::from_str_radix(text, 10) {
            Ok(number) => number,
            Err(_) => panic!("not a number of tokens"),
        },
    }
}

#[entry]
fn main() -> ! {
    let (Some(mut board), Some(arena)) = (Emulated::take(), ARENA.try_take()) else { Emulated::fail() };
    let options = |model: &whit::Model<'_>| SessionOptions { batch: BATCH, ..model.options(CONTEXT) };
    let result = cost(&mut board, arena, options, [&TOKENS[..PROMPT], &TOKENS[..DECODE]]);
    if let Err(error) = result {
        use core::fmt::Write;
        let _ = writeln!(board, "\nerror\t{error}");
    }
    board.exit(result.is_ok())
}
