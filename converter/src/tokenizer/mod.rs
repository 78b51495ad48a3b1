//! Tokenizer files of the world, made into the tokenizer section of a `.whit` file.
//!
//! A source file becomes a [`Vocabulary`], plain lists with one meaning for all sources; [`Vocabulary::to_section`] lays
//! it out for the runtime, which owns the layout and does all encoding and decoding. Sources: llama2.c `tokenizer.bin`
//! ([`llama2c`]), Hugging Face `tokenizer.json` ([`tokenizer_json`]), GPT-2 `vocab.json` and `merges.txt` ([`gpt2`]), and
//! sets of characters or bytes ([`Vocabulary::characters`], [`Vocabulary::bytes`]). [`from_directory`] picks what a
//! Hugging Face directory holds.

mod error;
pub mod gpt2;
pub mod llama2c;
mod named;
mod plain;
mod section;
pub mod tokenizer_json;
mod vocabulary;

pub use error::TokenizerFileError;
pub use named::{from_directory, is_in_directory};
pub use vocabulary::{Merge, Vocabulary};

use error::{Result, content, read};
pub(crate) use gpt2::stand_in;
