//! Logits to one token: penalty, temperature, top-k, top-p, min-p, one draw.
//!
//! Works in place on the caller's logits, sorts nothing, allocates nothing. Probabilities are 30-bit integers, so every
//! sum is exact and the chosen token cannot depend on an order, a lane width or a core. The normative text is
//! `runtime/ARITHMETIC.md`. Knows no model and no text; [`stop`] is the only part that sees characters.
mod candidates;
mod fixed;
mod random;
mod repetition;
mod select;
mod settings;
pub mod stop;

pub use candidates::{Candidate, Candidates};
pub use random::Random;
pub use repetition::{ban_repeated_ngrams, penalize};
pub use settings::{MAX_PENALTY_WINDOW, Sampling, SamplingError};

/// Valid settings and the state of the random numbers; copy it to snapshot it.
///
/// # Example
/// ```
/// use whit::sampler::{Sampler, Sampling};
/// let mut sampler = Sampler::new(Sampling { seed: 7, ..Sampling::default() })?;
/// let mut logits = [1.0, 4.0, f32::NEG_INFINITY];
/// assert_ne!(sampler.sample(&mut logits, &[]), 2);
/// # Ok::<(), whit::sampler::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    sampling: Sampling,
    random: Random,
}

impl Sampler {
    /// A sampler at the start of the sequence that `sampling.seed` names.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn new(sampling: Sampling) -> Result<Self, SamplingError> {
        sampling.validate()?;
        Ok(Self { sampling, random: Random::new(sampling.seed) })
    }

    /// The settings, proven valid.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The id of the next token: [`Self::candidates`] and one random number; at temperature 0 the best logit and none.
    ///
    /// `logits` `[vocabulary]`: NaN counts as −∞, the caller bans a token with −∞, and the content afterwards is
    /// unspecified. `history` holds the token ids so far, latest last; ids outside the vocabulary are ignored. Where
    /// no logit is above −∞ (or there is none) the answer is 0.
    pub fn sample(&mut self, logits: &mut [f32], history: &[u32]) -> u32 {
        if self.sampling.temperature == 0.0 {
            penalize(logits, self.penalized(history), self.sampling.repetition_penalty);
            return greedy(logits);
        }
        let draw = self.random.next_u32();
        self.candidates(logits, history).pick(draw)
    }

    /// The distribution that [`Self::sample`] draws from, built in the memory of the logits; draws nothing.
    pub fn candidates<'a>(&self, logits: &'a mut [f32], history: &[u32]) -> Candidates<'a> {
        let Sampling { temperature, top_k, top_p, min_p, repetition_penalty, .. } = self.sampling;
        penalize(logits, self.penalized(history), repetition_penalty);
        if temperature == 0.0 {
            return Candidates::only(greedy(logits), logits);
        }
        if top_k != 0 {
            select::keep_top_k(logits, top_k);
        }
        let mut candidates = Candidates::from_logits(logits, temperature);
        if top_p < 1.0 {
            candidates.keep_top_p(top_p);
        }
        if min_p > 0.0 {
            candidates.keep_min_p(min_p);
        }
        candidates
    }

    /// The latest `penalty_window` tokens.
    fn penalized<'h>(&self, history: &'h [u32]) -> &'h [u32] {
        let window = self.sampling.penalty_window as usize;
        &history[history.len().saturating_sub(window)..]
    }
}

/// The lowest id among the greatest logits; NaN counts as −∞; 0 where there is none.
pub fn greedy(logits: &[f32]) -> u32 {
    let best = maximum(logits);
    if best == f32::NEG_INFINITY {
        return 0;
    }
    logits.iter().position(|&logit| logit == best).unwrap_or(0) as u32
}

