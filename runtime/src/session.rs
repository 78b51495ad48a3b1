//! A session: one text being read and continued. Its state is a value that can be reset, saved and restored, and
//! feeding a text whole or in any pieces gives the same bits.

use crate::error::Error;
use crate::format::Crc32;
use crate::kernels::{Kernels, WithKernels};
use crate::layout::{CacheKind, Layout, SessionOptions};
use crate::model::Model;
use crate::parallel::Workers;
use crate::sampler::Sampler;
use crate::tokenizer::Token;
use crate::transformer::{Buffers, Pass};
use bytemuck::TransparentWrapper;

/// One text in progress on one model. Several may be interleaved, each in its own arena.
#[derive(Debug)]
pub struct Session<'m, 's> {
    model: Model<'m>,
    workers: &'s dyn Workers,
    layout: Layout,
    position: usize,
    /// Whether the logits are still those after the last token.
    logits_hold: bool,
    history: &'s mut [u32],
    buffers: Buffers<'s>,
}

impl<'m, 's> Session<'m, 's> {
    pub(crate) fn new(
        model: Model<'m>,
        workers: &'s dyn Workers,
        arena: &'s mut [u8],
        options: SessionOptions,
    ) -> Result<Self, Error> {
        let layout = Layout::new(model.description(), &options)?;
        let (history, buffers) = Buffers::new(model.description(), &layout, layout.carve(arena)?);
        let mut session = Self { model, workers, layout, position: 0, logits_hold: false, history, buffers };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// The options that the session was made with.
    pub fn options(&self) -> &SessionOptions {
        &self.layout.options
    }

    /// Tokens fed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Positions left in the context.
    pub fn left(&self) -> usize {
        self.layout.options.context - self.position
    }

    /// The tokens fed so far.
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = Token> + ExactSizeIterator + '_ {
        self.history[..self.position].iter().map(|&id| Token(id))
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.position = 0;
        self.logits_hold = false;
        self.buffers.logits.fill(0.0);
    }

    /// Goes back to the state after the first `position` tokens. Feed at least one token before reading logits.
    ///
    /// # Errors
    /// [`Error::Option`] if fewer tokens were fed.
    pub fn truncate(&mut self, position: usize) -> Result<(), Error> {
        if position > self.position {
            return Err(Error::Option { option: "position", most: self.position, found: position });
        }
        self.position = position;
        self.logits_hold = false;
        self.buffers.logits.fill(0.0);
        Ok(())
    }

    /// Reads `tokens`; afterwards [`Session::logits`] are those of the last one. Any split of the tokens among calls
    /// gives the same bits.
    ///
    /// # Errors
    /// [`Error::ContextFull`] or [`Error::TokenOutOfRange`]; the session is then unchanged.
    pub fn feed(&mut self, tokens: &[Token]) -> Result<(), Error> {
        self.check(tokens)?;
        self.append(tokens);
        self.run(tokens.len(), Logits::Last, |_, _| ());
        Ok(())
    }

    /// As [`Session::feed`], for text: the file's tokenizer makes tokens of it, with the token that begins a text in
    /// front if the session is empty and the model wants one. Returns the number of tokens.
    ///
    /// The session's buffers serve as workspace: they hold a text of about `batch ×` the widest projection bytes.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`], [`Error::Tokenizer`] or as [`Session::feed`]; the session is then unchanged.
    pub fn feed_text(&mut self, text: &str) -> Result<usize, Error> {
        let tokenizer = self.model.tokenizer().ok_or(Error::NoTokenizer)?;
        let mut options = tokenizer.default_options();
        options.bos &= self.position == 0;
        options.eos = false;
        let workspace: &mut [u32] = bytemuck::cast_slice_mut(self.buffers.workspace());
        let count = tokenizer.encode(text.as_bytes(), options, Token::wrap_slice_mut(workspace))?;
        let (tokens, left) = (count, self.layout.options.context - self.position);
        if tokens > left {
            return Err(Error::ContextFull { tokens, left });
        }
        self.history[self.position..][..count].copy_from_slice(&workspace[..count]);
        self.check_history(count)?;
        self.run(count, Logits::Last, |_, _| ());
        Ok(count)
    }

