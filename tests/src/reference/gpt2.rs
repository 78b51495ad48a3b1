//! GPT-2 (Radford et al. 2019).

use super::{Attention, Vectors, Weights, activate, add, size};
use serde_json::Value;

pub(super) fn logits(config: &Value, weights: &Weights, tokens: &[u32]) -> Vectors {
    let (width, heads) = (size(config, "n_embd", None), size(config, "n_head", None));
    let head_width = width / heads;
    let scaled = config["scale_attn_weights"].as_bool().unwrap_or(true);
    let scale = if scaled { 1.0 / (head_width as f64).sqrt() } else { 1.0 };
    let attention = Attention { heads, kv_heads: heads, head_width, window: 0, scale };
    let function = config["activation_function"].as_str().unwrap_or("gelu_new");
    let epsilon = config["layer_norm_epsilon"].as_f64().unwrap_or(1e-5);
    // minGPT and nanoGPT store [outputs, inputs]; the fused projection shows which it is.
    let is_conv1d = weights.shape("h.0.attn.c_attn.weight") == [width, 3 * width];
    let norm = |name: &str, x: &Vectors| {
        let (weight, bias) =
            (weights.vector(&format!("{name}.weight")), weights.vector(&format!("{name}.bias")));
        x.iter().map(|x| layer_norm(x, &weight, &bias, epsilon)).collect::<Vectors>()
    };

    let mut x = weights.rows("wte.weight", tokens.iter().map(|&token| token as usize));
    add(&mut x, &weights.rows("wpe.weight", 0..tokens.len()));
    for layer in 0..size(config, "n_layer", None) {
        let linear = |name: &str, x: &Vectors| {
            let (weight, bias) = (format!("h.{layer}.{name}.weight"), format!("h.{layer}.{name}.bias"));
            if is_conv1d { weights.conv1d(&weight, &bias, x) } else { weights.linear(&weight, &bias, x) }
        };
        let fused = linear("attn.c_attn", &norm(&format!("h.{layer}.ln_1"), &x));
        let part = |i: usize| fused.iter().map(|fused| fused[i * width..][..width].to_vec()).collect();
        add(&mut x, &linear("attn.c_proj", &attention.apply(&part(0), &part(1), &part(2))));

        let mut hidden = linear("mlp.c_fc", &norm(&format!("h.{layer}.ln_2"), &x));
        hidden.iter_mut().flatten().for_each(|value| *value = activate(function, *value));
        add(&mut x, &linear("mlp.c_proj", &hidden));
    }
    let tied = config["tie_word_embeddings"].as_bool().unwrap_or(true);
    weights.linear(if tied { "wte.weight" } else { "lm_head.weight" }, "", &norm("ln_f", &x))
}

/// Layer norm (Ba et al. 2016).
pub(super) fn layer_norm(x: &[f64], weight: &[f64], bias: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let normal = x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt());
    normal.zip(weight).zip(bias).map(|((x, w), b)| x * w + b).collect()
}
