//! The published worked examples of the metrics of compression: size and quality ratios, the front of Pareto,
//! perplexity, bits per character.

use serde_json::Value;
use whit_converter::eval::Score;
use whit_converter::report::{front, kept, ratio};
use whit_tests::examples::{example, examples, list, number};

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn assert_near(example: &Value, name: &str, found: f64, expected: &Value) {
    let tolerance = number(&example["tolerance"]);
    let expected = number(expected);
    assert!((found - expected).abs() <= tolerance, "{}: {name}: {found}, expected {expected}", example["id"]);
}

#[test]
fn size_ratio_quality_kept_and_points_lost() {
    for example in examples("metric.rale").unwrap_or_default() {
        let (size, accuracy) = (numbers(&example["inputs"]["size"]), numbers(&example["inputs"]["accuracy"]));
        let (quality, points) = kept(accuracy[0], accuracy[1]);
        assert_near(&example, "R", ratio(size[0], size[1]), &example["expected"]["R"]);
        assert_near(&example, "A", quality, &example["expected"]["A"]);
        assert_near(&example, "points", points, &example["expected"]["points"]);
    }
}

#[test]
fn latency_ratios() {
    for example in examples("metric.ratio").unwrap_or_default() {
        let (original, new) = (numbers(&example["inputs"]["original"]), numbers(&example["inputs"]["new"]));
        for (at, expected) in list(&example["expected"]["ratio"]).iter().enumerate() {
            assert_near(&example, "ratio", ratio(original[at], new[at]), expected);
        }
    }
}

#[test]
fn the_front_leaves_out_what_is_dominated() {
    let Some(example) = example("pareto-1") else { return };
    let points: Vec<_> = list(&example["inputs"]["points"])
        .iter()
        .map(|point| (number(&point[0]), number(&point[1])))
        .collect();
    let expected: Vec<_> = numbers(&example["expected"]["front"]).iter().map(|&at| at as usize).collect();
    assert_eq!(front(&points), expected);
}

#[test]
fn perplexity_of_token_probabilities() {
    for example in examples("lm.perplexity").unwrap_or_default() {
        let probabilities = numbers(&example["inputs"]["probs"]);
        let nats: f64 = probabilities.iter().map(|p| -p.ln()).sum();
        let tokens = probabilities.len();
        // One byte a token: bits per byte are bits per token.
        let score = Score::of(nats, tokens, tokens);
        let expected = &example["expected"];
        assert_near(&example, "nats", score.nats_per_token, &expected["nats_per_token"]);
        assert_near(&example, "bits", score.bits_per_byte, &expected["bits_per_token"]);
        assert_near(&example, "perplexity", score.perplexity, &expected["perplexity"]);
    }
}

#[test]
fn perplexity_is_e_to_the_nats_and_bits_spread_over_characters() {
    let Some(trap) = example("perplexity-5") else { return };
    let nats = number(&trap["inputs"]["nats_per_token"]);
    assert_near(&trap, "perplexity", Score::of(nats, 1, 1).perplexity, &trap["expected"]["perplexity"]);
    let bits = example("bits-1").expect("the data is there");
    let (perplexity, characters) =
        (number(&bits["inputs"]["perplexity_per_token"]), number(&bits["inputs"]["chars_per_token"]));
    let score = Score::of(perplexity.ln(), 1, characters as usize);
    assert_near(&bits, "bits", score.bits_per_byte, &bits["expected"]["bits_per_char"]);
}
