//! Cross-entropy of a model on stories: a second, plain implementation beside the converter's evaluation.

use crate::data::data;
use whit::tokenizer::{EncodeOptions, SpecialText, encode_bound};
use whit::{AlignedBytes, CacheKind, Model, SessionOptions, Token};

/// A mean loss and what it was taken over.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Nats per predicted token.
    pub nats_per_token: f64,
    /// Predicted tokens.
    pub tokens: usize,
}

/// The first `count` of every twentieth TinyStory, without end marks; `None` where there is no data. Spread, because
/// the loss of 60 stories in a row is between 1.25 and 1.52 nats per token, depending on where they stand.
///
/// # Panics
/// If there are fewer.
pub fn stories(count: usize) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(data("text/tinystories_v2_dev_1000-2315.txt")?).expect("readable");
    let stories = text.split("<|endoftext|>").map(str::trim).filter(|story| !story.is_empty());
    let stories: Vec<_> = stories.step_by(20).take(count).map(str::to_owned).collect();
    assert_eq!(stories.len(), count, "stories");
    Some(stories)
}

/// The mean of −ln p(token | tokens before it) over all tokens of `stories` but the beginning-of-text token that each
/// is given; a story ends where the context does.
///
/// # Panics
/// If the model has no tokenizer, or a story cannot be encoded.
pub fn loss(model: &Model<'_>, cache: CacheKind, stories: &[String]) -> Loss {
    let context = model.architecture().context().expect("a transformer") as usize;
    let options = SessionOptions { cache, batch: 64, logits: 64, ..model.options(context) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("the arena has the size asked for");
    let (mut sum, mut tokens) = (0.0, 0);
    for story in stories {
        let text = encode(model, story);
        let text = &text[..text.len().min(context)];
        session.reset();
        let add = |i: usize, logits: &[f32]| {
            if let Some(next) = text.get(i + 1) {
                sum += nats(logits, *next);
                tokens += 1;
            }
        };
        session.feed_each(text, add).expect("cut to the context");
    }
    Loss { nats_per_token: sum / tokens as f64, tokens }
}

/// The tokens of `text` behind the token that begins a text.
///
/// # Panics
/// If the model has no tokenizer, or it cannot spell the text.
pub fn encode(model: &Model<'_>, text: &str) -> Vec<Token> {
    let tokenizer = model.tokenizer().expect("a tokenizer");
    let mut tokens = vec![Token(0); encode_bound(text.len())];
    let options = EncodeOptions { bos: true, eos: false, specials: SpecialText::Plain };
    let count = tokenizer.encode(text.as_bytes(), options, &mut tokens).expect("encoded");
    tokens.truncate(count);
    tokens
}

/// −ln softmax(logits)[token], in f64.
fn nats(logits: &[f32], token: Token) -> f64 {
    let logits = || logits.iter().map(|&logit| f64::from(logit));
    let largest = logits().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits().map(|logit| (logit - largest).exp()).sum();
    let own = logits().nth(token.0 as usize).expect("a token of the vocabulary");
    sum.ln() + largest - own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nats_of_a_fair_choice_and_of_a_certain_one() {
        assert!((nats(&[3.0; 10], Token(4)) - 10f64.ln()).abs() < 1e-12);
        assert!(nats(&[0.0, 50.0, 1.0], Token(1)) < 1e-12);
        assert!((nats(&[-1000.0, -1002.0], Token(1)) - (2.0 + (1.0 + (-2f64).exp()).ln())).abs() < 1e-12);
    }
}
