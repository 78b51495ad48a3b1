//! From a prompt to text, piece by piece: the loop over session, sampler, stops and decoder.

use crate::error::Error;
use crate::sampler::stop::{GateState, Stops};
use crate::sampler::{Sampler, Sampling};
use crate::session::Session;
use crate::tokenizer::{Decoder, Token, Utf8Stream};

/// A piece of text: whole characters, at most this many bytes.
pub type Piece = heapless::String<PIECE_LEN>;

/// Longest piece: what a gate can hold back, and what [`STEP`] bytes of a token can become.
const PIECE_LEN: usize = 256;

/// Bytes of a token that are taken at a time; each becomes at most the three bytes of U+FFFD.
const STEP: usize = 32;

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model drew a token that ends a text.
    StopToken,
    /// A stop string appeared; it is not part of the text.
    StopString,
    /// The number of tokens asked for was reached.
    MaxTokens,
    /// The context is full.
    ContextFull,
}

/// A text in the making: an iterator over its pieces. [`Generation::finish`] says why it ended.
#[derive(Debug)]
pub struct Generation<'g, 'm, 's> {
    session: &'g mut Session<'m, 's>,
    sampler: Sampler,
    stops: Stops,
    gate: GateState,
    decoder: Decoder<'m>,
    stream: Utf8Stream,
    /// The last token drawn, not fed yet.
    pending: Option<Token>,
    /// Bytes of the last token that are not decoded yet.
    bytes: &'m [u8],
    left: usize,
    drawn: usize,
    finish: Option<Finish>,
    flushed: bool,
}

impl<'m, 's> Session<'m, 's> {
    /// Reads `prompt` and continues it. An empty prompt on an empty session begins a text; on another it continues after
    /// the last token fed, whatever was done with the logits since.
    ///
    /// # Errors
    /// As [`Session::feed_text`]; [`Error::Sampling`] if a setting is out of range, [`Error::Stop`] if the file has too
    /// many stops, [`Error::NothingToContinue`] if there is nothing to begin from, [`Error::Unsupported`] if the model is
    /// not a language model.
    ///
    /// # Example
    /// ```no_run
    /// # fn f(model: whit::Model<'_>, arena: &mut [u8]) -> Result<(), whit::Error> {
    /// let mut session = model.session(arena, model.options(256))?;
    /// for piece in session.generate("The sea", &model.sampling()?)? {
    ///     print!("{piece}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn generate(&mut self, prompt: &str, sampling: &Sampling) -> Result<Generation<'_, 'm, 's>, Error> {
        let sampler = Sampler::new(*sampling)?;
        let begins = self.begin(prompt)?;
        self.generation(sampler, begins)
    }

    /// Reads `prompt` or the token that begins a text; whether that is all that was read.
    fn begin(&mut self, prompt: &str) -> Result<bool, Error> {
        let tokenizer = *self.model().tokenizer().ok_or(Error::NoTokenizer)?;
        if !self.model().architecture().is_language_model() {
            let request = "the model does not predict the next token";
            return Err(Error::Unsupported { request, remedy: "feed it, and read what comes out" });
        }
        let fed = self.feed_text(prompt)?;
        if self.position() == 0 {
            // A model without a token that begins a text may still have one that ends it, and begins the next.
            let begin = tokenizer.bos().or(tokenizer.eos()).ok_or(Error::NothingToContinue)?;
            self.feed(&[begin])?;
        }
        self.restore_logits();
        Ok(fed <= 1 && self.position() == 1 && prompt.is_empty())
    }

    // Kilobytes of stack, which the forward pass in `begin` and the caller's loop are not to have on top of theirs.
    #[inline(never)]
    fn generation(&mut self, sampler: Sampler, begins: bool) -> Result<Generation<'_, 'm, 's>, Error> {
        let stops = self.model().stops()?;
        let tokenizer = *self.model().tokenizer().ok_or(Error::NoTokenizer)?;
        let mut decoder = if begins { tokenizer.decoder() } else { tokenizer.decoder_within_text() };
        if begins && let Some(token) = self.tokens().last() {
            decoder.push(token);
        }
        Ok(Generation {
            session: self,
            sampler,
            stops,
            gate: GateState::default(),
            decoder,
            stream: Utf8Stream::default(),
            pending: None,
            bytes: &[],
            left: usize::MAX,
            drawn: 0,
            finish: None,
            flushed: false,
        })
    }
}

