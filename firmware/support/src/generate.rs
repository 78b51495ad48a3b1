//! The program of a board: a prompt on the serial line, text back, token by token.

use crate::board::Measurement;
use crate::{Board, line, stack};
use whit::{Error, Sampling, Session};

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
/// If the model asks to be sampled in a way that is out of range.
pub fn generate<B: Board>(board: &mut B, session: &mut Session<'_, '_>, tokens: usize) -> Result<(), Error> {
    let sampling = session.model().sampling()?;
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
        match continue_text(board, session, prompt, &sampling, tokens) {
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
    #[cfg(feature = "defmt")]
    defmt::info!("{} tokens, {} {} each, the prompt {}", drawn, each, B::UNIT, prompt);
    let _ = writeln!(
        board,
        "\n[{drawn} tokens, {}.{} a second: {each} {unit} each, the prompt {prompt}; {} bytes of stack]",
        tenths / 10,
        tenths % 10,
        stack::used(),
        unit = B::UNIT,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MODELS, self_test_arena};
    use core::convert::Infallible;
    use core::fmt;
    use embedded_hal::digital::{ErrorType, OutputPin};
    use std::boxed::Box;
    use std::collections::VecDeque;
    use std::string::String;
    use whit::{Aligned, Model, SessionOptions};

    /// A board whose counter counts its calls.
    #[derive(Default)]
    struct Recorder {
        typed: VecDeque<u8>,
        written: String,
        calls: u64,
        pin: Pin,
    }

    #[derive(Default)]
    struct Pin {
        is_high: bool,
        pulses: usize,
    }

    impl ErrorType for Pin {
        type Error = Infallible;
    }

    impl OutputPin for Pin {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.is_high = false;
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            assert!(!self.is_high, "one pulse within another");
            self.is_high = true;
            self.pulses += 1;
            Ok(())
        }
    }

    impl fmt::Write for Recorder {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            assert!(!self.pin.is_high, "text goes out while something is measured");
            self.written += text;
            Ok(())
        }
    }

    impl Board for Recorder {
        const UNIT: &'static str = "calls";
        const PER_SECOND: u64 = 1000;
        type Pin = Pin;

        fn count(&mut self) -> u64 {
            self.calls += 1;
            self.calls
        }

        fn read(&mut self) -> Option<u8> {
            Some(self.typed.pop_front().unwrap_or(4))
        }

        fn pin(&mut self) -> &mut Pin {
            &mut self.pin
        }
    }

    /// What a board writes when `typed` is, and its pulses; at most `tokens` tokens a line.
    fn answer(typed: &str, tokens: usize) -> (String, usize) {
        let mut board = Recorder { typed: typed.bytes().collect(), ..Recorder::default() };
        let model = MODELS.iter().find(|model| model.name == "shakespeare-small");
        let mut arena = Box::new(Aligned::<[u8; self_test_arena(SessionOptions::BATCH)]>::zeroed());
        let generated = model.map(|included| {
            let model = Model::parse(included.bytes)?;
            let mut session = model.session(&mut **arena, model.options(64))?;
            generate(&mut board, &mut session, tokens)
        });
        assert_eq!(generated, Some(Ok(())));
        (board.written, board.pin.pulses)
    }

    #[test]
    fn the_pin_is_high_once_for_a_prompt_and_once_for_every_token() {
        let (written, pulses) = answer("ROMEO:\n", 12);
        assert!(written.starts_with("> ROMEO:\n"), "{written}");
        assert!(written.contains("[12 tokens, "), "{written}");
        assert_eq!(pulses, 1 + 12);
        assert_eq!(answer("ROMEO:\nJULIET:\n\n", 3).1, 3 * (1 + 3));
    }

    #[test]
    fn what_is_taken_back_is_no_part_of_the_prompt() {
        let (plain, _) = answer("ROMEO:\n", 20);
        let (corrected, _) = answer("ROMEé\u{7f}O:\r", 20);
        assert_eq!(corrected.replace("é\u{8} \u{8}", ""), plain);
    }
}