    /// Draws the next token from the logits, which are used up by it: feed the token (or another) before drawing
    /// again.
    pub fn sample(&mut self, sampler: &mut Sampler) -> Token {
        let vocabulary = self.model.description().vocabulary as usize;
        self.logits_hold = false;
        Token(sampler.sample(&mut self.buffers.logits[..vocabulary], &self.history[..self.position]))
    }

    /// As [`Session::feed`], handing the logits of every token to `each(index in tokens, logits)`.
    ///
    /// # Errors
    /// As [`Session::feed`].
    pub fn feed_each(&mut self, tokens: &[Token], mut each: impl FnMut(usize, &[f32])) -> Result<(), Error> {
        self.check(tokens)?;
        self.append(tokens);
        self.run(tokens.len(), Logits::Each, &mut each);
        Ok(())
    }

    /// The logits after the last token fed, `[vocabulary]`; zeros before the first.
    pub fn logits(&self) -> &[f32] {
        &self.buffers.logits[..self.model.description().vocabulary as usize]
    }

    /// The same, for samplers that work in place.
    pub fn logits_mut(&mut self) -> &mut [f32] {
        self.logits_hold = false;
        &mut self.buffers.logits[..self.model.description().vocabulary as usize]
    }

    /// Makes the logits those after the last token again, if they were cleared, changed or drawn from: by reading that
    /// token once more, which gives the same bits.
    pub(crate) fn restore_logits(&mut self) {
        if !self.logits_hold && self.position > 0 {
            self.position -= 1;
            self.run(1, Logits::Last, |_, _| ());
        }
    }

    fn check(&self, tokens: &[Token]) -> Result<(), Error> {
        if tokens.len() > self.left() {
            return Err(Error::ContextFull { tokens: tokens.len(), left: self.left() });
        }
        self.check_vocabulary(Token::peel_slice(tokens))
    }

    fn check_history(&self, count: usize) -> Result<(), Error> {
        self.check_vocabulary(&self.history[self.position..][..count])
    }

    fn check_vocabulary(&self, ids: &[u32]) -> Result<(), Error> {
        let vocabulary = self.model.description().vocabulary;
        match ids.iter().find(|&&id| id >= vocabulary) {
            Some(&token) => Err(Error::TokenOutOfRange { token, vocabulary }),
            None => Ok(()),
        }
    }

    fn append(&mut self, tokens: &[Token]) {
        self.history[self.position..][..tokens.len()].copy_from_slice(Token::peel_slice(tokens));
    }

    /// Reads the next `count` tokens, which stand in the history, and hands the logits that are wanted to `each`.
    fn run(&mut self, count: usize, logits: Logits, mut each: impl FnMut(usize, &[f32])) {
        let (batch, end) = (self.layout.options.batch, self.position + count);
        let first = self.position;
        while self.position < end {
            let tokens = batch.min(end - self.position);
            let wanted = match logits {
                Logits::Each => 0..tokens,
                Logits::Last if self.position + tokens == end => tokens - 1..tokens,
                Logits::Last => 0..0,
            };
            let offset = self.position - first;
            let each = |index: usize, logits: &[f32]| each(offset + index, logits);
            self.model.backend().run(Step { session: self, tokens, wanted, each });
            self.position += tokens;
            self.logits_hold = true;
        }
    }
}

/// Which tokens' logits a call asks for.
#[derive(Clone, Copy)]
enum Logits {
    Last,
    Each,
}

struct Step<'w, 'm, 's, F> {
    session: &'w mut Session<'m, 's>,
    /// Tokens in the chunk.
    tokens: usize,
    /// Those of them whose logits are wanted.
    wanted: core::ops::Range<usize>,
    each: F,
}

impl<F: FnMut(usize, &[f32])> WithKernels for Step<'_, '_, '_, F> {
    type Output = ();

    fn call<K: Kernels>(mut self, kernels: K) {
        let session = self.session;
        let pass = Pass {
            kernels,
            workers: session.workers,
            description: session.model.description(),
            tensors: &session.model.file().tensors,
            layout: &session.layout,
            position: session.position,
            tokens: self.tokens,
        };
        pass.blocks(&session.history[session.position..][..self.tokens], &mut session.buffers);
        if self.wanted.is_empty() {
            return;
        }
        let (stride, vocabulary) =
            (session.layout.logits_stride, session.model.description().vocabulary as usize);
        let mut last = 0;
        for first in self.wanted.clone().step_by(session.layout.options.logits) {
            let count = session.layout.options.logits.min(self.wanted.end - first);
            pass.head(first, count, &mut session.buffers);
            for i in 0..count {
                (self.each)(first + i, &session.buffers.logits[i * stride..][..vocabulary]);
            }
            last = count - 1;
        }
        session.buffers.logits.copy_within(last * stride..last * stride + vocabulary, 0);
    }
}

