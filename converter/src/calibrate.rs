//! Rounding weights by what a text makes of them: the inputs of every projection, seen by the model in f32, say which
//! errors of rounding its outputs feel, and let each column's error be made good by the columns that are rounded later.

mod feedback;
mod forward;

pub(crate) use feedback::Feedback;
pub(crate) use forward::Forward;

use crate::eval::{Text, Windows};
use whit::AlignedBytes;
use whit::tokenizer::Tokenizer;

/// The tokens that a model is calibrated on.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Each begins a text.
    pub(crate) texts: Vec<Vec<u32>>,
}

impl Calibration {
    /// The first `most` tokens of `text`, in windows of at most `context` positions, as `whit eval` reads it;
    /// `tokenizer` is the section of the model.
    ///
    /// # Errors
    /// A message: there is no tokenizer, or it cannot spell the text.
    pub fn new(text: &Text<'_>, tokenizer: &[u8], context: usize, most: usize) -> Result<Self, String> {
        if tokenizer.is_empty() {
            return Err("the model has no tokenizer, so it cannot read a text".into());
        }
        let section = AlignedBytes::from(tokenizer);
        let tokenizer = Tokenizer::parse(&section).map_err(|error| error.to_string())?;
        let windows = Windows::new(text, &tokenizer, Some(context), most)?;
        let ids = |(fed, _): (Vec<whit::Token>, _)| fed.iter().map(|token| token.0).collect();
        Ok(Self { texts: windows.iter().map(ids).collect() })
    }

    /// Tokens in all.
    pub fn tokens(&self) -> usize {
        self.texts.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests;
