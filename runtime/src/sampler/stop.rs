//! Where generation stops: stop tokens, and stop strings with exact holdback of the text that might begin one.
//!
//! Text arrives in pieces of whole characters and leaves as soon as it can no longer be part of a stop string. Nothing
//! is copied: held text is by definition the beginning of a stop string, so it is lent from there. Matching is
//! Knuth, Morris and Pratt, "Fast Pattern Matching in Strings", 1977. Token or time budgets are not decided here.
use core::fmt;
use heapless::{String, Vec};

/// How many stop strings there can be.
pub const MAX_STRINGS: usize = 8;
/// How many bytes of UTF-8 one can have.
pub const MAX_STRING_BYTES: usize = 64;
/// How many stop tokens there can be.
pub const MAX_TOKENS: usize = 16;

/// The tokens and strings that end a text. About 1.2 KiB.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    tokens: Vec<u32, MAX_TOKENS>,
    strings: Vec<Pattern, MAX_STRINGS>,
}

impl Stops {
    /// Nothing stops.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a token id that ends the text and is no part of it.
    ///
    /// # Errors
    /// There are [`MAX_TOKENS`] already.
    pub fn add_token(&mut self, token: u32) -> Result<(), StopError> {
        self.tokens.push(token).map_err(|_| StopError::TooManyTokens)
    }

    /// Adds a string that ends the text and is no part of it.
    ///
    /// # Errors
    /// The string is empty or longer than [`MAX_STRING_BYTES`], or there are [`MAX_STRINGS`] already.
    pub fn add_string(&mut self, text: &str) -> Result<(), StopError> {
        self.strings.push(Pattern::new(text)?).map_err(|_| StopError::TooManyStrings)
    }

    /// Whether this token ends the text.
    pub fn is_stop_token(&self, token: u32) -> bool {
        self.tokens.contains(&token)
    }

    /// A gate for one text.
    pub fn gate(&self) -> TextGate<'_> {
        self.resume(GateState::default())
    }

    /// A gate for a text that an earlier gate of these stops has seen the beginning of.
    pub fn resume(&self, state: GateState) -> TextGate<'_> {
        TextGate { stops: self, state }
    }
}

/// Lets text through until a stop string is complete. Copy it to snapshot it.
#[derive(Clone, Copy, Debug)]
pub struct TextGate<'s> {
    stops: &'s Stops,
    state: GateState,
}

/// What a [`TextGate`] remembers of the text so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateState {
    /// Per stop string, how many of its first bytes the text so far ends with.
    matched: [u8; MAX_STRINGS],
    stopped: bool,
}

impl<'s> TextGate<'s> {
    /// Takes the next piece of text and lets through all that can be no part of a stop string.
    ///
    /// The stop string that ends first wins; of those that end together, the longest. The text before it is released,
    /// it and everything later is dropped.
    pub fn push<'t>(&mut self, text: &'t str) -> Released<'s, 't> {
        let held = self.finish();
        if self.state.stopped {
            return Released::up_to(0, held, text);
        }
        for (position, byte) in text.bytes().enumerate() {
            if let Some(length) = self.advance(byte) {
                self.state.stopped = true;
                return Released::up_to(held.len() + position + 1 - length, held, text);
            }
        }
        Released::up_to(held.len() + text.len() - self.finish().len(), held, text)
    }

    /// Whether a stop string was completed.
    pub fn stopped(&self) -> bool {
        self.state.stopped
    }

    /// What the gate remembers, for [`Stops::resume`].
    pub fn state(&self) -> GateState {
        self.state
    }

    /// The text held back, to be released when the text ends for another reason; empty once stopped.
    pub fn finish(&self) -> &'s str {
        if self.state.stopped {
            return "";
        }
        let states = self.stops.strings.iter().zip(self.state.matched);
        let longest = states.max_by_key(|(_, matched)| *matched);
        longest.map_or("", |(pattern, matched)| front(&pattern.text, matched.into()))
    }

    /// The length of the longest stop string that ends with this byte.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        let mut complete = None;
        for (pattern, matched) in self.stops.strings.iter().zip(&mut self.state.matched) {
            *matched = pattern.advance(*matched, byte);
            if usize::from(*matched) == pattern.text.len() {
                complete = complete.max(Some(pattern.text.len()));
            }
        }
        complete
    }
}

/// The first `len` bytes, whole characters. An index would bring the code that quotes texts in panics, 7 kB.
fn front(text: &str, len: usize) -> &str {
    debug_assert!(text.is_char_boundary(len), "the bytes end a character");
    text.get(..len).unwrap_or_default()
}

/// Text that a [`TextGate`] let through: first what it had held back, then of the new piece. `Display` writes both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released<'s, 't> {
    /// From earlier pieces.
    pub held: &'s str,
    /// From the piece just pushed.
    pub fresh: &'t str,
}

impl<'s, 't> Released<'s, 't> {
    /// The first `end` bytes of `held` followed by `text`.
    ///
    /// `end` is a character boundary: what follows it is the beginning of a stop string, or nothing.
    fn up_to(end: usize, held: &'s str, text: &'t str) -> Self {
        Self { held: front(held, end.min(held.len())), fresh: front(text, end.saturating_sub(held.len())) }
    }

    /// Whether nothing was released.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.fresh.is_empty()
    }
}

impl fmt::Display for Released<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.held)?;
        f.write_str(self.fresh)
    }
}

/// One stop string.
#[derive(Clone, Debug)]
struct Pattern {
    text: String<MAX_STRING_BYTES>,
    /// Entry i: how long a proper beginning of the first i + 1 bytes is also their end.
    borders: [u8; MAX_STRING_BYTES],
}

impl Pattern {
    fn new(text: &str) -> Result<Self, StopError> {
        if text.is_empty() {
            return Err(StopError::EmptyString);
        }
        let copy = String::try_from(text).map_err(|_| StopError::StringTooLong { bytes: text.len() })?;
        let mut pattern = Self { text: copy, borders: [0; MAX_STRING_BYTES] };
        // The borders of a string are found by matching the string against itself, one byte late.
        for (position, byte) in text.bytes().enumerate().skip(1) {
            pattern.borders[position] = pattern.advance(pattern.borders[position - 1], byte);
        }
        Ok(pattern)
    }

    /// How many first bytes match after `byte`, given how many (fewer than all) did before.
    fn advance(&self, mut matched: u8, byte: u8) -> u8 {
        while self.text.as_bytes().get(usize::from(matched)) != Some(&byte) {
            let last = usize::from(matched).checked_sub(1);
            let Some(&border) = last.and_then(|last| self.borders.get(last)) else { return 0 };
            matched = border;
        }
        matched + 1
    }
}

/// A stop that cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names and the messages say it")]
pub enum StopError {
    EmptyString,
    StringTooLong { bytes: usize },
    TooManyStrings,
    TooManyTokens,
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyString => f.write_str("stop string: expected at least one character, found none"),
            Self::StringTooLong { bytes } => {
                write!(f, "stop string: expected at most {MAX_STRING_BYTES} bytes, found {bytes}")
            }
            Self::TooManyStrings => write!(f, "stop strings: expected at most {MAX_STRINGS}, found one more"),
            Self::TooManyTokens => write!(f, "stop tokens: expected at most {MAX_TOKENS}, found one more"),
        }
    }
}

impl core::error::Error for StopError {}

#[cfg(test)]
mod tests;
