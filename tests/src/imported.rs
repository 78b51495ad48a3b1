//! Checkpoints through the converter into `.whit` files in memory, as a user's import makes them, and texts through
//! the model that comes out.

use crate::data::data;
use std::ops::ControlFlow;
use std::path::Path;
use whit::format::Encoding;
use whit::parallel::Workers;
use whit::{AlignedBytes, Model, SessionOptions, Token};
use whit_converter::checkpoint::Checkpoint;
use whit_converter::export::{ExportOptions, export};
use whit_converter::import::{self, huggingface, llama2c};
use whit_converter::tokenizer::{self, Vocabulary};

/// Options for `weights` and, where it is given, `embedding`; the rest as by default.
pub fn encoded(weights: Encoding, embedding: Option<Encoding>) -> ExportOptions {
    ExportOptions { weights, embedding, ..ExportOptions::default() }
}

/// The file that `checkpoint` becomes, proved to be whole.
///
/// # Panics
/// If the export fails or the file does not parse: this is a test tool.
pub fn file(checkpoint: &Checkpoint<'_>, options: &ExportOptions) -> AlignedBytes {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("model.whit");
    export(checkpoint, options, &out, |_| ControlFlow::Continue(()))
        .expect("exported")
        .commit()
        .expect("named");
    let bytes = AlignedBytes::from(&std::fs::read(&out).expect("readable")[..]);
    Model::parse(&bytes).expect("parses").file().verify_payload().expect("the payload's checksum");
    bytes
}

/// The llama2.c checkpoint and tokenizer of stories260K; `None` where there is no data.
pub fn stories260k() -> Option<Checkpoint<'static>> {
    let (bin, tokens) = (data("llama2c/stories260K.bin")?, data("llama2c/tok512.bin")?);
    let section = |size| section(tokenizer::llama2c::open(&tokens, size as usize));
    Some(llama2c::import(&bin, section).expect("imported"))
}

/// The Hugging Face model in `directory`, its tokenizer included.
///
/// # Panics
/// If the import fails.
pub fn hugging_face(directory: &Path) -> Checkpoint<'static> {
    let section =
        |request: &huggingface::TokenizerRequest<'_>| section(tokenizer::from_directory(request.directory));
    huggingface::import(directory, section).expect("imported")
}

fn section(
    vocabulary: Result<Vocabulary, tokenizer::TokenizerFileError>,
) -> Result<Vec<u8>, import::ImportError> {
    Ok(vocabulary.and_then(|vocabulary| vocabulary.to_section()).expect("a tokenizer that whit takes"))
}

/// The logits after each of `tokens`, one vector behind the other.
///
/// # Panics
/// If the session cannot be made or the tokens do not fit.
pub fn logits(
    model: &Model<'_>,
    workers: &dyn Workers,
    options: SessionOptions,
    tokens: &[Token],
) -> Vec<f32> {
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible options"));
    let mut session =
        model.session_on(workers, &mut arena, options).expect("the arena has the size asked for");
    let mut all = Vec::new();
    session.feed_each(tokens, |_, logits| all.extend_from_slice(logits)).expect("the tokens fit");
    all
}

/// The largest difference between two lists of numbers.
///
/// # Panics
/// If their lengths differ.
pub fn largest_difference(found: &[f32], expected: impl ExactSizeIterator<Item = f64>) -> f64 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .map(|(&found, expected)| (f64::from(found) - expected).abs())
        .fold(0.0, f64::max)
}
