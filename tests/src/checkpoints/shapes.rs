//! Shapes of known models, and of awkward ones whose sizes are multiples of nothing.

use super::{Kind, Spec};
use serde_json::{Value, json};

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `LlamaForCausalLM`.
    Llama,
    /// `MistralForCausalLM` with this sliding window.
    Mistral(usize),
    /// `GPT2LMHeadModel`.
    Gpt2,
}

/// Sizes and choices of a model.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Family.
    pub family: Family,
    /// Width of the residual stream.
    pub width: usize,
    /// Width of the feed-forward block.
    pub hidden: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_width: usize,
    /// Tokens.
    pub vocabulary: usize,
    /// Positions.
    pub context: usize,
    /// Whether the output head is the embedding.
    pub tied: bool,
    /// Whether a Llama has biases.
    pub biased: bool,
    /// Added to the mean square or the variance.
    pub epsilon: f64,
    /// Base of the rotary frequencies.
    pub theta: f64,
    /// The field `rope_scaling`.
    pub rope_scaling: Value,
    /// Element-wise function, as Hugging Face calls it.
    pub activation: &'static str,
}

impl Shape {
    /// Names that [`Self::named`] knows.
    pub const NAMES: [&'static str; 10] = [
        "gpt2-small",
        "smollm2-135m",
        "stories260k",
        "stories15m",
        "stories110m",
        "tinyllama-1.1b",
        "awkward-llama",
        "awkward-llama-biased",
        "awkward-mistral",
        "awkward-gpt2",
    ];

    /// The shape called `name`.
    pub fn named(name: &str) -> Option<Self> {
        let llama3 = json!({
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64
        });
        let linear = json!({ "type": "linear", "factor": 2.5 });
        Some(match name {
            "gpt2-small" => Self::gpt2([768, 3072, 12, 12], 50_257, 1024),
            "smollm2-135m" => {
                Self { theta: 100_000.0, tied: true, ..Self::llama([576, 1536, 30, 9, 3, 64], 49_152, 8192) }
            }
            "stories260k" => Self { tied: true, ..Self::llama([64, 172, 5, 8, 4, 8], 512, 512) },
            "stories15m" => Self { tied: true, ..Self::llama([288, 768, 6, 6, 6, 48], 32_000, 256) },
            "stories110m" => Self { tied: true, ..Self::llama([768, 2048, 12, 12, 12, 64], 32_000, 1024) },
            "tinyllama-1.1b" => Self::llama([2048, 5632, 22, 32, 4, 64], 32_000, 2048),
            "awkward-llama" => Self::llama([36, 50, 2, 3, 1, 10], 307, 40),
            "awkward-llama-biased" => Self {
                biased: true,
                tied: true,
                activation: "gelu_pytorch_tanh",
                rope_scaling: llama3,
                theta: 500.0,
                ..Self::llama([22, 17, 3, 4, 2, 6], 263, 90)
            },
            "awkward-mistral" => Self {
                family: Family::Mistral(5),
                rope_scaling: linear,
                ..Self::llama([30, 37, 2, 5, 5, 6], 269, 33)
            },
            "awkward-gpt2" => Self::gpt2([20, 34, 2, 2], 263, 37),
            _ => return None,
        })
    }

    fn llama(sizes: [usize; 6], vocabulary: usize, context: usize) -> Self {
        let [width, hidden, layers, heads, kv_heads, head_width] = sizes;
        Self {
            family: Family::Llama,
            width,
            hidden,
            layers,
            heads,
            kv_heads,
            head_width,
            vocabulary,
            context,
            tied: false,
            biased: false,
            epsilon: 1e-5,
            theta: 10_000.0,
            rope_scaling: Value::Null,
            activation: "silu",
        }
    }

    fn gpt2([width, hidden, layers, heads]: [usize; 4], vocabulary: usize, context: usize) -> Self {
        Self {
            family: Family::Gpt2,
            tied: true,
            biased: true,
            activation: "gelu_new",
            ..Self::llama([width, hidden, layers, heads, heads, width / heads], vocabulary, context)
        }
    }

