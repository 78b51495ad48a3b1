//! Where a ranking is cut, found without sorting: radix selection over 32-bit keys, eight bits at a time.
//!
//! Serves top-k (every key counts 1) and top-p (every key counts its own weight). Four passes at most; after the first
//! nearly every key is outside the range of interest and costs one comparison. 2 KiB of stack. Tried and lost: keys in
//! floating-point format, which fill the first pass evenly (top-p at 50,257 tokens 0.28 ms longer where peaked, 0.02 where
//! flat), and a first pass without its branch (0.07 ms longer where peaked, 0.06 shorter where flat).

/// Sets every logit but the `k` greatest to −∞; of equal logits the lowest ids stay. NaN ranks last.
pub(super) fn keep_top_k(logits: &mut [f32], k: u32) {
    if k as usize >= logits.len() {
        return;
    }
    let cut = Cut::find(logits.iter().map(|&logit| key(logit)), |_| 1, u64::from(k));
    cut.apply(logits, key, f32::NEG_INFINITY);
}

/// An integer that orders like the logit: −0 equals 0, NaN is below all.
fn key(logit: f32) -> u32 {
    // Adding 0 turns −0 into 0 and changes nothing else.
    let bits = (logit + 0.0).to_bits();
    let sign = ((bits as i32) >> 31) as u32;
    if logit.is_nan() { 0 } else { bits ^ (sign | 0x8000_0000) }
}

/// Keeps the keys above `threshold` and the first `ties` of those equal to it.
pub(super) struct Cut {
    threshold: u32,
    ties: u32,
}

impl Cut {
    /// The smallest set of greatest keys whose `measure` sums to at least `target` (≥ 1, ≤ the sum over all keys).
    ///
    /// `measure` depends on the key alone. The sum over all keys must stay below 2⁶⁴.
    pub(super) fn find(
        keys: impl Iterator<Item = u32> + Clone,
        measure: impl Fn(u32) -> u64,
        target: u64,
    ) -> Self {
        let (mut prefix, mut wanted) = (0u32, target);
        for shift in [24, 16, 8, 0] {
            let masses = histogram(keys.clone(), &measure, prefix, shift);
            let digit = descend(&masses, &mut wanted);
            prefix |= digit << shift;
            if masses[digit as usize] == wanted {
                return Self { threshold: prefix, ties: u32::MAX };
            }
        }
        Self { threshold: prefix, ties: ties(wanted, measure(prefix).max(1)) }
    }

    /// Replaces by `none` what is cut off; entries are in order of id.
    pub(super) fn apply<T: Copy>(&self, entries: &mut [T], key: impl Fn(T) -> u32, none: T) {
        // Without the ties there is no branch that depends on the data, which a flat distribution would mispredict.
        for entry in &mut *entries {
            *entry = if key(*entry) >= self.threshold { *entry } else { none };
        }
        if self.ties == u32::MAX {
            return;
        }
        let surplus = entries.iter_mut().filter(|entry| key(**entry) == self.threshold);
        for entry in surplus.skip(self.ties as usize) {
            *entry = none;
        }
    }
}

/// How many of `each` reach `wanted`, at most 2³²: bit by bit, because a division of 64 bits would be a kilobyte of a small
/// program.
fn ties(wanted: u64, each: u64) -> u32 {
    let mut too_few = 0;
    for bit in (0..32).rev() {
        let more = too_few | 1 << bit;
        if each.saturating_mul(more) < wanted {
            too_few = more;
        }
    }
    u32::try_from(too_few + 1).unwrap_or(u32::MAX)
}

