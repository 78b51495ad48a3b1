//! What the model in a program costs on a board: `whit bench FILE --on NAME` builds this, runs it and reads its lines.

use crate::board::Measurement;
use crate::{Board, MODEL, continue_text, stack};
use whit::cost::{Meter, Products, Work, tokens};
use whit::kernels::Backend;
use whit::{Error, Model, SessionOptions, Token};

/// Tokens of a text that is written at the end, for what tokenizer and sampling take of the stack.
const TEXT: usize = 4;

/// Counts the products of every backend and the tokens of [`MODEL`], a line for each; then writes a few tokens, and says how
/// much stack all of that used. `arena` is for a session with `options`.
///
/// # Errors
/// If the model cannot be run in `arena`.
pub fn cost<B: Board>(
    board: &mut B,
    arena: &mut [u8],
    options: impl Fn(&Model<'_>) -> SessionOptions,
    fed: [&[Token]; 2],
) -> Result<(), Error> {
    let model = Model::parse(MODEL)?;
    let mut lines = Lines { board, running: None };
    for backend in Backend::available() {
        backend.run(Products { model: &model, arena: &mut *arena, meter: &mut lines })?;
    }
    tokens(&model, arena, options(&model), fed, &mut lines)?;
    if model.tokenizer().is_some() {
        text(board, &model, arena, options(&model))?;
    }
    let _ = writeln!(board, "\nstack\t{}\t{}", stack::used(), stack::left());
    Ok(())
}

#[inline(never)]
fn text<B: Board>(
    board: &mut B,
    model: &Model<'_>,
    arena: &mut [u8],
    options: SessionOptions,
) -> Result<(), Error> {
    let sampling = model.sampling()?;
    let mut session = model.session(arena, options)?;
    continue_text(board, &mut session, "", &sampling, TEXT).map(drop)
}

/// A line for each piece of work.
struct Lines<'b, B> {
    board: &'b mut B,
    running: Option<Measurement>,
}

impl<B: Board> Meter for Lines<'_, B> {
    fn start(&mut self) {
        self.running = Some(Measurement::start(self.board));
    }

    fn end(&mut self, work: Work, backend: &'static str) {
        if let Some(running) = self.running.take() {
            let cost = running.end(self.board);
            let _ = writeln!(self.board, "{work}\t{backend}\t{cost}");
        }
    }
}
