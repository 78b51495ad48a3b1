//! A probability distribution in the memory of the logits: one integer weight per token.
//!
//! `weight = round(2³⁰ · p / p_best)`, so the best token weighs exactly 2³⁰ and one below 2⁻³¹ of it weighs nothing.
//! Integer sums are exact in any order: cut-offs and the draw cannot depend on how a core adds.
use super::fixed::{FRACTION_BITS, ONE, fixed, scaled, sum};
use super::{maximum, select::Cut};
use crate::math::exp;
use heapless::Vec;

/// Below this exponent a weight is 0 without evaluating the exponential: ln 2⁻³¹ = −21.49.
const LOWEST_EXPONENT: f32 = -21.5;

/// 10⁻⁶ in weights, rounded up: a mass this share of the total below `top_p` counts as reached.
const TOP_P_TOLERANCE: u32 = 1074;

/// A token that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Id.
    pub token: u32,
    /// In (0, 1]; over all candidates they sum to 1 up to rounding.
    pub probability: f32,
}

/// The distribution of the next token; tokens that were cut off have weight 0.
#[derive(Debug)]
pub struct Candidates<'a> {
    /// One per token of the vocabulary.
    weights: &'a mut [u32],
    /// Their sum: at most 2³² · 2³⁰.
    total: u64,
}

impl<'a> Candidates<'a> {
    /// `softmax(logits / temperature)`; `temperature` 0.01 to 100. NaN counts as −∞; +∞ leaves only the +∞.
    pub(super) fn from_logits(logits: &'a mut [f32], temperature: f32) -> Self {
        let best = maximum(logits);
        if best == f32::NEG_INFINITY {
            return Self::only(0, logits);
        }
        let scale = 1.0 / temperature;
        let (blocks, rest) = logits.as_chunks_mut();
        let mut padded = [f32::NEG_INFINITY; 16];
        padded[..rest.len()].copy_from_slice(rest);
        // One loop: the exponential is 0.4 kB of a small program.
        for block in blocks.iter_mut().chain([&mut padded]) {
            weigh(block, best, scale);
        }
        rest.copy_from_slice(&padded[..rest.len()]);
        Self::from_weights(logits)
    }

    /// Probabilities that are no softmax of ours (a mixture, a corrected draft), not necessarily normalised.
    ///
    /// A negative probability or NaN counts as 0; where none is above 0, token 0 is certain.
    pub fn from_probabilities(probabilities: &'a mut [f32]) -> Self {
        let best = maximum(probabilities);
        if best <= 0.0 {
            return Self::only(0, probabilities);
        }
        for probability in &mut *probabilities {
            let relative = if *probability == best { 1.0 } else { *probability / best };
            let weight = if relative > 0.0 { fixed(relative) } else { 0 };
            *probability = f32::from_bits(weight);
        }
        Self::from_weights(probabilities)
    }

    /// One certain token.
    pub(super) fn only(token: u32, memory: &'a mut [f32]) -> Self {
        memory.fill(0.0);
        if let Some(weight) = memory.get_mut(token as usize) {
            *weight = f32::from_bits(ONE);
        }
        Self::from_weights(memory)
    }

    /// Weights stored as the bits of floats: at most 2³⁰, hence never a NaN that a move could change.
    fn from_weights(memory: &'a mut [f32]) -> Self {
        let weights: &mut [u32] = bytemuck::cast_slice_mut(memory);
        let total = sum(weights);
        Self { weights, total }
    }

    /// Keeps the smallest set of heaviest tokens with at least `top_p` of the mass; ties by lowest id, never none.
    pub(super) fn keep_top_p(&mut self, top_p: f32) {
        let share = fixed(top_p).saturating_sub(TOP_P_TOLERANCE);
        let target = scaled(self.total, share, FRACTION_BITS).max(1);
        if self.total == 0 {
            return;
        }
        Cut::find(self.weights.iter().copied(), u64::from, target).apply(self.weights, |weight| weight, 0);
        self.total = sum(self.weights);
    }

    /// Keeps the tokens at least `min_p` times as heavy as the best.
    pub(super) fn keep_min_p(&mut self, min_p: f32) {
        let least = fixed(min_p);
        for weight in self.weights.iter_mut() {
            *weight = if *weight >= least { *weight } else { 0 };
        }
        self.total = sum(self.weights);
    }

    /// The token that the random number `draw`, uniform over `u32`, falls on: the first whose cumulative weight in
    /// order of id is above ⌊total · draw / 2³²⌋.
    pub fn pick(&self, draw: u32) -> u32 {
        let mut point = scaled(self.total, draw, 32);
        // Whole blocks are skipped by their sum.
        for (block, weights) in self.weights.chunks(256).enumerate() {
            let mass = sum(weights);
            if point >= mass {
                point -= mass;
                continue;
            }
            for (lane, &weight) in weights.iter().enumerate() {
                if point < u64::from(weight) {
                    return (block * 256 + lane) as u32;
                }
                point -= u64::from(weight);
            }
        }
        // Only an empty vocabulary has no cumulative weight above a point below the total.
        0
    }

    /// The probability of `token`; 0 for one that cannot be chosen or does not exist.
    pub fn probability(&self, token: u32) -> f32 {
        let weight = self.weights.get(token as usize).copied().unwrap_or(0);
        if weight == 0 { 0.0 } else { weight as f32 / self.total as f32 }
    }

