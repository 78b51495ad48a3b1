//! How well a model predicts a text, and how close it stays to another.
//!
//! Protocol: a text is cut into documents (at a marker, or not at all), a document's tokens into windows of the
//! context; without a limit of positions each is one window. Each window starts afresh from the token that begins a text, and every token is predicted exactly once,
//! the first of a document from that token alone. A model without a token that begins or ends a text starts from the
//! first token of each document, which then is not predicted. Logarithms and sums are taken in f64.

mod windows;

pub use windows::{Text, Windows};

use crate::arena::Arena;
use serde::Serialize;
use whit::parallel::Workers;
use whit::sampler::greedy;
use whit::{Model, Session, SessionOptions, Token};

/// Tokens that are fed, and whose logits are held, at a time.
const CHUNK: usize = 64;

/// How well a model predicts a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Mean of −ln p(token).
    pub nats_per_token: f64,
    /// e to that power.
    pub perplexity: f64,
    /// Bits for the whole text, per byte of it.
    pub bits_per_byte: f64,
}

impl Score {
    /// Of a text of `tokens` predicted tokens and `bytes` bytes, from the sum of −ln p(token).
    pub fn of(nats: f64, tokens: usize, bytes: usize) -> Self {
        let nats_per_token = nats / tokens as f64;
        Self {
            nats_per_token,
            perplexity: nats_per_token.exp(),
            bits_per_byte: nats / core::f64::consts::LN_2 / bytes as f64,
        }
    }
}

/// How close a model is to a reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Closeness {
    /// Mean over the tokens of Σ p ln(p / q), in nats, `p` the reference's distribution, `q` the model's.
    pub kl_divergence: f64,
    /// Share of the tokens for which both think the same token the likeliest.
    pub top1_agreement: f64,
    /// How well the reference predicts the text.
    pub reference: Score,
}

/// What an evaluation found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// How well the model predicts the text.
    pub score: Score,
    /// Share of the tokens that were the likeliest to the model.
    pub accuracy: f64,
    /// How close it is to the reference, if there was one.
    pub closeness: Option<Closeness>,
}

/// Scores `model` on `windows`, and compares it with `reference`. `progress` is told how many tokens are done.
///
/// # Errors
/// A message: a session cannot be made, the models have different vocabularies, or logits are not numbers.
pub fn evaluate(
    model: &Model<'_>,
    reference: Option<&Model<'_>>,
    windows: &Windows,
    workers: &dyn Workers,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, String> {
    predicts(model)?;
    if let Some(reference) = reference {
        predicts(reference)?;
        same_vocabulary(model, reference)?;
    }
    let mut own_arena = arena(model, windows, workers)?;
    let mut session = session(model, windows, workers, &mut own_arena)?;
    let mut reference_arena = reference.map(|reference| arena(reference, windows, workers)).transpose()?;
    let mut other = match (reference, &mut reference_arena) {
        (Some(reference), Some(arena)) => Some(self::session(reference, windows, workers, arena)?),
        _ => None,
    };
    let (mut sums, mut done) = (Sums::default(), 0);
    let vocabulary = model.architecture().vocabulary() as usize;
    let mut expected = vec![0.0; if other.is_some() { CHUNK * vocabulary } else { 0 }];
    for (fed, targets) in windows.iter() {
        session.reset();
        if let Some(other) = &mut other {
            other.reset();
        }
        for (fed, targets) in fed.chunks(CHUNK).zip(targets.chunks(CHUNK)) {
            if let Some(other) = &mut other {
                feed_each(other, fed, |i, logits| {
                    expected[i * vocabulary..][..vocabulary].copy_from_slice(logits);
                })?;
            }
            feed_each(&mut session, fed, |i, logits| {
                let expected = expected.get(i * vocabulary..).and_then(|rest| rest.get(..vocabulary));
                sums.add(logits, expected, targets[i]);
            })?;
            done += fed.len();
            progress(done);
        }
    }
    sums.finish(windows, reference.is_some())
}

fn predicts(model: &Model<'_>) -> Result<(), String> {
    let answer = "the model does not predict the next token, so it cannot be scored on a text";
    model.architecture().is_language_model().then_some(()).ok_or_else(|| answer.into())
}

fn same_vocabulary(model: &Model<'_>, reference: &Model<'_>) -> Result<(), String> {
    let (own, other) = (model.architecture().vocabulary(), reference.architecture().vocabulary());
    if own != other {
        return Err(format!("vocabulary: expected that of the reference, {other} tokens, found {own}"));
    }
    if model.file().tokenizer != reference.file().tokenizer {
        return Err(
            "tokenizer: expected that of the reference, found another; import both from one checkpoint"
                .into(),
        );
    }
    Ok(())
}

fn options(model: &Model<'_>, windows: &Windows, workers: &dyn Workers) -> SessionOptions {
    // A model without a limit of positions need not remember any.
    let context = model.architecture().context().map_or(1, |_| windows.context());
    SessionOptions { batch: CHUNK, logits: CHUNK, workers: workers.count(), ..model.options(context) }
}

fn arena(model: &Model<'_>, windows: &Windows, workers: &dyn Workers) -> Result<Arena, String> {
    Arena::new(model.arena_size(&options(model, windows, workers)).map_err(|error| error.to_string())?)
}

fn session<'m, 's>(
    model: &Model<'m>,
    windows: &Windows,
    workers: &'s dyn Workers,
    arena: &'s mut Arena,
) -> Result<Session<'m, 's>, String> {
    let options = options(model, windows, workers);
    model.session_on(workers, arena.bytes(), options).map_err(|error| error.to_string())
}

fn feed_each(
    session: &mut Session<'_, '_>,
    tokens: &[Token],
    each: impl FnMut(usize, &[f32]),
) -> Result<(), String> {
    session.feed_each(tokens, each).map_err(|error| error.to_string())
}

/// Sums over the tokens of a text.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    nats: f64,
    reference_nats: f64,
    divergence: f64,
    right: u64,
    agreed: u64,
}

