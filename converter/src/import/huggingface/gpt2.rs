//! `GPT2LMHeadModel` and `GPT2Model`.

use super::config::{Fields, Only};
use super::family::{Family, Part, Recipe, activation, context, in_layer};
use super::shards::Shards;
use crate::import::rows::Order;
use whit::format::{Architecture, Description, NormKind, NormPlace, Positions, Role, WideInputs};

/// Fields that would change the arithmetic.
const REFUSED: [(&str, Only); 6] = [
    ("quantization_config", Only::Absent),
    ("is_encoder_decoder", Only::False),
    ("add_cross_attention", Only::False),
    ("scale_attn_by_inverse_layer_idx", Only::False),
    ("pruned_heads", Only::Empty),
    ("position_embedding_type", Only::Text("absolute")),
];

/// A GPT-2 model.
#[derive(Debug)]
pub(super) struct Gpt2 {
    description: Description,
    linear: Order,
}

impl Gpt2 {
    /// Prefix that names may have.
    pub(super) const PREFIX: &'static str = "transformer.";

    /// Reads the configuration, defaults as in the `transformers` library; `fields` keeps the problems.
    pub(super) fn new(fields: &mut Fields) -> Self {
        fields.refuse(&REFUSED);
        let width = fields.count("n_embd", None, 1 << 16);
        let heads = fields.count("n_head", None, 1 << 10);
        if !width.is_multiple_of(heads) {
            fields.problem("n_head", format!("a divisor of the width {width}"), heads.to_string(), "");
        }
        let head_width = (width / heads).max(1);
        let scaled = fields.flag("scale_attn_weights", true);
        let description = Description {
            vocabulary: fields.count("vocab_size", None, 1 << 24),
            width,
            layers: fields.count("n_layer", None, 1 << 10),
            heads,
            kv_heads: heads,
            head_width,
            hidden: fields.count("n_inner", Some(4 * width), 131_071),
            context: context(fields, "n_positions", None),
            window: 0,
            rotary_width: 0,
            norm: NormKind::Layer,
            norm_place: NormPlace::Before,
            positions: Positions::Learned,
            activation: activation(fields, "activation_function", "gelu_new"),
            gated: false,
            tied: fields.flag("tie_word_embeddings", true),
            final_norm: true,
            norm_bias: true,
            qkv_bias: true,
            out_bias: true,
            up_bias: true,
            down_bias: true,
            head_bias: false,
            int8_cache: false,
            wide_inputs: WideInputs::NONE,
            epsilon: fields.number("layer_norm_epsilon", Some(1e-5)) as f32,
            attention_scale: if scaled { (1.0 / f64::from(head_width).sqrt()) as f32 } else { 1.0 },
            embedding_scale: 1.0,
            logit_scale: 1.0,
        };
        Self { description, linear: Order::Columns }
    }
}

impl Family for Gpt2 {
    fn architecture(&self) -> Architecture {
        self.description.into()
    }

    /// Hugging Face stores linear weights as `[in, out]`, minGPT and nanoGPT as `[out, in]`. The fused projection is
    /// never square, so it decides for all of them.
    fn look(&mut self, shards: &Shards) {
        let (rows, cols) = self.description.shape(Role::Qkv);
        if shards.shape("h.0.attn.c_attn.weight") == Some(&[rows, cols]) {
            self.linear = Order::Rows;
        }
    }

    fn recipe(&self, role: Role, layer: u16) -> Recipe {
        let (rows, cols) = self.description.shape(role);
        let one = |name: String, order| Recipe::Parts(vec![Part { name, shape: [rows, cols], order }]);
        let top = |name: &str| one(name.to_owned(), Order::Rows);
        let linear = |name: &str| one(format!("h.{layer}.{name}.weight"), self.linear);
        let vector = |name: &str| one(format!("h.{layer}.{name}"), Order::Rows);
        match role {
            Role::Embedding => top("wte.weight"),
            Role::Positions => top("wpe.weight"),
            Role::AttentionNorm => vector("ln_1.weight"),
            Role::AttentionNormBias => vector("ln_1.bias"),
            Role::Qkv => linear("attn.c_attn"),
            Role::QkvBias => vector("attn.c_attn.bias"),
            Role::AttentionOut => linear("attn.c_proj"),
            Role::AttentionOutBias => vector("attn.c_proj.bias"),
            Role::FfnNorm => vector("ln_2.weight"),
            Role::FfnNormBias => vector("ln_2.bias"),
            Role::FfnUp => linear("mlp.c_fc"),
            Role::FfnUpBias => vector("mlp.c_fc.bias"),
            Role::FfnDown => linear("mlp.c_proj"),
            Role::FfnDownBias => vector("mlp.c_proj.bias"),
            Role::FinalNorm => top("ln_f.weight"),
            Role::FinalNormBias => top("ln_f.bias"),
            Role::Head => top("lm_head.weight"),
            _ => unreachable!("the description of a GPT-2 model has no such tensor"),
        }
    }

    fn is_ignored(&self, name: &str) -> bool {
        // The causal mask, stored as a tensor. The whole rest must match: `attn.c_attn.bias` ends the same way.
        (self.description.tied && name == "lm_head.weight")
            || in_layer(name, "h.").is_some_and(|rest| matches!(rest, "attn.bias" | "attn.masked_bias"))
    }
}