/// The measure per value of the eight bits above `shift`, over the keys that share `prefix` above them.
///
/// Entry 0 is left out: it is where the walk ends when no other entry suffices. That spares counting the tail of a
/// peaked distribution, most of the vocabulary.
fn histogram(
    keys: impl Iterator<Item = u32>,
    measure: impl Fn(u32) -> u64,
    prefix: u32,
    shift: u32,
) -> [u64; 256] {
    let mut masses = [0; 256];
    for key in keys {
        // `prefix` is 0 at shift 24 and at most 2³² − 2^(shift + 8) otherwise: a key below it wraps to 256 or more.
        let digit = key.wrapping_sub(prefix) >> shift;
        if digit.wrapping_sub(1) < 255 {
            masses[digit as usize] += measure(key);
        }
    }
    masses
}

/// Walks down from the greatest entry to the one in which the sum reaches `wanted`; `wanted` becomes what it lacks.
fn descend(masses: &[u64; 256], wanted: &mut u64) -> u32 {
    for digit in (1..256).rev() {
        let mass = masses[digit];
        if mass >= *wanted {
            return digit as u32;
        }
        *wanted -= mass;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Random;
    use std::{vec, vec::Vec};

    fn kept(keys: &[u32], measure: fn(u32) -> u64, target: u64) -> Vec<usize> {
        let cut = Cut::find(keys.iter().copied(), measure, target);
        let mut entries: Vec<(u32, bool)> = keys.iter().map(|&key| (key, true)).collect();
        cut.apply(&mut entries, |(key, _)| key, (0, false));
        (0..keys.len()).filter(|&id| entries[id].1).collect()
    }

    /// The definition: sort by key descending then id, take until the target is reached.
    fn kept_by_sorting(keys: &[u32], measure: fn(u32) -> u64, target: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&id| (core::cmp::Reverse(keys[id]), id));
        let mut sum = 0;
        let mut kept: Vec<usize> = order
            .into_iter()
            .take_while(|&id| {
                let wanting = sum < target;
                sum += measure(keys[id]);
                wanting
            })
            .collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn a_key_orders_like_its_logit() {
        let ascending =
            [f32::NEG_INFINITY, f32::MIN, -1.0, -f32::MIN_POSITIVE, -1e-45, 0.0, 1e-45, 1.0, f32::MAX];
        for pair in ascending.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        assert_eq!(key(-0.0), key(0.0));
        assert!(key(f32::NAN) < key(f32::NEG_INFINITY));
        assert!(key(-f32::NAN) < key(f32::NEG_INFINITY));
    }

    #[test]
    fn selection_agrees_with_sorting() {
        let mut random = Random::new(11);
        // Masks choose where the keys differ: everywhere, in one digit each, hardly at all.
        for mask in [!0, 0xff, 0xff00, 0xff_0000, 0xff00_0000, 0x8000_0001, 0x0101_0101, 0] {
            for len in [1, 2, 3, 50, 700] {
                let keys =
                    vec![0; len].into_iter().map(|_: u32| random.next_u32() & mask).collect::<Vec<_>>();
                for measure in [|_| 1, |key| u64::from(key)] {
                    let total: u64 = keys.iter().map(|&key| measure(key)).sum();
                    for target in [1, total / 3, total - total / 5, total] {
                        if (1..=total).contains(&target) {
                            let expected = kept_by_sorting(&keys, measure, target);
                            assert_eq!(kept(&keys, measure, target), expected, "{mask:x} {len} {target}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_tie_at_the_cut_keeps_the_lowest_ids() {
        let mut logits = [1.0, 2.0, 1.0, -0.0, 1.0, 0.0];
        keep_top_k(&mut logits, 3);
        assert_eq!(logits.map(|logit| logit > f32::NEG_INFINITY), [true, true, true, false, false, false]);
        let mut zeros = [f32::NAN, -0.0, 0.0];
        keep_top_k(&mut zeros, 1);
        assert_eq!(zeros[1], 0.0);
        assert_eq!(zeros[2], f32::NEG_INFINITY);
    }

    #[test]
    fn k_at_or_beyond_the_vocabulary_keeps_all() {
        for k in [2, 3, u32::MAX] {
            let mut logits = [1.0, 2.0];
            keep_top_k(&mut logits, k);
            assert_eq!(logits, [1.0, 2.0]);
        }
    }
}
