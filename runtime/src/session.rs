//! A session: one text being read and continued, or one sequence of frames. Its state is a value that can be reset,
//! saved and restored, and feeding a text whole or in any pieces gives the same bits.

mod snapshot;

use crate::error::Error;
use crate::format::{Architecture, Direction};
use crate::kernels::{Kernels, WithKernels};
use crate::layout::SessionOptions;
use crate::model::Model;
use crate::parallel::Workers;
use crate::recurrent::Input;
use crate::sampler::Sampler;
use crate::state::{Chunk, State, StateLayout};
use crate::tokenizer::Token;
use bytemuck::TransparentWrapper;

/// One text in progress on one model. Several may be interleaved, each in its own arena.
///
/// A recurrent model that reads sequences from their end too has no text in progress: every call that feeds it gives a
/// whole sequence, of at most the options' `batch` tokens or frames.
#[derive(Debug)]
pub struct Session<'m, 's> {
    model: Model<'m>,
    workers: &'s dyn Workers,
    options: SessionOptions,
    position: usize,
    /// Whether the logits are still those after the last token.
    logits_hold: bool,
    /// The latest tokens fed, as many as there is room for; of a transformer all of them.
    history: &'s mut [u32],
    remembered: usize,
    state: State<'s>,
}

impl<'m, 's> Session<'m, 's> {
    /// `layout` is one for the model.
    // As with `Model::parse`, what this takes of the stack is not to stay.
    #[inline(never)]
    pub(crate) fn new(
        model: Model<'m>,
        workers: &'s dyn Workers,
        arena: &'s mut [u8],
        layout: &StateLayout,
    ) -> Result<Self, Error> {
        let (history, state) = State::new(layout, arena)?;
        let (position, remembered, logits_hold, options) = (0, 0, false, *layout.options());
        let mut session = Self { model, workers, options, position, logits_hold, history, remembered, state };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// The options that the session was made with.
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// Tokens or frames fed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Positions left in the context; of a model without a limit as many as can be counted.
    pub fn left(&self) -> usize {
        let most = if self.is_limited() { self.options.context } else { usize::MAX };
        most - self.position
    }

    /// The tokens fed so far; of a model without a limit the latest of them, as many as the options' `context`.
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = Token> + ExactSizeIterator + '_ {
        self.history[..self.remembered].iter().map(|&id| Token(id))
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.state.reset();
        self.forget_from(0);
    }

    /// Goes back to the state after the first `position` tokens. Feed at least one token before reading logits.
    ///
    /// # Errors
    /// [`Error::Option`] if fewer tokens were fed; [`Error::Unsupported`] if the model is recurrent, and that is neither
    /// the beginning nor where it is: its earlier states are gone unless they were saved.
    pub fn truncate(&mut self, position: usize) -> Result<(), Error> {
        if position > self.position {
            return Err(Error::Option { option: "position", most: self.position, found: position });
        }
        if position == 0 {
            self.reset();
        } else if self.is_limited() {
            self.forget_from(position);
        } else if position != self.position {
            let request = "a recurrent model cannot go back";
            return Err(Error::Unsupported { request, remedy: "save its state where it shall return to" });
        }
        Ok(())
    }

    fn forget_from(&mut self, position: usize) {
        (self.position, self.remembered, self.logits_hold) = (position, position, false);
        self.state.outputs_mut().fill(0.0);
    }

    /// Reads `tokens`; afterwards [`Session::logits`] are those of the last one. Any split of the tokens among calls
    /// gives the same bits.
    ///
    /// # Errors
    /// [`Error::ContextFull`], [`Error::TokenOutOfRange`], [`Error::SequenceTooLong`], or [`Error::Unsupported`] if the
    /// model takes frames; the session is then unchanged.
    pub fn feed(&mut self, tokens: &[Token]) -> Result<(), Error> {
        self.feed_wanted(tokens, Wanted::Last, &mut |_, _| ())
    }

    /// As [`Session::feed`], handing the logits of every token to `each(index in tokens, logits)`.
    ///
    /// # Errors
    /// As [`Session::feed`].
    pub fn feed_each(&mut self, tokens: &[Token], mut each: impl FnMut(usize, &[f32])) -> Result<(), Error> {
        self.feed_wanted(tokens, Wanted::Each, &mut each)
    }

    fn feed_wanted(&mut self, tokens: &[Token], wanted: Wanted, each: Each<'_>) -> Result<(), Error> {
        let ids = Token::peel_slice(tokens);
        self.check(ids)?;
        self.begin_sequence();
        self.remember(ids);
        self.run(Source::Tokens(ids), ids.len(), wanted, each);
        Ok(())
    }