impl Generation<'_, '_, '_> {
    /// Ends the text after `tokens` tokens.
    pub fn max_tokens(mut self, tokens: usize) -> Self {
        self.limit_tokens(tokens);
        self
    }

    /// Ends the text after `tokens` more tokens. A text is about 1.5 KiB, which small stacks should not hold twice.
    pub fn limit_tokens(&mut self, tokens: usize) {
        self.left = tokens;
    }

    /// Also ends the text before `text`.
    ///
    /// # Errors
    /// [`Error::Stop`] if there are too many stop strings or it is too long.
    pub fn stop_at(mut self, text: &str) -> Result<Self, Error> {
        self.stops.add_string(text)?;
        Ok(self)
    }

    /// Why the text ended, once it has.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Tokens drawn so far, one that ended the text included.
    pub fn tokens(&self) -> usize {
        self.drawn
    }

    /// The last token drawn: it is part of the text but not yet of the session, which never computes logits that
    /// nobody reads.
    pub fn pending(&self) -> Option<Token> {
        self.pending
    }

    /// Feeds the token before and draws the next, unless the text has ended: all that a token costs to compute. What was
    /// not yet [decoded](Generation::decoded) of the one before is lost.
    ///
    /// The iterator calls both in turn; they are for programs that measure a token, or have other work between two.
    pub fn draw(&mut self) {
        if self.finish.is_some() {
            return;
        }
        if self.left == 0 {
            self.finish = Some(Finish::MaxTokens);
            return;
        }
        if let Some(token) = self.pending
            && self.session.feed(&[token]).is_err()
        {
            self.finish = Some(Finish::ContextFull);
            return;
        }
        let token = self.session.sample(&mut self.sampler);
        self.pending = Some(token);
        self.left -= 1;
        self.drawn += 1;
        if self.stops.is_stop_token(token.0) {
            self.finish = Some(Finish::StopToken);
        } else {
            self.bytes = self.decoder.push(token);
            self.finish = self.full();
        }
    }

    /// Why no other token can be drawn, whatever the last one's text is.
    fn full(&self) -> Option<Finish> {
        match (self.left, self.session.left()) {
            (0, _) => Some(Finish::MaxTokens),
            (_, 0) => Some(Finish::ContextFull),
            _ => None,
        }
    }

    /// The next piece of what was drawn, without computing more; `None` when it is time to draw, or the text has ended.
    pub fn decoded(&mut self) -> Option<Piece> {
        let mut piece = Piece::new();
        while piece.is_empty() {
            if !self.bytes.is_empty() {
                self.decode(&mut piece);
            } else if self.finish.is_some() && !self.flushed {
                self.flush(&mut piece);
            } else {
                return None;
            }
        }
        Some(piece)
    }

    /// Decodes some bytes of the last token into `piece`.
    fn decode(&mut self, piece: &mut Piece) {
        let (now, then) = self.bytes.split_at(STEP.min(self.bytes.len()));
        self.bytes = then;
        let mut gate = self.stops.resume(self.gate);
        self.stream.push(now, |text| release(&mut gate, text, piece));
        self.gate = gate.state();
        if gate.stopped() {
            self.finish = Some(Finish::StopString);
            self.bytes = &[];
        }
    }

    /// What was held back, when the text ends for another reason than a stop string.
    fn flush(&mut self, piece: &mut Piece) {
        self.flushed = true;
        let mut gate = self.stops.resume(self.gate);
        self.stream.finish(|text| release(&mut gate, text, piece));
        push(piece, gate.finish());
        if gate.stopped() {
            self.finish = Some(Finish::StopString);
        }
    }
}

fn release(gate: &mut crate::sampler::stop::TextGate<'_>, text: &str, piece: &mut Piece) {
    let released = gate.push(text);
    push(piece, released.held);
    push(piece, released.fresh);
}

/// A piece holds what one step can release: 64 bytes held back and three for each of the step's.
fn push(piece: &mut Piece, text: &str) {
    let fits = piece.push_str(text);
    debug_assert!(fits.is_ok(), "PIECE_LEN covers one step");
}

impl Iterator for Generation<'_, '_, '_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.decoded() {
                return Some(piece);
            }
            if self.finish.is_some() {
                return None;
            }
            self.draw();
        }
    }
}
