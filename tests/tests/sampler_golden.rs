//! The sampler against the published decoding examples: softmax, temperature, top-k, top-p, pipeline, penalty, draw.

use serde_json::Value;
use whit::sampler::{Candidates, Sampler, Sampling, ban_repeated_ngrams, greedy, penalize};
use whit_tests::examples::{examples, number};

/// All settings off: the softmax itself.
fn plain() -> Sampling {
    Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(number).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    numbers(value).iter().map(|&id| id as u32).collect()
}

fn logits(example: &Value) -> Vec<f32> {
    numbers(&example["inputs"]["logits"]).iter().map(|&logit| logit as f32).collect()
}

/// Logits whose softmax is `inputs.probs`.
fn logits_of_probs(example: &Value) -> Vec<f32> {
    numbers(&example["inputs"]["probs"]).iter().map(|p| p.ln() as f32).collect()
}

fn setting(example: &Value, name: &str) -> f32 {
    number(&example["inputs"][name]) as f32
}

fn assert_near(example: &Value, got: &[f64], expected: &[f64]) {
    let tolerance = number(&example["tolerance"]);
    assert_eq!(got.len(), expected.len(), "{}", example["id"]);
    for (got, expected) in got.iter().zip(expected) {
        let near = got == expected || (got - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(near, "{}: got {got}, expected {expected}", example["id"]);
    }
}

/// Checks `expected.probs` (per token, or per kept token where `expected.kept` is given) and `expected.entropy_nats`.
fn check(example: &Value, sampling: Sampling, logits: &mut [f32], history: &[u32]) {
    let size = logits.len() as u32;
    let sampler = Sampler::new(sampling).expect("valid settings");
    let candidates = sampler.candidates(logits, history);
    let expected = &example["expected"];
    let tokens = match expected.get("kept") {
        Some(kept) => {
            let got: Vec<u32> = candidates.iter().map(|candidate| candidate.token).collect();
            assert_eq!(got, ids(kept), "{}", example["id"]);
            got
        }
        None => (0..size).collect(),
    };
    let probabilities: Vec<f64> = tokens.iter().map(|&token| candidates.probability(token).into()).collect();
    assert_near(example, &probabilities, &numbers(&expected["probs"]));
    if let Some(entropy) = expected.get("entropy_nats") {
        let got: f64 = candidates.iter().map(|c| f64::from(c.probability)).map(|p| -p * p.ln()).sum();
        assert_near(example, &[got], &[number(entropy)]);
    }
}

#[test]
fn softmax() {
    for example in examples("softmax").unwrap_or_default() {
        check(&example, plain(), &mut logits(&example), &[]);
    }
}

#[test]
fn temperature() {
    for example in examples("decode.temperature").unwrap_or_default() {
        let sampling = Sampling { temperature: setting(&example, "temperature"), ..plain() };
        check(&example, sampling, &mut logits(&example), &[]);
    }
}

#[test]
fn temperature_from_probabilities() {
    for example in examples("decode.temperature_from_probs").unwrap_or_default() {
        let sampling = Sampling { temperature: setting(&example, "temperature"), ..plain() };
        check(&example, sampling, &mut logits_of_probs(&example), &[]);
    }
}

#[test]
fn top_k() {
    for example in examples("decode.top_k").unwrap_or_default() {
        let sampling = Sampling { top_k: setting(&example, "k") as u32, ..plain() };
        check(&example, sampling, &mut logits_of_probs(&example), &[]);
    }
}

#[test]
fn top_p() {
    for example in examples("decode.top_p").unwrap_or_default() {
        let sampling = Sampling { top_p: setting(&example, "p"), ..plain() };
        check(&example, sampling, &mut logits_of_probs(&example), &[]);
    }
}

#[test]
fn pipeline() {
    for example in examples("decode.pipeline").unwrap_or_default() {
        let sampling = Sampling {
            temperature: setting(&example, "temperature"),
            top_k: setting(&example, "top_k") as u32,
            top_p: setting(&example, "top_p"),
            ..plain()
        };
        check(&example, sampling, &mut logits(&example), &[]);
    }
}

#[test]
fn repetition_penalty_on_logits() {
    for example in examples("decode.repetition_penalty").unwrap_or_default() {
        let (seen, penalty) = (ids(&example["inputs"]["seen"]), setting(&example, "penalty"));
        let mut penalized = logits(&example);
        penalize(&mut penalized, &seen, penalty);
        let got: Vec<f64> = penalized.iter().map(|&logit| logit.into()).collect();
        assert_near(&example, &got, &numbers(&example["expected"]["logits"]));
        // Seen twice is penalised once.
        let twice = [&seen[..], &seen[..]].concat();
        let sampling = Sampling { repetition_penalty: penalty, ..plain() };
        check(&example, sampling, &mut logits(&example), &twice);
    }
}

/// The penalty on probabilities is not ours; a caller reaches it through [`Candidates::from_probabilities`].
#[test]
fn repetition_penalty_on_probabilities() {
    for example in examples("decode.repetition_penalty_probs").unwrap_or_default() {
        let mut probabilities: Vec<f32> =
            numbers(&example["inputs"]["probs"]).iter().map(|&p| p as f32).collect();
        for token in ids(&example["inputs"]["seen"]) {
            probabilities[token as usize] /= setting(&example, "penalty");
        }
        let sum: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
        assert_near(&example, &[sum], &[number(&example["expected"]["sum_before_renormalise"])]);
        let candidates = Candidates::from_probabilities(&mut probabilities);
        let expected = numbers(&example["expected"]["probs"]);
        let got: Vec<f64> =
            (0..expected.len()).map(|token| candidates.probability(token as u32).into()).collect();
        assert_near(&example, &got, &expected);
    }
}

#[test]
fn draw() {
    for example in examples("decode.sample").unwrap_or_default() {
        let mut probabilities: Vec<f32> =
            numbers(&example["inputs"]["probs"]).iter().map(|&p| p as f32).collect();
        let candidates = Candidates::from_probabilities(&mut probabilities);
        let draws = numbers(&example["inputs"]["u"]);
        let got: Vec<u32> = draws.iter().map(|u| candidates.pick((u * 2f64.powi(32)) as u32)).collect();
        assert_eq!(got, ids(&example["expected"]["index"]), "{}", example["id"]);
    }
}

#[test]
fn mask() {
    for example in examples("decode.mask").unwrap_or_default() {
        let allowed = ids(&example["inputs"]["allowed"]);
        let mut logits = logits(&example);
        for (token, logit) in logits.iter_mut().enumerate() {
            if !allowed.contains(&(token as u32)) {
                *logit = f32::NEG_INFINITY;
            }
        }
        check(&example, plain(), &mut logits, &[]);
    }
}

#[test]
fn greedy_decoding() {
    for example in examples("decode.greedy").unwrap_or_default() {
        assert_eq!(f64::from(greedy(&logits_of_probs(&example))), number(&example["expected"]["index"]));
    }
}

#[test]
fn repeated_ngrams() {
    for example in examples("decode.no_repeat_ngram").unwrap_or_default() {
        let mut logits = [0.0; 16];
        ban_repeated_ngrams(
            &mut logits,
            &ids(&example["inputs"]["history"]),
            setting(&example, "n") as usize,
        );
        let banned: Vec<u32> = (0..16).filter(|&token| logits[token as usize] < 0.0).collect();
        assert_eq!(banned, ids(&example["expected"]["banned"]), "{}", example["id"]);
    }
}
