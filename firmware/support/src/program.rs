//! The program of real boards: checks the model in it, then continues every line that is typed.

use crate::{Board, MODEL, check, generate, proven, stack};
use static_cell::ConstStaticCell;
use whit::{Aligned, Error, Proven, SessionOptions};

/// Positions of context; of a recurrent model the tokens that its repetition penalty remembers.
pub const CONTEXT: usize = 64;

/// The longest text, in tokens.
pub const TOKENS: usize = 200;

/// Tokens of a prompt that are read at a time.
const BATCH: usize = SessionOptions::BATCH;

/// Most bytes of stack that are painted: more than the program needs, less than would take long.
const PAINTED: usize = 32 * 1024;

static PROVEN: Proven = proven(BATCH);

/// Everything that the model needs beside its file and the stack.
static ARENA: ConstStaticCell<Aligned<[u8; PROVEN.arena_size()]>> = ConstStaticCell::new(Aligned::zeroed());

/// Runs the model on a board, once and for ever; Control-D begins again with the check.
///
/// # Panics
/// If there is a second board.
pub fn run<B: Board>(mut board: B) -> ! {
    stack::paint(PAINTED);
    let arena = ARENA.take();
    loop {
        if let Err(error) = talk(&mut board, arena) {
            #[cfg(feature = "defmt")]
            defmt::error!("{}", defmt::Display2Format(&error));
            let _ = writeln!(board, "{error}\nAny key tries again.");
            while board.read().is_none() {}
        }
    }
}

/// From the first line to Control-D.
fn talk<B: Board>(board: &mut B, arena: &mut [u8]) -> Result<(), Error> {
    #[cfg(feature = "defmt")]
    defmt::info!("a model of {} bytes, an arena of {}", MODEL.len(), arena.len());
    let _ = writeln!(board, "\nwhit: a model of {} bytes, an arena of {}", MODEL.len(), arena.len());
    // A reference: moving the session out of the result would take its size of the stack again.
    let mut session = PROVEN.session(arena);
    let session = session.as_mut().map_err(|error| *error)?;
    if !check(board, "model", session) {
        #[cfg(feature = "defmt")]
        defmt::error!("the model computes other bits here than where it was made");
    }
    generate(board, session, TOKENS)
}
