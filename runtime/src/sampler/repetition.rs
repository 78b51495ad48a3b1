//! What discourages repetition: a penalty on seen tokens and a ban on repeated n-grams. Plain functions on logits.

/// Divides a positive logit of a seen token by `penalty` and multiplies any other (Keskar et al., "CTRL", 2019).
///
/// A token seen twice is penalised once; ids outside the vocabulary are ignored; a penalty above 1 makes a seen token
/// less likely and 1 does nothing. Costs O(seen²), which [`super::MAX_PENALTY_WINDOW`] bounds.
pub fn penalize(logits: &mut [f32], seen: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    for (position, token) in seen.iter().enumerate() {
        if seen.iter().take(position).any(|before| before == token) {
            continue;
        }
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// Sets to −∞ every token that would complete an n-gram already in `history` (Paulus et al., 2017).
///
/// Call it on the logits before sampling; `n` of 0 bans nothing, 1 bans every seen token.
pub fn ban_repeated_ngrams(logits: &mut [f32], history: &[u32], n: usize) {
    let Some(context) = n.checked_sub(1) else { return };
    let Some(start) = history.len().checked_sub(context) else { return };
    for ngram in history.windows(n) {
        if ngram[..context] == history[start..]
            && let Some(logit) = logits.get_mut(ngram[context] as usize)
        {
            *logit = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_signs_become_less_likely_once() {
        let mut logits = [2.0, -1.0, 0.5, 0.0];
        penalize(&mut logits, &[0, 1, 0, 3, 1], 2.0);
        assert_eq!(logits, [1.0, -2.0, 0.5, 0.0]);
    }

    #[test]
    fn a_token_outside_the_vocabulary_is_ignored() {
        let mut logits = [2.0];
        penalize(&mut logits, &[1, u32::MAX], 2.0);
        ban_repeated_ngrams(&mut logits, &[9, 9], 1);
        assert_eq!(logits, [2.0]);
    }

    #[test]
    fn impossible_tokens_stay_impossible() {
        let mut logits = [f32::NEG_INFINITY, f32::INFINITY];
        penalize(&mut logits, &[0, 1], 2.0);
        assert_eq!(logits, [f32::NEG_INFINITY, f32::INFINITY]);
    }

    #[test]
    fn a_completed_trigram_is_banned() {
        let mut logits = [0.0; 4];
        ban_repeated_ngrams(&mut logits, &[1, 2, 3, 1, 2], 3);
        assert_eq!(logits, [0.0, 0.0, 0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn a_length_of_zero_or_beyond_the_history_bans_nothing() {
        for n in [0, 3, 4, usize::MAX] {
            let mut logits = [0.0; 4];
            ban_repeated_ngrams(&mut logits, &[1, 1], n);
            assert_eq!(logits, [0.0; 4], "n = {n}");
        }
    }
}