    /// As [`Session::feed_each`], for a model that takes frames, `[frames][input]`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the model takes tokens, [`Error::Frames`] if the last frame is not whole,
    /// [`Error::SequenceTooLong`]; the session is then unchanged.
    pub fn feed_frames(&mut self, frames: &[f32], mut each: impl FnMut(usize, &[f32])) -> Result<(), Error> {
        let Architecture::Recurrent(recurrent) = *self.model.architecture() else {
            return Err(TAKES_TOKENS);
        };
        if recurrent.vocabulary > 0 {
            return Err(TAKES_TOKENS);
        }
        let width = recurrent.input as usize;
        if !frames.len().is_multiple_of(width) {
            return Err(Error::Frames { width, found: frames.len() });
        }
        self.check_length(frames.len() / width)?;
        self.begin_sequence();
        self.run(Source::Frames(frames, width), frames.len() / width, Wanted::Each, &mut each);
        Ok(())
    }

    /// As [`Session::feed`], for text: the file's tokenizer makes tokens of it, with the token that begins a text in
    /// front if the session is empty and the model wants one. Returns the number of tokens.
    ///
    /// The session's buffers serve as workspace: they hold a text of about `batch ×` the widest projection bytes, whose
    /// tokens must fit the options' `context`, whether or not the model has a limit.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`], [`Error::Tokenizer`] or as [`Session::feed`]; the session is then unchanged.
    // Its tokenizer's part of the stack is not to stay with the caller's loop.
    #[inline(never)]
    pub fn feed_text(&mut self, text: &str) -> Result<usize, Error> {
        let tokenizer = self.model.tokenizer().ok_or(Error::NoTokenizer)?;
        let mut options = tokenizer.default_options();
        options.bos &= self.position == 0;
        options.eos = false;
        let workspace: &mut [u32] = bytemuck::cast_slice_mut(self.state.workspace());
        let tokens = tokenizer.encode(text.as_bytes(), options, Token::wrap_slice_mut(workspace))?;
        let left = self.left().min(self.history.len());
        if tokens > left {
            return Err(Error::ContextFull { tokens, left });
        }
        check_vocabulary(&self.model, &bytemuck::cast_slice(self.state.workspace())[..tokens])?;
        self.check_length(tokens)?;
        self.begin_sequence();
        let ids = &bytemuck::cast_slice(self.state.workspace())[..tokens];
        remember(self.history, &mut self.remembered, ids);
        self.run(Source::History, tokens, Wanted::Last, &mut |_, _| ());
        Ok(tokens)
    }

    /// Draws the next token from the logits, which are used up by it: feed the token (or another) before drawing
    /// again.
    // The sampler's part of the stack is not to stay while the next token is computed.
    #[inline(never)]
    pub fn sample(&mut self, sampler: &mut Sampler) -> Token {
        let outputs = self.model.architecture().outputs();
        self.logits_hold = false;
        let logits = &mut self.state.outputs_mut()[..outputs];
        Token(sampler.sample(logits, &self.history[..self.remembered]))
    }

    /// The logits after the last token fed, `[vocabulary]`, or what else the model gives; zeros before the first.
    pub fn logits(&self) -> &[f32] {
        &self.state.outputs()[..self.model.architecture().outputs()]
    }

    /// The same, for samplers that work in place.
    pub fn logits_mut(&mut self) -> &mut [f32] {
        self.logits_hold = false;
        &mut self.state.outputs_mut()[..self.model.architecture().outputs()]
    }

    /// Makes the logits those after the last token again, if they were cleared, changed or drawn from: by reading that
    /// token, or the recurrent state, once more, which gives the same bits.
    pub(crate) fn restore_logits(&mut self) {
        if self.logits_hold || self.position == 0 {
            return;
        }
        if self.is_limited() {
            self.position -= 1;
            self.run(Source::History, 1, Wanted::Last, &mut |_, _| ());
        } else {
            self.model.backend().run(Restore { session: self });
        }
    }

    /// Whether the model has a most number of positions.
    fn is_limited(&self) -> bool {
        self.model.architecture().context().is_some()
    }

    /// Whether every call that feeds gives a whole sequence.
    fn takes_whole_sequences(&self) -> bool {
        let recurrent = self.model.architecture().recurrent();
        recurrent.is_some_and(|recurrent| recurrent.direction != Direction::Forward)
    }

    fn begin_sequence(&mut self) {
        if self.takes_whole_sequences() {
            self.reset();
        }
    }

    fn check(&self, ids: &[u32]) -> Result<(), Error> {
        if self.model.architecture().vocabulary() == 0 {
            let request = "the model takes frames, not tokens";
            return Err(Error::Unsupported { request, remedy: "feed it frames" });
        }
        if ids.len() > self.left() {
            return Err(Error::ContextFull { tokens: ids.len(), left: self.left() });
        }
        self.check_length(ids.len())?;
        check_vocabulary(&self.model, ids)
    }

    fn check_length(&self, found: usize) -> Result<(), Error> {
        let most = self.options.batch;
        if self.takes_whole_sequences() && found > most {
            return Err(Error::SequenceTooLong { most, found });
        }
        Ok(())
    }

    fn remember(&mut self, ids: &[u32]) {
        remember(self.history, &mut self.remembered, ids);
    }

