//! The program of a board: a prompt on the serial line, text back, token by token.

use crate::board::Measurement;
use crate::{Board, line, stack};
use whit::{Error, Model, Sampling, Session, SessionOptions};

/// What a text cost, in units of the board's counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The prompt, until the first token can be drawn.
    pub prompt: u64,
    /// All tokens.
    pub tokens: u64,
    /// How many they were.
    pub drawn: u64,
}

/// Continues every line that is typed by at most `tokens` tokens, until Control-D. An empty line begins a text; where the
/// model has no token for that, it continues the end of a line.
///
/// # Errors
/// If the model is damaged, or the arena too small for it.
pub fn generate<B: Board>(
    board: &mut B,
    model: &[u8],
    arena: &mut [u8],
    options: impl Fn(&Model<'_>) -> SessionOptions,
    tokens: usize,
) -> Result<(), Error> {
    let model = Model::parse(model)?;
    let sampling = model.sampling()?;
    let mut session = model.session(arena, options(&model))?;
    loop {
        let _ = board.write_str("> ");
        let Some(typed) = line::read(board) else {
            return Ok(());
        };
        let Ok(prompt) = core::str::from_utf8(&typed) else {
            let _ = writeln!(board, "\nthat is not UTF-8");
            continue;
        };
        session.reset();
        match continue_text(board, &mut session, prompt, &sampling, tokens) {
            Ok(timing) => report(board, &timing),
            Err(error) => {
                let _ = writeln!(board, "\n{error}");
            }
        }
    }
}

/// Writes at most `tokens` tokens after `prompt`. The measuring pin is high while the prompt is read, and while a token is
/// computed: fed and drawn. Nothing was fed before the first.
///
/// # Errors
/// As [`Session::generate`].
#[inline(never)]
pub fn continue_text<B: Board>(
    board: &mut B,
    session: &mut Session<'_, '_>,
    prompt: &str,
    sampling: &Sampling,
    tokens: usize,
) -> Result<Timing, Error> {
    let begins =
        session.model().tokenizer().is_some_and(|tokenizer| tokenizer.bos().or(tokenizer.eos()).is_some());
    let prompt = if prompt.is_empty() && !begins { "\n" } else { prompt };
    let measurement = Measurement::start(board);
    let mut text = session.generate(prompt, sampling);
    let mut timing = Timing { prompt: measurement.end(board), ..Timing::default() };
    // A reference: moving the text out of the result would take its size of the stack again.
    let text = text.as_mut().map_err(|error| *error)?;
    text.limit_tokens(tokens);
    while text.finish().is_none() {
        let measurement = Measurement::start(board);
        text.draw();
        timing.tokens += measurement.end(board);
        while let Some(piece) = text.decoded() {
            let _ = board.write_str(&piece);
        }
    }
    timing.drawn = text.tokens() as u64;
    Ok(timing)
}

fn report<B: Board>(board: &mut B, timing: &Timing) {
    let tenths = (10 * timing.drawn * B::PER_SECOND).checked_div(timing.tokens).unwrap_or(0);
    let each = timing.tokens.checked_div(timing.drawn).unwrap_or(0);
    let Timing { prompt, drawn, .. } = timing;
    let _ = writeln!(
        board,
        "\n[{drawn} tokens, {}.{} a second: {each} {unit} each, the prompt {prompt}; {} bytes of stack]",
        tenths / 10,
        tenths % 10,
        stack::used(),
        unit = B::UNIT,
    );
}
