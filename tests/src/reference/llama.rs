//! Llama (Touvron et al. 2023) and Mistral (Jiang et al. 2023).

use super::{Attention, Vectors, Weights, activate, add, size};
use serde_json::Value;
use std::f64::consts::PI;

pub(super) fn logits(config: &Value, weights: &Weights, tokens: &[u32]) -> Vectors {
    let heads = size(config, "num_attention_heads", None);
    let head_width = size(config, "head_dim", Some(size(config, "hidden_size", None) / heads));
    let attention = Attention {
        heads,
        kv_heads: size(config, "num_key_value_heads", Some(heads)),
        head_width,
        window: size(config, "sliding_window", Some(0)),
        scale: 1.0 / (head_width as f64).sqrt(),
    };
    let function = config["hidden_act"].as_str().unwrap_or("silu");
    let epsilon = config["rms_norm_eps"].as_f64().unwrap_or(1e-6);
    let frequencies = frequencies(config, head_width);

    let mut x = weights.rows("embed_tokens.weight", tokens.iter().map(|&token| token as usize));
    for layer in 0..size(config, "num_hidden_layers", None) {
        let norm = |name: &str, x: &Vectors| {
            let weight = weights.vector(&format!("layers.{layer}.{name}.weight"));
            x.iter().map(|x| rms_norm(x, &weight, epsilon)).collect::<Vectors>()
        };
        let linear = |name: &str, x: &Vectors| {
            let name = format!("layers.{layer}.{name}");
            weights.linear(&format!("{name}.weight"), &format!("{name}.bias"), x)
        };
        let h = norm("input_layernorm", &x);
        let mut queries = linear("self_attn.q_proj", &h);
        let mut keys = linear("self_attn.k_proj", &h);
        let values = linear("self_attn.v_proj", &h);
        for vectors in [&mut queries, &mut keys] {
            for (position, vector) in vectors.iter_mut().enumerate() {
                vector.chunks_mut(head_width).for_each(|head| rotate(head, position, &frequencies));
            }
        }
        add(&mut x, &linear("self_attn.o_proj", &attention.apply(&queries, &keys, &values)));

        let h = norm("post_attention_layernorm", &x);
        let (mut gate, up) = (linear("mlp.gate_proj", &h), linear("mlp.up_proj", &h));
        for (gate, up) in gate.iter_mut().flatten().zip(up.iter().flatten()) {
            *gate = activate(function, *gate) * up;
        }
        add(&mut x, &linear("mlp.down_proj", &gate));
    }
    let weight = weights.vector("norm.weight");
    let x = x.iter().map(|x| rms_norm(x, &weight, epsilon)).collect();
    let tied = config["tie_word_embeddings"].as_bool().unwrap_or(false);
    weights.linear(if tied { "embed_tokens.weight" } else { "lm_head.weight" }, "", &x)
}

/// Root-mean-square norm (Zhang and Sennrich 2019).
pub(super) fn rms_norm(x: &[f64], weight: &[f64], epsilon: f64) -> Vec<f64> {
    let mean_square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(weight).map(|(x, w)| x / (mean_square + epsilon).sqrt() * w).collect()
}

/// Rotates elements i and i + n / 2 of a head as the complex number they form (Su et al. 2021).
pub(super) fn rotate(head: &mut [f64], position: usize, frequencies: &[f64]) {
    let half = head.len() / 2;
    for (i, frequency) in frequencies.iter().enumerate() {
        let (sin, cos) = (position as f64 * frequency).sin_cos();
        let (a, b) = (head[i], head[i + half]);
        head[i] = a * cos - b * sin;
        head[i + half] = a * sin + b * cos;
    }
}

/// Radians per position, scaled as the configuration says: the two scalings by their published wording.
pub(super) fn frequencies(config: &Value, head_width: usize) -> Vec<f64> {
    let rope = if config["rope_parameters"].is_null() {
        &config["rope_scaling"]
    } else {
        &config["rope_parameters"]
    };
    let theta = rope["rope_theta"].as_f64().or(config["rope_theta"].as_f64()).unwrap_or(10_000.0);
    let plain = (0..head_width / 2).map(|i| 1.0 / theta.powf(2.0 * i as f64 / head_width as f64));
    let number =
        |name: &str| rope[name].as_f64().unwrap_or_else(|| panic!("the rotary scaling has no `{name}`"));
    match rope["rope_type"].as_str().or(rope["type"].as_str()) {
        None | Some("default") => plain.collect(),
        Some("linear") => plain.map(|frequency| frequency / number("factor")).collect(),
        Some("llama3") => {
            let context = number("original_max_position_embeddings");
            let (low, high) = (number("low_freq_factor"), number("high_freq_factor"));
            let scaled = |frequency: f64| {
                let wavelength = 2.0 * PI / frequency;
                if wavelength < context / high {
                    frequency
                } else if wavelength > context / low {
                    frequency / number("factor")
                } else {
                    let smooth = (context / wavelength - low) / (high - low);
                    (1.0 - smooth) * frequency / number("factor") + smooth * frequency
                }
            };
            plain.map(scaled).collect()
        }
        Some(other) => panic!("no reference for rotary scaling `{other}`"),
    }
}
