//! What a model costs on a core that is not here: instructions for each token and for each product, counted in an emulator,
//! the same ones every time and on every machine.
//!
//! A board's program is built with the model in it (`firmware/boards/emulated`, the program `cost`), so that it is sized as on a
//! device; a core with Linux runs one that reads the file (`benches/src/bin/counted_model.rs`). Both measure by
//! `whit::cost`. That takes their sources, Rust's target and the emulator: [`EmulatedError::Missing`] says what is not there.
//! Cargo tells on stderr what it compiles.

mod build;
mod core;
mod counting;
mod counts;
mod elf;
mod emulator;
mod error;
mod needs;
mod report;

pub use self::core::Core;
pub use error::{EmulatedError, Missing};
pub use report::{Memory, Product, Report};

use self::core::Place;
use crate::arena::Arena;
use crate::map::Map;
use counting::Counting;
use std::path::Path;
use whit::{Model, SessionOptions, Token};

/// More tokens than this say no more.
pub const MOST_TOKENS: usize = 1024;

/// How much to count.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// Tokens of the prompt; at most the model's context are used.
    pub prompt: usize,
    /// Tokens decoded; at most the model's context are used.
    pub decode: usize,
}

/// What [`count`] is at.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A program is built for this target.
    Building(&'static str),
    /// Of so much work so much is counted.
    Counting(usize, usize),
}

/// Counts the model at `path` on `core`; the sources are around the current folder or this program, unless `firmware` says
/// where.
///
/// # Errors
/// What is missing, that the model is too large, or why else it cannot be run.
pub fn count(
    path: &Path,
    core: Core,
    tokens: Tokens,
    firmware: Option<&Path>,
    mut at: impl FnMut(Step),
) -> Result<Report, EmulatedError> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let map = Map::open(path).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
    let model = Model::parse(&map).map_err(|error| about(&error))?;
    if tokens.prompt.max(tokens.decode) > MOST_TOKENS {
        return Err(format!("at most {MOST_TOKENS} tokens can be counted in an emulator").into());
    }
    let most = model.architecture().context().map_or(usize::MAX, |context| context as usize);
    let tokens = [tokens.prompt, tokens.decode].map(|tokens| tokens.clamp(1, most));
    let batch = match core.place() {
        Place::Board(board) => board.batch,
        Place::Linux { .. } => SessionOptions::BATCH,
    };
    let options = SessionOptions { batch, ..model.options(tokens[0].max(tokens[1])) };
    // What cannot be run at all is said before anything is built.
    run_once(&model, options).map_err(|error| about(&error))?;
    let checkout = needs::check(core, firmware)?;
    let mut counting = Counting::new(path, core, &model, options, tokens)?;
    at(Step::Building(core.place().target()));
    match core.place() {
        Place::Board(board) => counting.on_board(board, &checkout, &mut at)?,
        Place::Linux { cpu } => counting.on_linux(cpu, &checkout, &mut at)?,
    }
    Ok(counting.report())
}

/// One token, here.
fn run_once(model: &Model<'_>, options: SessionOptions) -> Result<(), String> {
    let mut arena = Arena::new(model.arena_size(&options).map_err(|error| error.to_string())?)?;
    let mut session = model.session(arena.bytes(), options).map_err(|error| error.to_string())?;
    session.feed(&[Token(0)]).map_err(|error| error.to_string())
}
