//! Everything that can go wrong, as one small value that says what was expected and what was found.

use crate::format::{IntegerRole, Role};
use crate::sampler::{SamplingError, stop::StopError};
use crate::tokenizer::TokenizerError;
use core::fmt;

/// Why a call did not do its work.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the file does.
    Truncated {
        /// Bytes that the file should have.
        needed: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The first bytes are not those of a `.whit` file.
    NotWhit,
    /// The file has a format version that this runtime does not know.
    Version {
        /// The version found.
        found: u16,
    },
    /// A checksum does not match: the bytes are damaged.
    Checksum {
        /// Which part of the file.
        part: &'static str,
        /// Checksum stored in the file.
        stored: u32,
        /// Checksum of the bytes found.
        computed: u32,
    },
    /// The section table or a section's place contradicts the format.
    Section {
        /// Which section.
        section: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A field of the model description is out of range.
    Description {
        /// Which field.
        field: &'static str,
        /// The value found.
        found: u32,
    },
    /// A tensor's entry contradicts the model description.
    Tensor {
        /// Which tensor.
        role: Role,
        /// Of which layer, counted from 0; 0 for tensors outside of layers.
        layer: u16,
        /// What is wrong.
        problem: &'static str,
    },
    /// A layer of a chain of integer layers does not fit the others.
    IntegerLayer {
        /// Which layer, counted from 0.
        layer: u16,
        /// What is wrong.
        problem: &'static str,
    },
    /// A tensor's entry contradicts the description of a chain of integer layers.
    IntegerTensor {
        /// Which tensor.
        role: IntegerRole,
        /// Of which layer, counted from 0.
        layer: u16,
        /// What is wrong.
        problem: &'static str,
    },
    /// The bytes of the file or the arena do not start at a multiple of 64.
    Misaligned {
        /// Which bytes.
        part: &'static str,
        /// Bytes past the last multiple of 64.
        excess: usize,
    },
    /// The arena cannot hold the session.
    ArenaTooSmall {
        /// Bytes that the session needs.
        needed: usize,
        /// Bytes that the arena has.
        found: usize,
    },
    /// A session option is out of range.
    Option {
        /// Which option.
        option: &'static str,
        /// The largest value allowed.
        most: usize,
        /// The value given.
        found: usize,
    },
    /// The tokens do not fit in what is left of the context; nothing was computed.
    ContextFull {
        /// Tokens given.
        tokens: usize,
        /// Positions left.
        left: usize,
    },
    /// A token is not in the model's vocabulary; nothing was computed.
    TokenOutOfRange {
        /// The token's id.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: u32,
    },
    /// The model reads sequences as a whole, and this one is longer than the session was made for; nothing was computed.
    SequenceTooLong {
        /// The longest sequence: the option `batch`.
        most: usize,
        /// Tokens or frames given.
        found: usize,
    },
    /// The numbers given are not whole frames; nothing was computed.
    Frames {
        /// Numbers in a frame.
        width: usize,
        /// Numbers given.
        found: usize,
    },
    /// The model cannot do what was asked; nothing was computed.
    Unsupported {
        /// Why it cannot.
        request: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The file, or what was asked for, needs a part of the runtime that this program was built without.
    LeftOut {
        /// Which part, and the feature that brings it.
        part: &'static str,
    },
    /// The file has no tokenizer: feed tokens instead of text.
    NoTokenizer,
    /// The tokenizer section is wrong, or a text cannot be encoded.
    Tokenizer(TokenizerError),
    /// A sampling setting is out of its range.
    Sampling(SamplingError),
    /// There are too many, or too long, tokens or strings that end a text.
    Stop(StopError),
    /// There is nothing to continue: the prompt is empty and the model has no token that begins a text.
    NothingToContinue,
    /// A snapshot was taken from another model or with other session options, or is damaged.
    Snapshot {
        /// What is wrong.
        problem: &'static str,
    },
    /// A buffer given by the caller is too small.
    BufferTooSmall {
        /// Elements needed.
        needed: usize,
        /// Elements found.
        found: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { needed, found } => {
                write!(f, "the file is cut short: {needed} bytes expected, {found} found")
            }
            Self::NotWhit => f.write_str("not a .whit file: the first eight bytes are not its signature"),
            Self::Version { found } => write!(
                f,
                "format version {found} is not known here (this runtime reads version {})",
                crate::format::VERSION
            ),
            Self::Checksum { part, stored, computed } => write!(
                f,
                "the {part} are damaged: checksum {stored:08x} stored, {computed:08x} computed; fetch the file again"
            ),
            Self::Section { section, problem } => write!(f, "section `{section}`: {problem}"),
            Self::Description { field, found } => {
                write!(f, "model description: field `{field}` has the value {found}, which is out of range")
            }
            Self::Tensor { role, layer, problem } => {
                if role.per_layer() {
                    write!(f, "tensor `layers.{layer}.{}`: {problem}", role.name())
                } else {
                    write!(f, "tensor `{}`: {problem}", role.name())
                }
            }
            Self::IntegerLayer { layer, problem } => write!(f, "layer {layer}: {problem}"),
            Self::IntegerTensor { role, layer, problem } => {
                write!(f, "tensor `layers.{layer}.{}`: {problem}", role.name())
            }
            Self::Misaligned { part, excess } => write!(
                f,
                "{part} must start at an address that is a multiple of 64, but starts {excess} bytes past one"
            ),
            Self::ArenaTooSmall { needed, found } => {
                write!(f, "the arena has {found} bytes, the session needs {needed}")
            }
            Self::Option { option, most, found } => {
                write!(f, "session option `{option}` is {found}; it must be 1 to {most}")
            }
            Self::ContextFull { tokens, left } => {
                write!(f, "the context is full: {tokens} tokens given, {left} positions left")
            }
            Self::TokenOutOfRange { token, vocabulary } => {
                write!(f, "token {token} is not in the vocabulary of {vocabulary}")
            }
            Self::SequenceTooLong { most, found } => write!(
                f,
                "the model reads sequences as a whole: {found} tokens or frames given, the session's batch is {most}"
            ),
            Self::Frames { width, found } => {
                write!(f, "the model takes frames of {width} numbers; {found} numbers are no whole frames")
            }
            Self::Unsupported { request, remedy } => write!(f, "{request}; {remedy}"),
            Self::LeftOut { part } => write!(f, "this program was {part}"),
            Self::NoTokenizer => f.write_str("the file has no tokenizer; give token ids instead of text"),
            Self::Tokenizer(error) => error.fmt(f),
            Self::Sampling(error) => error.fmt(f),
            Self::Stop(error) => error.fmt(f),
            Self::NothingToContinue => f.write_str(
                "the prompt is empty and the model has no token that begins a text; give a prompt",
            ),
            Self::Snapshot { problem } => write!(f, "snapshot: {problem}"),
            Self::BufferTooSmall { needed, found } => {
                write!(f, "the buffer has room for {found} elements, {needed} are needed")
            }
        }
    }
}

impl core::error::Error for Error {}

/// The value of a result, or a return with its error: `?` for functions that constants are made by, which cannot have it.
macro_rules! proven {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}
pub(crate) use proven;

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error)
    }
}

impl From<SamplingError> for Error {
    fn from(error: SamplingError) -> Self {
        Self::Sampling(error)
    }
}

impl From<StopError> for Error {
    fn from(error: StopError) -> Self {
        Self::Stop(error)
    }
}