/// The greatest logit, NaN counting as −∞. A maximum is exact, so the sixteen running ones only serve speed.
fn maximum(logits: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let (blocks, rest) = logits.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for block in blocks {
        for (lane, &logit) in lanes.iter_mut().zip(block) {
            *lane = greater(*lane, logit);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |best, &logit| greater(best, logit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const NONE: f32 = f32::NEG_INFINITY;

    fn sampler(sampling: Sampling) -> Sampler {
        Sampler::new(sampling).expect("valid settings")
    }

    #[test]
    fn greedy_takes_the_lowest_id_of_a_tie() {
        assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(greedy(&[-0.0, 0.0]), 0);
        let mut long = vec![0.0; 1000];
        long[17] = 5.0;
        long[999] = 5.0;
        assert_eq!(greedy(&long), 17);
    }

    #[test]
    fn greedy_draws_no_random_number() {
        let mut greedy = sampler(Sampling::greedy());
        let before = greedy;
        greedy.sample(&mut [1.0, 2.0], &[]);
        assert_eq!(greedy, before);
    }

    #[test]
    fn each_token_draws_exactly_one_random_number() {
        for sampling in [Sampling::default(), Sampling { top_k: 1, ..Sampling::default() }] {
            let mut drawn = sampler(sampling);
            drawn.sample(&mut [1.0, 2.0], &[]);
            drawn.sample(&mut [NONE, NONE], &[]);
            let mut random = Random::new(sampling.seed);
            random.next_u32();
            random.next_u32();
            assert_eq!(drawn.random, random);
        }
    }

    #[test]
    fn not_a_number_and_no_possible_token_are_defined() {
        for sampling in
            [Sampling::default(), Sampling::greedy(), Sampling { top_k: 2, ..Sampling::default() }]
        {
            let mut sampler = sampler(sampling);
            assert_eq!(sampler.sample(&mut [f32::NAN, -5.0, -f32::NAN, NONE], &[]), 1);
            assert_eq!(sampler.sample(&mut [f32::NAN, NONE], &[]), 0);
            assert_eq!(sampler.sample(&mut [NONE; 40], &[]), 0);
            assert_eq!(sampler.sample(&mut [], &[]), 0);
            assert_eq!(sampler.sample(&mut [3.0, f32::INFINITY, f32::MAX], &[]), 1);
            assert_eq!(sampler.sample(&mut [f32::MIN, f32::MAX], &[]), 1);
        }
    }

    #[test]
    fn only_the_window_is_penalized() {
        let sampling =
            Sampling { repetition_penalty: 2.0, penalty_window: 2, temperature: 0.0, ..Sampling::default() };
        let mut sampler = sampler(sampling);
        assert_eq!(sampler.sample(&mut [3.0, 2.0, 1.9], &[1, 0, 2]), 1);
        assert_eq!(sampler.sample(&mut [3.0, 2.0, 1.9], &[0, 2, 1]), 0);
        assert_eq!(sampler.sample(&mut [3.0, 2.0, 1.9], &[0, 1]), 2);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens_and_another_seed_others() {
        let draw = |seed| {
            let mut sampler = sampler(Sampling { seed, temperature: 1.0, ..Sampling::default() });
            [(); 64].map(|()| sampler.sample(&mut [1.0, 1.5, 0.5, 1.0, 0.0], &[]))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn equal_logits_spell_out_the_random_numbers() {
        // ⌊6 · r / 2³²⌋ of the generator's published numbers for seed 42.
        let mut sampler = sampler(Sampling { seed: 42, top_p: 1.0, ..Sampling::default() });
        let tokens = [(); 6].map(|()| sampler.sample(&mut [1.5; 6], &[]));
        assert_eq!(tokens, [3, 2, 4, 3, 4, 4]);
    }

    #[test]
    fn a_snapshot_continues_with_the_same_tokens() {
        let mut original = sampler(Sampling::default());
        original.sample(&mut [0.0; 9], &[]);
        let mut snapshot = original;
        for _ in 0..20 {
            assert_eq!(original.sample(&mut [0.0; 9], &[]), snapshot.sample(&mut [0.0; 9], &[]));
        }
    }
}
