//! Importers: a foreign checkpoint to a [`Checkpoint`], each in its own file; [`open`] picks the one that a path asks
//! for.

mod error;
pub mod huggingface;
pub mod llama2c;
pub mod onnx;
mod recurrent;
mod rows;
pub mod tflite;

pub use error::{ImportError, Problem};

use crate::checkpoint::Checkpoint;
use crate::tokenizer::{self, TokenizerFileError, Vocabulary};
use std::{fs::File, io::Read, path::Path};
use whit::format::MAGIC;

/// Reads the checkpoint at `path`: a Hugging Face directory, an ONNX file by its name, or a llama2.c file. `tokenizer`
/// names the file of the tokenizer, which a directory also finds by itself, and an ONNX file can do without.
///
/// # Errors
/// As the importers, or if the tokenizer is missing, is wrong, or has more tokens than the model.
pub fn open(path: &Path, tokenizer: Option<&Path>) -> Result<Checkpoint<'static>, ImportError> {
    if path.is_dir() {
        return huggingface::import(path, |request| {
            let vocabulary = match tokenizer {
                Some(file) => tokenizer::tokenizer_json::open(file)?,
                None if request.optional && !tokenizer::is_in_directory(path) => return Ok(Vec::new()),
                None => tokenizer::from_directory(path)?,
            };
            section(&vocabulary, request.vocabulary)
        });
    }
    if is_whit(path) {
        return Err(already(path).into());
    }
    if path.extension().is_some_and(|kind| kind == "onnx") {
        return onnx::import(path, |tokens| match tokenizer {
            Some(file) => section(&tokenizer::tokenizer_json::open(file)?, tokens),
            None => Ok(Vec::new()),
        });
    }
    llama2c::import(path, |tokens| {
        let Some(file) = tokenizer else { return Err(no_tokenizer(path).into()) };
        section(&tokenizer::llama2c::open(file, tokens as usize)?, tokens)
    })
}

/// The tokenizer section, if the model has room for all of its tokens.
fn section(vocabulary: &Vocabulary, most: u32) -> Result<Vec<u8>, ImportError> {
    let found = vocabulary.tokens.len();
    if found > most as usize {
        return Err(TokenizerFileError::Content {
            file: vocabulary.source.clone(),
            field: "vocabulary".into(),
            expected: format!("at most the {most} tokens of the model"),
            found: format!("{found} tokens"),
            remedy: "give the tokenizer that belongs to the model".into(),
        }
        .into());
    }
    Ok(vocabulary.to_section()?)
}

/// Whether a `.whit` file is there; what cannot be read is the importer's to report.
fn is_whit(path: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == MAGIC
}

fn already(path: &Path) -> Problem {
    Problem {
        file: path.display().to_string(),
        subject: "first bytes".into(),
        expected: "a checkpoint".into(),
        found: "a .whit file".into(),
        remedy: "it needs no import; to store it otherwise, import the checkpoint that it was made from",
    }
}

fn no_tokenizer(path: &Path) -> Problem {
    Problem {
        file: path.display().to_string(),
        subject: "tokenizer".into(),
        expected: "the file of the tokenizer, as llama2.c has it beside the checkpoint".into(),
        found: "none".into(),
        remedy: "give --tokenizer FILE",
    }
}