    /// Every token that can be chosen, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = Candidate> {
        let total = self.total as f32;
        let numbered = self.weights.iter().enumerate().filter(|(_, weight)| **weight != 0);
        numbered.map(move |(token, &weight)| Candidate {
            token: token as u32,
            probability: weight as f32 / total,
        })
    }

    /// The `N` most probable tokens, best first; of equal ones the lowest id first.
    pub fn best<const N: usize>(&self) -> Vec<Candidate, N> {
        let mut best: Vec<Candidate, N> = Vec::new();
        for candidate in self.iter() {
            let rank = best.partition_point(|better| better.probability >= candidate.probability);
            if rank < N {
                best.truncate(N - 1);
                // There is room after the truncation, and `rank` is at most the length.
                let _ = best.insert(rank, candidate);
            }
        }
        best
    }
}

/// Replaces logits by the bits of their weights. Sixteen at once, so that a compiler can keep them in vectors.
#[inline(always)]
fn weigh(block: &mut [f32; 16], best: f32, scale: f32) {
    // A difference of infinities is NaN: the best logit's exponent is 0 by definition instead.
    let exponents = block.map(|logit| if logit == best { 0.0 } else { (logit - best) * scale });
    // NaN compares false.
    let possible = exponents.map(|exponent| exponent >= LOWEST_EXPONENT);
    if !possible.iter().fold(false, |any, &possible| any | possible) {
        return *block = [0.0; 16];
    }
    for lane in 0..16 {
        let weight = fixed(exp(if possible[lane] { exponents[lane] } else { LOWEST_EXPONENT }));
        block[lane] = f32::from_bits(if possible[lane] { weight } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn weights(candidates: &Candidates<'_>) -> Vec<u32> {
        candidates.weights.to_vec()
    }

    #[test]
    fn the_best_token_weighs_exactly_one() {
        for best in [-1e30, -1.0, 0.0, 3.25, 1e30] {
            for temperature in [0.01, 0.7, 100.0] {
                let mut logits = [best, f32::NEG_INFINITY, best];
                assert_eq!(weights(&Candidates::from_logits(&mut logits, temperature)), [ONE, 0, ONE]);
            }
        }
    }

    #[test]
    fn no_weight_exceeds_the_best() {
        for step in 0..=2_150_000 {
            let exponent = step as f32 * -1e-5;
            assert!(exp(exponent) <= 1.0, "{exponent}");
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn a_weight_below_half_a_unit_is_never_chosen() {
        let mut logits = [0.0, -21.4, -21.5, -21.6, -1e9];
        let candidates = Candidates::from_logits(&mut logits, 1.0);
        assert_eq!(weights(&candidates), [ONE, 1, 0, 0, 0]);
        assert_eq!(candidates.total, u64::from(ONE) + 1);
        assert_eq!(candidates.pick(u32::MAX - 4), 0);
        assert_eq!(candidates.pick(u32::MAX), 1);
    }

    #[test]
    fn every_draw_falls_on_a_token_with_weight() {
        let mut logits = [f32::NEG_INFINITY; 600];
        (logits[3], logits[255], logits[256], logits[511]) = (1.0, 1.0, 1.0, 1.0);
        let candidates = Candidates::from_logits(&mut logits, 1.0);
        let quarter = 1 << 30;
        for (draw, token) in [
            (0, 3),
            (quarter - 1, 3),
            (quarter, 255),
            (2 * quarter, 256),
            (3 * quarter - 1, 256),
            (3 * quarter, 511),
            (u32::MAX, 511),
        ] {
            assert_eq!(candidates.pick(draw), token, "{draw}");
        }
    }

    #[test]
    fn top_p_keeps_at_least_one_token() {
        let mut logits = [1.0, 2.0, 2.0];
        let mut candidates = Candidates::from_logits(&mut logits, 1.0);
        candidates.keep_top_p(0.0);
        assert_eq!(weights(&candidates), [0, ONE, 0]);
    }

    #[test]
    fn mass_just_below_top_p_counts_as_reached() {
        for (top_p, kept) in [(0.500_000_9, [ONE, 0]), (0.500_002, [ONE, ONE])] {
            let mut probabilities = [0.5, 0.5];
            let mut candidates = Candidates::from_probabilities(&mut probabilities);
            candidates.keep_top_p(top_p);
            assert_eq!(weights(&candidates), kept, "{top_p}");
        }
    }

    #[test]
    fn min_p_keeps_its_boundary() {
        let mut probabilities = [0.4, 0.2, 0.1];
        let mut candidates = Candidates::from_probabilities(&mut probabilities);
        candidates.keep_min_p(0.5);
        assert_eq!(weights(&candidates), [ONE, ONE / 2, 0]);
    }

    #[test]
    fn hostile_probabilities_are_defined() {
        let mut probabilities = [f32::NAN, -1.0, f32::INFINITY, 0.5];
        assert_eq!(weights(&Candidates::from_probabilities(&mut probabilities)), [0, 0, ONE, 0]);
        let mut probabilities = [-1.0, 0.0, f32::NAN];
        assert_eq!(weights(&Candidates::from_probabilities(&mut probabilities)), [ONE, 0, 0]);
        assert_eq!(Candidates::from_probabilities(&mut []).pick(7), 0);
    }

    #[test]
    fn the_best_come_in_order_of_rank_then_id() {
        let mut probabilities = [0.1, 0.3, 0.1, 0.4, 0.1];
        let candidates = Candidates::from_probabilities(&mut probabilities);
        let tokens: Vec<u32> = candidates.best::<4>().iter().map(|candidate| candidate.token).collect();
        assert_eq!(tokens, [3, 1, 0, 2]);
        assert_eq!(candidates.best::<9>().len(), 5);
        assert_eq!(candidates.best::<0>().len(), 0);
    }
}
