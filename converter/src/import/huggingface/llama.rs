//! `LlamaForCausalLM`, and `MistralForCausalLM`, which differs by its sliding window.

use super::config::{Fields, Only};
use super::family::{Family, Part, Recipe, activation, context, in_layer};
use super::rope;
use super::shards::Shards;
use crate::import::rows::Order;
use whit::format::{Architecture, Description, NormKind, NormPlace, Positions, Role, WideInputs};
use whit::kernels::Pairing;

/// Fields that some relative of Llama has and that would change the arithmetic.
const REFUSED: [(&str, Only); 22] = [
    ("quantization_config", Only::Absent),
    ("is_encoder_decoder", Only::False),
    ("add_cross_attention", Only::False),
    ("attn_logit_softcapping", Only::Absent),
    ("final_logit_softcapping", Only::Absent),
    ("query_pre_attn_scalar", Only::Absent),
    ("attention_multiplier", Only::Absent),
    ("residual_multiplier", Only::Number(1.0)),
    ("embedding_multiplier", Only::Number(1.0)),
    ("logits_scaling", Only::Number(1.0)),
    ("logit_scale", Only::Number(1.0)),
    ("scale_emb", Only::Number(1.0)),
    ("scale_depth", Only::Absent),
    ("partial_rotary_factor", Only::Number(1.0)),
    ("rotary_pct", Only::Number(1.0)),
    ("rope_interleaved", Only::False),
    ("use_qk_norm", Only::False),
    ("qk_norm", Only::False),
    ("clip_qkv", Only::Absent),
    ("no_rope_layers", Only::Empty),
    ("num_experts", Only::Number(0.0)),
    ("num_local_experts", Only::Number(0.0)),
];

/// A Llama model.
#[derive(Debug)]
pub(super) struct Llama {
    description: Description,
    frequencies: Vec<f32>,
}

impl Llama {
    /// Prefix that names may have.
    pub(super) const PREFIX: &'static str = "model.";

    /// Reads the configuration, defaults as in the `transformers` library; `fields` keeps the problems.
    pub(super) fn new(fields: &mut Fields, is_mistral: bool) -> Self {
        fields.refuse(&REFUSED);
        let width = fields.count("hidden_size", None, 1 << 16);
        let heads = fields.count("num_attention_heads", None, 1 << 10);
        let kv_default = if is_mistral { 8 } else { heads };
        let kv_heads = fields.count("num_key_value_heads", Some(kv_default), 1 << 10);
        if !heads.is_multiple_of(kv_heads) {
            let expected = format!("a divisor of the {heads} attention heads");
            fields.problem("num_key_value_heads", expected, kv_heads.to_string(), "");
        }
        let head_width = head_width(fields, width, heads);
        let context = context(fields, "max_position_embeddings", Some(2048));
        let window = window(fields, is_mistral, context);
        let frequencies = rope::frequencies(fields, head_width);
        let attention_bias = fields.flag("attention_bias", false);
        let mlp_bias = fields.flag("mlp_bias", false);
        let description = Description {
            vocabulary: fields.count("vocab_size", None, 1 << 24),
            width,
            layers: fields.count("num_hidden_layers", None, 1 << 10),
            heads,
            kv_heads,
            head_width,
            hidden: fields.count("intermediate_size", None, 131_071),
            context,
            window,
            rotary_width: head_width,
            norm: NormKind::Rms,
            norm_place: NormPlace::Before,
            positions: Positions::Rotary(Pairing::HalfSplit),
            activation: activation(fields, "hidden_act", "silu"),
            gated: true,
            tied: fields.flag("tie_word_embeddings", false),
            final_norm: true,
            norm_bias: false,
            qkv_bias: attention_bias,
            out_bias: attention_bias,
            up_bias: mlp_bias,
            down_bias: mlp_bias,
            head_bias: false,
            int8_cache: false,
            wide_inputs: WideInputs::NONE,
            epsilon: fields.number("rms_norm_eps", Some(1e-6)) as f32,
            attention_scale: (1.0 / f64::from(head_width).sqrt()) as f32,
            embedding_scale: 1.0,
            logit_scale: 1.0,
        };
        Self { description, frequencies }
    }
}

impl Family for Llama {
    fn architecture(&self) -> Architecture {
        self.description.into()
    }