/// What stands before the contents of a snapshot: fingerprint of the model (two words), position, kind of cache,
/// CRC-32 of the contents.
type SnapshotHeader = [u32; 5];

const SNAPSHOT_HEADER: usize = size_of::<SnapshotHeader>();

impl Session<'_, '_> {
    /// Bytes that [`Session::save`] writes now.
    pub fn saved_len(&self) -> usize {
        let mut len = SNAPSHOT_HEADER + 4 * (self.position + self.logits().len());
        self.buffers.cache.save(self.layout.heads, self.position, |part| len += part.len());
        len
    }

    /// Writes the state (tokens, logits, keys and values; not the options) to `out`, for [`Session::load`] on the
    /// same model with the same kind of cache; returns its length. The context may be another, if it is large enough.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] if `out` has fewer than [`Session::saved_len`] bytes.
    pub fn save(&self, out: &mut [u8]) -> Result<usize, Error> {
        let (needed, found) = (self.saved_len(), out.len());
        let out = out.get_mut(..needed).ok_or(Error::BufferTooSmall { needed, found })?;
        let mut at = SNAPSHOT_HEADER;
        let mut write = |part: &[u8]| {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        write(bytemuck::cast_slice(&self.history[..self.position]));
        write(bytemuck::cast_slice(self.logits()));
        self.buffers.cache.save(self.layout.heads, self.position, write);
        let header = self.header(self.position as u32, Crc32::of(&out[SNAPSHOT_HEADER..]));
        out[..SNAPSHOT_HEADER].copy_from_slice(bytemuck::bytes_of(&header));
        Ok(needed)
    }

    /// Replaces the state by one that [`Session::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if it belongs to another model or kind of cache, does not fit the context, or is damaged;
    /// the session is then unchanged.
    pub fn load(&mut self, saved: &[u8]) -> Result<(), Error> {
        let fail = |problem| Error::Snapshot { problem };
        let (header, contents) = saved.split_at_checked(SNAPSHOT_HEADER).ok_or(fail("it is cut short"))?;
        let header: SnapshotHeader = bytemuck::pod_read_unaligned(header);
        let [.., position, _, crc] = header;
        if header != self.header(position, crc) {
            return Err(fail("it was taken from another model or with another kind of cache"));
        }
        let position = position as usize;
        if position > self.layout.options.context {
            return Err(fail("it holds more positions than this session's context"));
        }
        if crc != Crc32::of(contents) {
            return Err(fail("it is damaged"));
        }
        let before = core::mem::replace(&mut self.position, position);
        let fits = self.saved_len() == saved.len();
        self.position = before;
        if !fits {
            return Err(fail("its length does not follow from its position"));
        }
        let vocabulary = self.model.description().vocabulary;
        let ids = contents[..4 * position].as_chunks().0;
        if ids.iter().any(|&id| u32::from_ne_bytes(id) >= vocabulary) {
            return Err(fail("a token is not in the vocabulary"));
        }
        // The logits may have been drawn from before they were saved.
        (self.position, self.logits_hold) = (position, false);
        let mut rest = contents;
        let mut read = |part: &mut [u8]| {
            let (now, then) = rest.split_at(part.len());
            part.copy_from_slice(now);
            rest = then;
        };
        read(bytemuck::cast_slice_mut(&mut self.history[..position]));
        read(bytemuck::cast_slice_mut(&mut self.buffers.logits[..vocabulary as usize]));
        self.buffers.cache.load(self.layout.heads, position, read);
        Ok(())
    }

    fn header(&self, position: u32, crc: u32) -> SnapshotHeader {
        let fingerprint = self.model.file().fingerprint();
        let int8 = self.layout.options.cache == CacheKind::I8;
        [fingerprint as u32, (fingerprint >> 32) as u32, position, u32::from(int8), crc]
    }
}