    /// Prefix of the names of all tensors but the output head.
    pub fn prefix(&self) -> &'static str {
        if self.family == Family::Gpt2 { "transformer." } else { "model." }
    }

    /// `config.json`.
    pub fn config(&self, dtype: &str) -> Value {
        let end = self.vocabulary - 1;
        if self.family == Family::Gpt2 {
            return json!({
                "architectures": ["GPT2LMHeadModel"],
                "model_type": "gpt2",
                "n_embd": self.width,
                "n_inner": if self.hidden == 4 * self.width { Value::Null } else { json!(self.hidden) },
                "n_layer": self.layers,
                "n_head": self.heads,
                "n_positions": self.context,
                "vocab_size": self.vocabulary,
                "layer_norm_epsilon": self.epsilon,
                "activation_function": self.activation,
                "bos_token_id": end,
                "eos_token_id": end,
                "torch_dtype": dtype,
            });
        }
        let (class, kind, window) = match self.family {
            Family::Mistral(window) => ("MistralForCausalLM", "mistral", json!(window)),
            _ => ("LlamaForCausalLM", "llama", Value::Null),
        };
        json!({
            "architectures": [class],
            "model_type": kind,
            "sliding_window": window,
            "hidden_size": self.width,
            "intermediate_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_width,
            "max_position_embeddings": self.context,
            "vocab_size": self.vocabulary,
            "rms_norm_eps": self.epsilon,
            "rope_theta": self.theta,
            "rope_scaling": self.rope_scaling,
            "hidden_act": self.activation,
            "attention_bias": self.biased,
            "mlp_bias": self.biased,
            "tie_word_embeddings": self.tied,
            "bos_token_id": end,
            "eos_token_id": end,
            "torch_dtype": dtype,
        })
    }

    /// All tensors, in the order of the files.
    pub fn specs(&self, conv1d: bool) -> Vec<Spec> {
        let mut specs = List(Vec::new());
        if self.family == Family::Gpt2 {
            specs.matrix("wte.weight", self.vocabulary, self.width, false);
            specs.matrix("wpe.weight", self.context, self.width, false);
            (0..self.layers).for_each(|layer| self.gpt2_layer(&mut specs, layer, conv1d));
            specs.vector("ln_f.weight", self.width, Kind::Gain);
            specs.vector("ln_f.bias", self.width, Kind::Bias);
        } else {
            specs.matrix("embed_tokens.weight", self.vocabulary, self.width, false);
            (0..self.layers).for_each(|layer| self.llama_layer(&mut specs, layer));
            specs.vector("norm.weight", self.width, Kind::Gain);
        }
        if !self.tied {
            specs.matrix("lm_head.weight", self.vocabulary, self.width, false);
        }
        specs.0
    }

    fn gpt2_layer(&self, specs: &mut List, layer: usize, conv1d: bool) {
        let width = self.width;
        let linears = [
            ("attn.c_attn", 3 * width, width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", self.hidden, width),
            ("mlp.c_proj", width, self.hidden),
        ];
        for norm in ["ln_1", "ln_2"] {
            specs.vector(&format!("h.{layer}.{norm}.weight"), width, Kind::Gain);
            specs.vector(&format!("h.{layer}.{norm}.bias"), width, Kind::Bias);
        }
        for (name, outputs, inputs) in linears {
            specs.matrix(&format!("h.{layer}.{name}.weight"), outputs, inputs, conv1d);
            specs.vector(&format!("h.{layer}.{name}.bias"), outputs, Kind::Bias);
        }
    }

    fn llama_layer(&self, specs: &mut List, layer: usize) {
        let (queries, keys) = (self.heads * self.head_width, self.kv_heads * self.head_width);
        let linears = [
            ("self_attn.q_proj", queries, self.width),
            ("self_attn.k_proj", keys, self.width),
            ("self_attn.v_proj", keys, self.width),
            ("self_attn.o_proj", self.width, queries),
            ("mlp.gate_proj", self.hidden, self.width),
            ("mlp.up_proj", self.hidden, self.width),
            ("mlp.down_proj", self.width, self.hidden),
        ];
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            specs.vector(&format!("layers.{layer}.{norm}.weight"), self.width, Kind::Gain);
        }
        for (name, outputs, inputs) in linears {
            specs.matrix(&format!("layers.{layer}.{name}.weight"), outputs, inputs, false);
            if self.biased {
                specs.vector(&format!("layers.{layer}.{name}.bias"), outputs, Kind::Bias);
            }
        }
    }
}

struct List(Vec<Spec>);

impl List {
    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize, transposed: bool) {
        let shape = [outputs, inputs];
        self.0.push(Spec { name: name.to_owned(), shape, kind: Kind::Weight, transposed });
    }

    fn vector(&mut self, name: &str, len: usize, kind: Kind) {
        self.0.push(Spec { name: name.to_owned(), shape: [1, len], kind, transposed: false });
    }
}
