//! Tokenizers made from the text that a model is trained on, as the `tokenizer.json` that `whit import` and the Hugging
//! Face library read.
//!
//! Training itself encodes with what the importer makes of that file, so a model sees in training what it sees later.

mod json;
mod merges;
mod words;

pub use merges::{Learned, LearnedMerge, Ties, learn};
pub use words::byte_pairs;

use crate::tokenizer::{TokenizerFileError, tokenizer_json};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use whit::tokenizer::{EncodeOptions, Token, Tokenizer, encode_bound};

/// The name of the file.
pub const FILE: &str = "tokenizer.json";

/// The token between two documents, before the first and after the last.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// More characters than this are no alphabet: their embeddings would be most of a small model.
const MOST_CHARACTERS: usize = 4096;

/// The smallest vocabulary of byte pairs: the bytes, the end of a text, and one merge.
const LEAST_BYTE_PAIRS: u32 = 258;

/// The largest vocabulary of byte pairs: more than any model that is trained here can use.
const MOST_BYTE_PAIRS: u32 = 65_536;

/// How text is cut into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One token for each character of the text.
    Characters,
    /// One token for each of the 256 bytes.
    Bytes,
    /// So many tokens at most: bytes, and the byte pairs that are most frequent in the text within GPT-2's pieces.
    BytePairs(u32),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.strip_prefix("bpe:").and_then(|size| size.parse().ok());
        match (text, size) {
            ("chars", _) => Ok(Self::Characters),
            ("bytes", _) => Ok(Self::Bytes),
            (_, Some(size @ LEAST_BYTE_PAIRS..=MOST_BYTE_PAIRS)) => Ok(Self::BytePairs(size)),
            _ => Err(format!(
                "expected chars, bytes, or bpe:N with N from {LEAST_BYTE_PAIRS} to {MOST_BYTE_PAIRS}"
            )),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Characters => f.write_str("chars"),
            Self::Bytes => f.write_str("bytes"),
            Self::BytePairs(size) => write!(f, "bpe:{size}"),
        }
    }
}

/// Text to learn a tokenizer from.
#[derive(Clone, Debug)]
pub struct Texts<'t> {
    /// What the model is trained on: frequencies come from here.
    pub training: &'t [&'t [u8]],
    /// What else it will see: characters come from here too.
    pub other: &'t [&'t [u8]],
}

/// Makes `tokenizer.json` for `texts`; with `documents`, it also has [`END_OF_TEXT`], which then begins every prompt.
///
/// # Errors
/// A message: the text is not UTF-8, or has too many characters, where characters are tokens.
pub fn make(choice: Choice, texts: &Texts<'_>, documents: bool) -> Result<String, String> {
    Ok(match choice {
        Choice::Characters => json::characters(&alphabet(texts)?, documents),
        Choice::Bytes => json::bytes(documents),
        Choice::BytePairs(size) => {
            let learned = byte_pairs(texts.training, size as usize - usize::from(documents));
            json::byte_pairs(&learned, documents)
        }
    })
}

fn alphabet(texts: &Texts<'_>) -> Result<BTreeSet<char>, String> {
    let mut alphabet = BTreeSet::new();
    for text in texts.training.iter().chain(texts.other) {
        let text = std::str::from_utf8(text).map_err(|error| {
            let at = error.valid_up_to();
            format!("expected UTF-8, found another byte at {at} of a document; use --tokenizer bytes")
        })?;
        alphabet.extend(text.chars());
    }
    match alphabet.len() {
        0 => Err("the text is empty".into()),
        1..=MOST_CHARACTERS => Ok(alphabet),
        count => Err(format!(
            "expected at most {MOST_CHARACTERS} different characters, found {count}; use --tokenizer bpe:N"
        )),
    }
}

/// A tokenizer as the runtime has it.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    section: Vec<u8>,
}

impl TextTokenizer {
    /// What the importer makes of a `tokenizer.json`; `file` is for messages.
    ///
    /// # Errors
    /// As [`tokenizer_json::parse`].
    pub fn new(json: &str, file: &Path) -> Result<Self, TokenizerFileError> {
        Ok(Self { section: tokenizer_json::parse(json.as_bytes(), file)?.to_section()? })
    }

    /// What the importer makes of the tokenizer's files in a model directory.
    ///
    /// # Errors
    /// As [`from_directory`](crate::tokenizer::from_directory).
    pub fn from_directory(directory: &Path) -> Result<Self, TokenizerFileError> {
        Ok(Self { section: crate::tokenizer::from_directory(directory)?.to_section()? })
    }

    /// The runtime's view.
    pub fn view(&self) -> Tokenizer<'_> {
        Tokenizer::parse(&self.section).expect("the section was checked when it was made")
    }

    /// Number of tokens.
    pub fn vocabulary(&self) -> u32 {
        self.view().vocab_size() as u32
    }

    /// The token between documents, if there is one.
    pub fn end_of_text(&self) -> Option<u32> {
        self.view().eos().or(self.view().bos()).map(|token| token.0)
    }

    /// The tokens of `text` and nothing else.
    ///
    /// # Errors
    /// A message: the vocabulary cannot spell the text.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>, String> {
        let mut tokens = vec![Token(0); encode_bound(text.len())];
        let count = self
            .view()
            .encode(text, EncodeOptions::default(), &mut tokens)
            .map_err(|error| error.to_string())?;
        Ok(tokens[..count].iter().map(|token| token.0).collect())
    }

    /// The bytes that `tokens` stand for.
    pub fn decode(&self, tokens: &[u32]) -> Vec<u8> {
        let view = self.view();
        let mut decoder = view.decoder();
        tokens.iter().flat_map(|&token| decoder.push(Token(token))).copied().collect()
    }
}
