//! A text as windows of tokens: what is fed, and what should follow each fed token.

use whit::tokenizer::{EncodeOptions, Token, Tokenizer, encode_bound};

/// A text, cut into documents.
#[derive(Clone, Debug)]
pub struct Text<'t> {
    documents: Vec<&'t [u8]>,
}

impl<'t> Text<'t> {
    /// The documents between the markers `split`, without the white space around them; the whole text as it is
    /// without a marker. Documents with nothing in them are left out.
    pub fn new(text: &'t [u8], split: Option<&str>) -> Self {
        let documents = match split.map(str::as_bytes) {
            Some(marker) if !marker.is_empty() => {
                pieces(text, marker).into_iter().map(<[u8]>::trim_ascii).collect()
            }
            _ => vec![text],
        };
        Self { documents: documents.into_iter().filter(|document| !document.is_empty()).collect() }
    }

    /// The documents.
    pub fn documents(&self) -> &[&'t [u8]] {
        &self.documents
    }
}

fn pieces<'t>(mut text: &'t [u8], marker: &[u8]) -> Vec<&'t [u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = text.windows(marker.len()).position(|window| window == marker) {
        pieces.push(&text[..at]);
        text = &text[at + marker.len()..];
    }
    pieces.push(text);
    pieces
}

/// The windows of a text for one tokenizer and context.
#[derive(Clone, Debug)]
pub struct Windows {
    /// What starts a window; `None`: the token before its first target.
    start: Option<Token>,
    context: usize,
    /// Tokens of each document.
    documents: Vec<Vec<Token>>,
    bytes: usize,
}

impl Windows {
    /// Encodes `text`, at most `most` predicted tokens of it, for windows of `context` positions, or of whole documents.
    ///
    /// # Errors
    /// A message: the vocabulary cannot spell the text, or nothing is to be predicted.
    pub fn new(
        text: &Text<'_>,
        tokenizer: &Tokenizer<'_>,
        context: Option<usize>,
        most: usize,
    ) -> Result<Self, String> {
        let start = tokenizer.bos().or(tokenizer.eos());
        let mut this = Self { start, context: context.unwrap_or(1), documents: Vec::new(), bytes: 0 };
        for document in text.documents() {
            let left = most - this.tokens();
            if left == 0 {
                break;
            }
            let mut tokens = encode(tokenizer, document)?;
            let keep = left.saturating_add(usize::from(start.is_none()));
            this.bytes += if tokens.len() <= keep {
                document.len()
            } else {
                tokens.truncate(keep);
                let mut decoder = tokenizer.decoder();
                tokens.iter().map(|&token| decoder.push(token).len()).sum()
            };
            this.documents.push(tokens);
        }
        if this.tokens() == 0 {
            return Err("the text has no token to predict".into());
        }
        if context.is_none() {
            this.context = this.documents.iter().map(Vec::len).max().unwrap_or(1);
        }
        Ok(this)
    }

    /// Positions of a window at most.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Tokens that are predicted.
    pub fn tokens(&self) -> usize {
        let unpredicted = usize::from(self.start.is_none());
        self.documents.iter().map(|tokens| tokens.len().saturating_sub(unpredicted)).sum()
    }

    /// Bytes of the text that is predicted (and of the tokens that windows start from, where the model has none for
    /// that).
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Documents.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// For each window the tokens to feed, and for each of them the token that should follow.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<Token>, &[Token])> {
        let unpredicted = usize::from(self.start.is_none());
        self.documents.iter().flat_map(move |tokens| {
            let targets = tokens.get(unpredicted..).unwrap_or(&[]);
            targets.chunks(self.context).enumerate().map(move |(window, targets)| {
                let start = self.start.unwrap_or_else(|| tokens[window * self.context]);
                let fed = core::iter::once(start).chain(targets[..targets.len() - 1].iter().copied());
                (fed.collect(), targets)
            })
        })
    }
}

fn encode(tokenizer: &Tokenizer<'_>, text: &[u8]) -> Result<Vec<Token>, String> {
    let mut tokens = vec![Token(0); encode_bound(text.len())];
    let options = EncodeOptions { bos: false, eos: false, ..tokenizer.default_options() };
    let count = tokenizer.encode(text, options, &mut tokens).map_err(|error| error.to_string())?;
    tokens.truncate(count);
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(start: Option<u32>, context: usize, documents: &[&[u32]]) -> Windows {
        let documents = documents.iter().map(|ids| ids.iter().map(|&id| Token(id)).collect()).collect();
        Windows { start: start.map(Token), context, documents, bytes: 1 }
    }

    fn ids(windows: &Windows) -> Vec<(Vec<u32>, Vec<u32>)> {
        let ids = |tokens: &[Token]| tokens.iter().map(|token| token.0).collect();
        windows.iter().map(|(fed, targets)| (ids(&fed), ids(targets))).collect()
    }

    #[test]
    fn every_token_is_predicted_once_from_a_fresh_start() {
        let windows = windows(Some(1), 3, &[&[10, 11, 12, 13], &[20]]);
        assert_eq!(windows.tokens(), 5);
        let expected = [(vec![1, 10, 11], vec![10, 11, 12]), (vec![1], vec![13]), (vec![1], vec![20])];
        assert_eq!(ids(&windows), expected);
    }

    #[test]
    fn without_a_start_token_windows_start_from_the_token_before() {
        let windows = windows(None, 2, &[&[10, 11, 12, 13], &[20], &[]]);
        assert_eq!(windows.tokens(), 3);
        assert_eq!(ids(&windows), [(vec![10, 11], vec![11, 12]), (vec![12], vec![13])]);
    }

    #[test]
    fn a_marker_cuts_documents_and_empty_ones_vanish() {
        let text = Text::new(b"one\n<|end|>\n two <|end|>\n<|end|>", Some("<|end|>"));
        assert_eq!(text.documents(), [b"one".as_slice(), b"two"]);
        assert_eq!(Text::new(b" whole \n", None).documents(), [b" whole \n"]);
        assert!(Text::new(b"", None).documents().is_empty());
    }
}