    fn look(&mut self, _shards: &Shards) {}

    fn recipe(&self, role: Role, layer: u16) -> Recipe {
        let d = &self.description;
        let (rows, cols) = d.shape(role);
        let (queries, keys, hidden) = (d.query_width(), d.kv_width(), d.hidden as usize);
        let qkv = [("self_attn.q_proj", queries), ("self_attn.k_proj", keys), ("self_attn.v_proj", keys)];
        let up = [("mlp.gate_proj", hidden), ("mlp.up_proj", hidden)];
        let part = |name: String, shape| Part { name, shape, order: Order::Rows };
        let one = |name: &str| Recipe::Parts(vec![part(name.to_owned(), [rows, cols])]);
        let in_layer = |name: &str| one(&format!("layers.{layer}.{name}"));
        let weights = |parts: &[(&str, usize)]| {
            let parts = parts.iter();
            let name = |name| format!("layers.{layer}.{name}.weight");
            Recipe::Parts(parts.map(|&(part_name, rows)| part(name(part_name), [rows, cols])).collect())
        };
        let biases = |parts: &[(&str, usize)]| {
            let parts = parts.iter();
            let name = |name| format!("layers.{layer}.{name}.bias");
            Recipe::Parts(parts.map(|&(part_name, rows)| part(name(part_name), [1, rows])).collect())
        };
        match role {
            Role::Embedding => one("embed_tokens.weight"),
            Role::RotaryFrequencies => Recipe::Values(self.frequencies.clone()),
            Role::AttentionNorm => in_layer("input_layernorm.weight"),
            Role::Qkv => weights(&qkv),
            Role::QkvBias => biases(&qkv),
            Role::AttentionOut => in_layer("self_attn.o_proj.weight"),
            Role::AttentionOutBias => in_layer("self_attn.o_proj.bias"),
            Role::FfnNorm => in_layer("post_attention_layernorm.weight"),
            Role::FfnUp => weights(&up),
            Role::FfnUpBias => biases(&up),
            Role::FfnDown => in_layer("mlp.down_proj.weight"),
            Role::FfnDownBias => in_layer("mlp.down_proj.bias"),
            Role::FinalNorm => one("norm.weight"),
            Role::Head => one("lm_head.weight"),
            _ => unreachable!("the description of a Llama model has no such tensor"),
        }
    }

    fn is_ignored(&self, name: &str) -> bool {
        let buffer = "rotary_emb.inv_freq";
        (self.description.tied && name == "lm_head.weight")
            || name == buffer
            || in_layer(name, "layers.").is_some_and(|rest| rest.strip_prefix("self_attn.") == Some(buffer))
    }
}

fn head_width(fields: &mut Fields, width: u32, heads: u32) -> u32 {
    if fields.get("head_dim").is_none() && !width.is_multiple_of(heads) {
        let expected = format!("a divisor of the width {width}, or a field `head_dim`");
        fields.problem("num_attention_heads", expected, heads.to_string(), "");
    }
    let head_width = fields.count("head_dim", Some((width / heads).max(1)), 1 << 10);
    if !head_width.is_multiple_of(2) {
        fields.problem("head_dim", "an even number, for pairs to rotate", head_width.to_string(), "");
    }
    head_width
}

/// Positions that a query sees, itself included; 0 for all.
fn window(fields: &mut Fields, is_mistral: bool, context: u32) -> u32 {
    if !is_mistral {
        fields.refuse(&[("sliding_window", Only::Absent), ("use_sliding_window", Only::False)]);
    }
    let window = match (is_mistral, fields.mentions("sliding_window"), fields.get("sliding_window").is_some())
    {
        (true, false, _) => 4096,
        (true, true, true) => fields.count("sliding_window", None, 1 << 24),
        _ => 0,
    };
    let kind = if window > 0 { "sliding_attention" } else { "full_attention" };
    if let Some(layers) = fields.get("layer_types") {
        let fits = layers.as_array().is_some_and(|layers| layers.iter().all(|layer| layer == kind));
        if !fits {
            let found = super::config::shown(layers);
            fields.problem("layer_types", format!("`{kind}` for every layer"), found, "");
        }
    }
    if window < context { window } else { 0 }
}