impl Sums {
    /// Takes in the logits of one position, and the reference's for the same.
    fn add(&mut self, logits: &[f32], expected: Option<&[f32]>, target: Token) {
        let target = target.0 as usize;
        let own_sum = log_sum_exp(logits);
        self.nats += own_sum - f64::from(logits[target]);
        let first = greedy(logits);
        self.right += u64::from(first as usize == target);
        let Some(expected) = expected else { return };
        let sum = log_sum_exp(expected);
        self.reference_nats += sum - f64::from(expected[target]);
        self.agreed += u64::from(first == greedy(expected));
        let divergence = |(&logit, &expected): (&f32, &f32)| {
            let log_p = f64::from(expected) - sum;
            let p = log_p.exp();
            // What the reference holds impossible adds nothing, whatever the model thinks of it.
            if p == 0.0 { 0.0 } else { p * (log_p - (f64::from(logit) - own_sum)) }
        };
        self.divergence += logits.iter().zip(expected).map(divergence).sum::<f64>();
    }

    fn finish(&self, windows: &Windows, compared: bool) -> Result<Evaluation, String> {
        let score = |nats| Score::of(nats, windows.tokens(), windows.bytes());
        let tokens = windows.tokens() as f64;
        if !(self.nats.is_finite() && self.reference_nats.is_finite()) {
            return Err("the model computes logits that are not finite; `whit verify` may say why".into());
        }
        let closeness = Closeness {
            kl_divergence: self.divergence / tokens,
            top1_agreement: self.agreed as f64 / tokens,
            reference: score(self.reference_nats),
        };
        Ok(Evaluation {
            score: score(self.nats),
            accuracy: self.right as f64 / tokens,
            closeness: compared.then_some(closeness),
        })
    }
}

/// ln Σ exp(logit), without overflow.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    most + logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_a_uniform_distribution() {
        let mut sums = Sums::default();
        sums.add(&[3.0; 8], Some(&[-1000.0; 8]), Token(5));
        assert!((sums.nats - 8f64.ln()).abs() < 1e-12);
        assert!((sums.reference_nats - 8f64.ln()).abs() < 1e-12);
        assert!(sums.divergence.abs() < 1e-12);
        assert_eq!((sums.agreed, sums.right), (1, 0));
    }

    /// p = (3/4, 1/4), q = (1/4, 3/4): Σ p ln(p / q) = 3/4 ln 3 − 1/4 ln 3 = ln 3 / 2.
    #[test]
    fn divergence_is_taken_from_the_reference() {
        let mut sums = Sums::default();
        let ln3 = 3f32.ln();
        sums.add(&[0.0, ln3, f32::NEG_INFINITY], Some(&[ln3, 0.0, f32::NEG_INFINITY]), Token(0));
        assert!((sums.divergence - 3f64.ln() / 2.0).abs() < 1e-7, "{}", sums.divergence);
        assert!((sums.nats - 4f64.ln()).abs() < 1e-7);
        assert_eq!((sums.agreed, sums.right), (0, 0));
        sums.add(&[0.0, ln3, f32::NEG_INFINITY], None, Token(1));
        assert_eq!(sums.right, 1);
    }
}