    /// Reads the next `count` tokens or frames and hands the results that are wanted to `each`.
    fn run(&mut self, source: Source<'_>, count: usize, wanted: Wanted, each: Each<'_>) {
        let mut first = 0;
        while first < count {
            let tokens = self.options.batch.min(count - first);
            let wanted = match wanted {
                Wanted::Each => 0..tokens,
                Wanted::Last if first + tokens == count => tokens - 1..tokens,
                Wanted::Last => 0..0,
            };
            let backend = self.model.backend();
            let backend = if tokens == 1 { backend.of_one_token() } else { backend };
            backend.run(Step {
                session: self,
                source,
                left: count - first,
                tokens,
                wanted,
                first,
                each: &mut *each,
            });
            self.position = self.position.saturating_add(tokens);
            first += tokens;
            self.logits_hold = true;
        }
    }
}

const TAKES_TOKENS: Error =
    Error::Unsupported { request: "the model takes tokens, not frames", remedy: "feed it tokens" };

fn check_vocabulary(model: &Model<'_>, ids: &[u32]) -> Result<(), Error> {
    let vocabulary = model.architecture().vocabulary();
    match ids.iter().find(|&&id| id >= vocabulary) {
        Some(&token) => Err(Error::TokenOutOfRange { token, vocabulary }),
        None => Ok(()),
    }
}

/// Puts `ids` behind the tokens remembered, of which the oldest make room.
fn remember(history: &mut [u32], remembered: &mut usize, ids: &[u32]) {
    let ids = &ids[ids.len().saturating_sub(history.len())..];
    let keep = (history.len() - ids.len()).min(*remembered);
    if keep < *remembered {
        history.copy_within(*remembered - keep..*remembered, 0);
    }
    history[keep..][..ids.len()].copy_from_slice(ids);
    *remembered = keep + ids.len();
}

/// What takes the results of each token that is asked for: a reference, so that a program has one forward pass.
type Each<'e> = &'e mut dyn FnMut(usize, &[f32]);

/// Whose results a call asks for.
#[derive(Clone, Copy)]
enum Wanted {
    Last,
    Each,
}

/// Where the tokens or frames of a call stand.
#[derive(Clone, Copy)]
enum Source<'t> {
    /// At the end of the history.
    History,
    Tokens(&'t [u32]),
    /// Each this wide.
    Frames(&'t [f32], usize),
}

impl<'t> Source<'t> {
    /// The first `tokens` of the last `left`.
    fn chunk(self, history: &'t [u32], left: usize, tokens: usize) -> Input<'t> {
        match self {
            Self::History => Input::Tokens(&history[history.len() - left..][..tokens]),
            Self::Tokens(ids) => Input::Tokens(&ids[ids.len() - left..][..tokens]),
            Self::Frames(frames, width) => {
                Input::Frames(&frames[frames.len() - left * width..][..tokens * width])
            }
        }
    }
}

struct Step<'w, 'm, 's> {
    session: &'w mut Session<'m, 's>,
    source: Source<'w>,
    /// Tokens of the source that were not read yet.
    left: usize,
    /// Tokens in the chunk.
    tokens: usize,
    /// Those of them whose results are wanted.
    wanted: core::ops::Range<usize>,
    /// Tokens of the source before the chunk.
    first: usize,
    each: Each<'w>,
}

impl WithKernels for Step<'_, '_, '_> {
    type Output = ();

    fn call<K: Kernels>(self, kernels: K) {
        let Session { model, workers, options, position, history, remembered, state, .. } = self.session;
        let tensors = &model.file().tensors;
        let chunk = Chunk { kernels, workers: *workers, tensors, position: *position, tokens: self.tokens };
        state.layers(&chunk, self.source.chunk(&history[..*remembered], self.left, self.tokens));
        if self.wanted.is_empty() {
            return;
        }
        let (stride, outputs) = (state.outputs_stride(), model.architecture().outputs());
        let mut last = 0;
        for first in self.wanted.clone().step_by(options.logits) {
            let count = options.logits.min(self.wanted.end - first);
            state.head(&chunk, first, count);
            for i in 0..count {
                (self.each)(self.first + first + i, &state.outputs()[i * stride..][..outputs]);
            }
            last = count - 1;
        }
        state.outputs_mut().copy_within(last * stride..last * stride + outputs, 0);
    }
}

/// Computes the results after the last token from a recurrent state.
struct Restore<'w, 'm, 's> {
    session: &'w mut Session<'m, 's>,
}

impl WithKernels for Restore<'_, '_, '_> {
    type Output = ();

    fn call<K: Kernels>(self, kernels: K) {
        let Session { model, workers, position, state, logits_hold, .. } = self.session;
        let tensors = &model.file().tensors;
        let chunk = Chunk { kernels, workers: *workers, tensors, position: *position, tokens: 1 };
        if let State::Recurrent(layout, buffers) = state {
            chunk.recurrent(layout).head_of_state(buffers);
            *logits_hold = true;
        }
    }
}
