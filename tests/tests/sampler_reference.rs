//! The sampler against a plain reference that sorts and works in f64, over many random distributions; and the draw
//! against the distribution it claims.
use whit::sampler::{Random, Sampler, Sampling, greedy};

/// Between a cut-off's exact mass and the threshold: closer than this, f32 may decide otherwise than f64.
const AMBIGUOUS: f64 = 5e-7;

/// Sizes around the block lengths of 16 and 256, and larger than any digit of the selection.
const SIZES: [usize; 12] = [1, 2, 15, 16, 17, 33, 255, 256, 257, 300, 1000, 5000];

fn off() -> Sampling {
    Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() }
}

/// Logits on a grid of eighths, so that ties are many and differences clear; some tokens banned.
fn logits(random: &mut Random, size: usize, spread: f32) -> Vec<f32> {
    let mut logit = || {
        let sum = random.next_f32() + random.next_f32() + random.next_f32() - 1.5;
        let banned = random.next_f32() < 0.05;
        if banned { f32::NEG_INFINITY } else { (sum * spread * 8.0).round() / 8.0 }
    };
    (0..size).map(|_| logit()).collect()
}

/// The reference's distribution, `[vocabulary]`, and whether a cut-off was too close to call.
fn reference(sampling: &Sampling, logits: &[f32], history: &[u32]) -> (Vec<f64>, bool) {
    let mut logits = logits.to_vec();
    let recent = history.len().saturating_sub(sampling.penalty_window as usize);
    let seen: std::collections::BTreeSet<u32> = history[recent..].iter().copied().collect();
    for token in seen {
        let logit = &mut logits[token as usize];
        let penalty = sampling.repetition_penalty;
        *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let best = f64::from(logits[order[0]]);
    let mut weights = vec![0.0; logits.len()];
    if best == f64::NEG_INFINITY {
        weights[0] = 1.0;
        return (weights, false);
    }
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k as usize);
    }
    let relative = |token: usize| ((f64::from(logits[token]) - best) / f64::from(sampling.temperature)).exp();
    order.retain(|&token| relative(token) >= 2f64.powi(-31));
    let total: f64 = order.iter().map(|&token| relative(token)).sum();
    let mut ambiguous = false;
    if sampling.top_p < 1.0 {
        let threshold = f64::from(sampling.top_p) - 1e-6;
        let mut mass = 0.0;
        let mut kept = 0;
        for &token in &order {
            kept += 1;
            mass += relative(token) / total;
            ambiguous |= (mass - threshold).abs() < AMBIGUOUS;
            if mass >= threshold {
                break;
            }
        }
        order.truncate(kept);
    }
    let min_p = f64::from(sampling.min_p);
    // The best token's ratio is exact.
    let close = |ratio: f64| ratio < 1.0 && (ratio - min_p).abs() < AMBIGUOUS * min_p;
    ambiguous |= order.iter().any(|&token| close(relative(token)));
    order.retain(|&token| relative(token) >= min_p);
    let total: f64 = order.iter().map(|&token| relative(token)).sum();
    for token in order {
        weights[token] = relative(token) / total;
    }
    (weights, ambiguous)
}

fn random_sampling(random: &mut Random) -> Sampling {
    let mut choose = |values: &[f32]| values[random.next_u32() as usize % values.len()];
    Sampling {
        temperature: choose(&[0.1, 0.7, 1.0, 1.3, 5.0]),
        top_k: choose(&[0.0, 0.0, 1.0, 2.0, 40.0, 700.0]) as u32,
        top_p: choose(&[1.0, 1.0, 0.0, 0.5, 0.9, 0.99]),
        min_p: choose(&[0.0, 0.0, 0.07, 0.3, 1.0]),
        repetition_penalty: choose(&[1.0, 1.1, 1.7, 0.8]),
        penalty_window: choose(&[0.0, 3.0, 64.0]) as u32,
        seed: 0,
    }
}

