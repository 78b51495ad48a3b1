//! What quantization costs in nats per token, on a trained model and text that it was trained for.

use whit::format::Encoding;
use whit::{CacheKind, Model};
use whit_tests::imported::{encoded, file, stories260k};
use whit_tests::loss::{Loss, loss, stories};

/// Stories read: about 21,000 tokens.
const STORIES: usize = 60;

/// The loss of stories260K with the given encodings and cache; `None` where there is no data.
fn measured(weights: Encoding, embedding: Option<Encoding>, cache: CacheKind) -> Option<Loss> {
    let (checkpoint, stories) = (stories260k()?, stories(STORIES)?);
    let bytes = file(&checkpoint, &encoded(weights, embedding));
    let model = Model::parse(&bytes).expect("parses");
    Some(loss(&model, cache, &stories))
}

/// The loss at f32: the measure of all others.
fn reference() -> Option<Loss> {
    static REFERENCE: std::sync::OnceLock<Option<Loss>> = std::sync::OnceLock::new();
    *REFERENCE.get_or_init(|| measured(Encoding::F32, None, CacheKind::F32))
}

/// What the encodings cost beyond f32, in nats per token.
fn cost(name: &str, weights: Encoding, embedding: Option<Encoding>, cache: CacheKind) -> Option<f64> {
    let (found, reference) = (measured(weights, embedding, cache)?, reference()?);
    let cost = found.nats_per_token - reference.nats_per_token;
    println!("{name}, {cache:?} cache: {:.4} nats/token, {cost:+.5}", found.nats_per_token);
    Some(cost)
}

const INT4: Encoding = Encoding::I4 { group: 32 };

#[test]
fn f32_has_the_loss_that_the_model_was_trained_to() {
    let Some(Loss { nats_per_token, tokens }) = reference() else { return };
    println!("f32: {nats_per_token:.5} nats/token over {tokens} tokens");
    assert!(tokens >= 20_000);
    // Validation loss 1.2968 when it was trained; these stories are another sample.
    assert!((1.3..1.5).contains(&nats_per_token), "{nats_per_token}");
}

#[test]
fn f16_costs_nothing() {
    let Some(cost) = cost("f16", Encoding::F16, None, CacheKind::F32) else { return };
    assert!(cost.abs() < 1e-4, "{cost}");
}

#[test]
fn int8_costs_less_than_a_hundredth_of_a_nat() {
    let Some(weights) = cost("int8", Encoding::I8, None, CacheKind::F32) else { return };
    let Some(all) = cost("int8", Encoding::I8, None, CacheKind::I8) else { return };
    assert!(weights.abs() < 0.01 && all.abs() < 0.01, "{weights} {all}");
}

#[test]
fn an_int8_cache_alone_costs_less_than_a_hundredth_of_a_nat() {
    let Some(cost) = cost("f32", Encoding::F32, None, CacheKind::I8) else { return };
    assert!(cost.abs() < 0.01, "{cost}");
}

#[test]
fn int4_in_groups_of_32_with_int8_embedding_costs_less_than_016() {
    let Some(weights) = cost("int4/32", INT4, None, CacheKind::F32) else { return };
    let Some(all) = cost("int4/32", INT4, None, CacheKind::I8) else { return };
    assert!(weights < 0.16 && all < 0.16, "{weights} {all}");
}

#[test]
fn shorter_groups_cost_less() {
    let costs = [16, 32, 64, 0].map(|group| {
        cost(&format!("int4/{group}"), Encoding::I4 { group }, Some(Encoding::I8), CacheKind::I8)
    });
    let Some(costs) = costs.into_iter().collect::<Option<Vec<_>>>() else { return };
    assert!(costs.is_sorted(), "{costs:?}");
}