#[test]
fn the_distribution_is_that_of_the_reference() {
    let mut random = Random::new(2014);
    let (mut cases, mut ambiguous_cases) = (0, 0);
    for round in 0..150 {
        for size in SIZES {
            let sampling = random_sampling(&mut random);
            let logits = logits(&mut random, size, [1.0, 4.0, 12.0, 40.0][round % 4]);
            let history: Vec<u32> = (0..round).map(|_| random.next_u32() % size as u32).collect();
            let (expected, ambiguous) = reference(&sampling, &logits, &history);
            cases += 1;
            if ambiguous {
                ambiguous_cases += 1;
                continue;
            }
            let mut memory = logits.clone();
            let sampler = Sampler::new(sampling).expect("valid settings");
            let candidates = sampler.candidates(&mut memory, &history);
            for (token, &expected) in expected.iter().enumerate() {
                let got = f64::from(candidates.probability(token as u32));
                let context = format!("token {token} of {size}, {sampling:?}: {got} instead of {expected}");
                assert!((got - expected).abs() <= 1e-6, "{context}");
                // Near 2⁻³¹ of the best, rounding decides whether a weight is 0 or 1.
                if expected > 1e-8 || expected == 0.0 && got > 1e-8 {
                    assert_eq!(got > 0.0, expected > 0.0, "{context}");
                }
            }
        }
    }
    assert!(ambiguous_cases * 50 < cases, "{ambiguous_cases} of {cases} cases say nothing");
}

#[test]
fn draws_follow_the_distribution() {
    const DRAWS: usize = 200_000;
    let logits = [2.0, 1.0, 0.5, 0.0, -1.0, -3.0, 1.5, 1.5, f32::NEG_INFINITY, -2.0, 0.25];
    for seed in 0..5 {
        for sampling in [off(), Sampling::default(), Sampling { top_k: 5, min_p: 0.1, ..off() }] {
            let mut sampler = Sampler::new(Sampling { seed, ..sampling }).expect("valid settings");
            let mut counts = [0u32; 11];
            for _ in 0..DRAWS {
                counts[sampler.sample(&mut logits.clone(), &[]) as usize] += 1;
            }
            let mut memory = logits;
            let candidates = sampler.candidates(&mut memory, &[]);
            let mut chi_square = 0.0;
            for (token, &count) in counts.iter().enumerate() {
                let expected = f64::from(candidates.probability(token as u32)) * DRAWS as f64;
                if expected == 0.0 {
                    assert_eq!(count, 0, "token {token} was cut off");
                } else {
                    chi_square += (f64::from(count) - expected).powi(2) / expected;
                }
            }
            // The 99.99 % quantile for 9 degrees of freedom; fewer tokens have a lower one.
            assert!(chi_square < 33.7, "seed {seed}, {sampling:?}: {chi_square}");
        }
    }
}

#[test]
fn one_best_token_is_greedy() {
    let mut random = Random::new(9);
    for size in SIZES {
        let logits = logits(&mut random, size, 2.0);
        let mut sampler = Sampler::new(Sampling { top_k: 1, ..off() }).expect("valid settings");
        assert_eq!(sampler.sample(&mut logits.clone(), &[]), greedy(&logits), "{size}");
    }
}

#[test]
fn settings_that_are_off_change_nothing() {
    let mut random = Random::new(10);
    for size in SIZES {
        let logits = logits(&mut random, size, 4.0);
        let history: Vec<u32> = (0..size as u32).collect();
        let distribution = |sampling| -> Vec<(u32, f32)> {
            let sampler = Sampler::new(sampling).expect("valid settings");
            let mut memory = logits.clone();
            sampler.candidates(&mut memory, &history).iter().map(|c| (c.token, c.probability)).collect()
        };
        let plain = distribution(Sampling { penalty_window: 0, ..off() });
        assert_eq!(plain.len(), logits.iter().filter(|logit| logit.is_finite()).count().max(1));
        for sampling in [
            Sampling { top_k: size as u32, ..off() },
            Sampling { repetition_penalty: 1.0, penalty_window: 1024, ..off() },
            Sampling { repetition_penalty: 2.0, penalty_window: 0, ..off() },
            Sampling { min_p: 1e-12, ..off() },
        ] {
            assert_eq!(distribution(sampling), plain, "{sampling:?}");
        }
    }
}

#[test]
fn entropy_rises_with_temperature() {
    let mut random = Random::new(12);
    for size in [2, 17, 300, 5000] {
        let mut logits = logits(&mut random, size, 5.0);
        (logits[0], logits[1]) = (9.0, 8.0);
        let mut last = 0.0;
        for temperature in [0.0, 0.1, 0.3, 0.7, 1.0, 1.5, 3.0, 10.0, 100.0] {
            let sampler = Sampler::new(Sampling { temperature, ..off() }).expect("valid settings");
            let mut memory = logits.clone();
            let candidates = sampler.candidates(&mut memory, &[]);
            let entropy: f64 = candidates.iter().map(|c| f64::from(c.probability)).map(|p| -p * p.ln()).sum();
            assert!(
                temperature == 0.0 || entropy > last,
                "{size}, T = {temperature}: {entropy} after {last}"
            );
            last = entropy;
        }
    }
}
