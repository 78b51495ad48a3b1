//! The decoder: its parameters under the names of two families of checkpoints, and its forward pass.

use super::Drops;
use crate::train::config::{Family, Transformer};
use crate::train::init::{Builder, Init};
use crate::train::ops::{self, Heads, Norm, Rotary};
use crate::train::parameters::{FileTensor, ParameterId, Use};
use crate::train::tape::{Tape, Var};
use std::sync::Arc;
use whit::format::{Description, Positions};

/// A matrix and its bias.
#[derive(Clone, Copy, Debug)]
struct Projection {
    weight: ParameterId,
    bias: Option<ParameterId>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    attention_norm: Norm,
    qkv: Projection,
    attention_out: Projection,
    ffn_norm: Norm,
    up: Projection,
    down: Projection,
}

/// The graph of a decoder.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    description: Description,
    rotary: Option<Arc<Rotary>>,
    embedding: ParameterId,
    positions: Option<ParameterId>,
    blocks: Vec<Block>,
    final_norm: Norm,
    head: ParameterId,
}

/// What a projection's rows are called in a checkpoint: names and numbers of rows.
type Parts<'a> = &'a [(&'a str, usize)];

/// Names and shapes of one family.
struct Naming<'b> {
    builder: &'b mut Builder,
    description: Description,
    family: Family,
}

impl Decoder {
    /// Adds the parameters of `transformer`, whose family is `family`, to `builder`.
    ///
    /// Matrices begin normal with GPT-2's deviation of 0.02, which belongs to a width of 768, scaled to theirs; those
    /// that add to the residual stream less by √(2 · layers) (Radford et al. 2019).
    pub(super) fn new(transformer: &Transformer, family: Family, builder: &mut Builder) -> Self {
        let d = transformer.description;
        let deviation = 0.02 * (768.0 / d.width as f32).sqrt();
        let mut naming = Naming { builder, description: d, family };
        let embedding = naming.embedding(Init::Normal(deviation));
        let positions = naming.positions(Init::Normal(deviation));
        let blocks = (0..d.layers).map(|layer| naming.block(layer, deviation)).collect();
        let final_norm = naming.norm(match family {
            Family::Llama => "model.norm",
            Family::Gpt2 => "transformer.ln_f",
        });
        let head = if d.tied {
            embedding
        } else {
            let shape = [d.vocabulary as usize, d.width as usize];
            naming.builder.matrix("lm_head.weight", Use::Head, shape, Init::Normal(deviation))
        };
        let rotary = match d.positions {
            Positions::Rotary(pairing) => {
                Some(Arc::new(Rotary::new(&transformer.frequencies(), d.context as usize, pairing)))
            }
            _ => None,
        };
        Self { description: d, rotary, embedding, positions, blocks, final_norm, head }
    }

    /// Logits of `tokens`, sequences of `time` tokens one after the other.
    pub(super) fn logits(&self, tape: &mut Tape<'_>, tokens: &[u32], time: usize, drops: &mut Drops) -> Var {
        let d = &self.description;
        let heads = Heads {
            heads: d.heads as usize,
            kv_heads: d.kv_heads as usize,
            width: d.head_width as usize,
            time,
            scale: d.attention_scale,
            rotary: self.rotary.clone(),
        };
        let mut x = ops::embed(tape, self.embedding, tokens.to_vec());
        if let Some(positions) = self.positions {
            x = ops::embed_positions(tape, x, positions, time);
        }
        x = drops.apply(tape, x);
        for block in &self.blocks {
            let normed = ops::norm(tape, x, block.attention_norm);
            let qkv = block.qkv.apply(tape, normed, None);
            let attended = ops::attend(tape, qkv, heads.clone());
            x = block.attention_out.add(tape, attended, x, drops);
            let normed = ops::norm(tape, x, block.ffn_norm);
            let up = block.up.apply(tape, normed, None);
            let activated = ops::activate(tape, up, d.activation, d.gated);
            x = block.down.add(tape, activated, x, drops);
        }
        let x = ops::norm(tape, x, self.final_norm);
        ops::linear(tape, x, self.head, &[], None)
    }
}

impl Projection {
    fn apply(&self, tape: &mut Tape<'_>, x: Var, residual: Option<Var>) -> Var {
        ops::linear(tape, x, self.weight, self.bias.as_slice(), residual)
    }

    /// Adds its output to the residual stream.
    fn add(&self, tape: &mut Tape<'_>, x: Var, residual: Var, drops: &mut Drops) -> Var {
        if drops.are_none(tape) {
            return self.apply(tape, x, Some(residual));
        }
        let out = self.apply(tape, x, None);
        let out = drops.apply(tape, out);
        ops::add(tape, residual, out)
    }
}

impl Naming<'_> {
    fn embedding(&mut self, init: Init) -> ParameterId {
        let d = &self.description;
        let name = match self.family {
            Family::Llama => "model.embed_tokens.weight",
            Family::Gpt2 => "transformer.wte.weight",
        };
        let used_as = if d.tied { Use::TiedRows } else { Use::Rows };
        self.builder.matrix(name, used_as, [d.vocabulary as usize, d.width as usize], init)
    }

    fn positions(&mut self, init: Init) -> Option<ParameterId> {
        let shape = [self.description.context as usize, self.description.width as usize];
        let learned = self.description.positions == Positions::Learned;
        learned.then(|| self.builder.matrix("transformer.wpe.weight", Use::Rows, shape, init))
    }

    fn block(&mut self, layer: u32, deviation: f32) -> Block {
        let d = self.description;
        let [queries, keys, hidden] = [d.query_width(), d.kv_width(), d.hidden as usize];
        let width = d.width as usize;
        let (normal, residual) =
            (Init::Normal(deviation), Init::Normal(deviation / (2.0 * d.layers as f32).sqrt()));
        match self.family {
            Family::Llama => {
                let at = format!("model.layers.{layer}.");
                let qkv =
                    [("self_attn.q_proj", queries), ("self_attn.k_proj", keys), ("self_attn.v_proj", keys)];
                Block {
                    attention_norm: self.norm(&format!("{at}input_layernorm")),
                    qkv: self.projection(&at, &qkv, width, d.qkv_bias, normal),
                    attention_out: self.projection(
                        &at,
                        &[("self_attn.o_proj", width)],
                        queries,
                        d.out_bias,
                        residual,
                    ),
                    ffn_norm: self.norm(&format!("{at}post_attention_layernorm")),
                    up: self.projection(
                        &at,
                        &[("mlp.gate_proj", hidden), ("mlp.up_proj", hidden)],
                        width,
                        d.up_bias,
                        normal,
                    ),
                    down: self.projection(&at, &[("mlp.down_proj", width)], hidden, d.down_bias, residual),
                }
            }
            Family::Gpt2 => {
                let at = format!("transformer.h.{layer}.");
                Block {
                    attention_norm: self.norm(&format!("{at}ln_1")),
                    qkv: self.projection(&at, &[("attn.c_attn", 3 * width)], width, true, normal),
                    attention_out: self.projection(&at, &[("attn.c_proj", width)], width, true, residual),
                    ffn_norm: self.norm(&format!("{at}ln_2")),
                    up: self.projection(&at, &[("mlp.c_fc", hidden)], width, true, normal),
                    down: self.projection(&at, &[("mlp.c_proj", width)], hidden, true, residual),
                }
            }
        }
    }

    fn norm(&mut self, name: &str) -> Norm {
        let d = self.description;
        let width = d.width as usize;
        let weight = self.builder.vector(&format!("{name}.weight"), width, Init::Constant(1.0));
        let bias =
            d.norm_bias.then(|| self.builder.vector(&format!("{name}.bias"), width, Init::Constant(0.0)));
        Norm { kind: d.norm, epsilon: d.epsilon, weight, bias }
    }

    /// A matrix of all `parts`, one below the other, and its bias.
    fn projection(&mut self, at: &str, parts: Parts<'_>, cols: usize, bias: bool, init: Init) -> Projection {
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        // Hugging Face's GPT-2 stores these matrices as `[in, out]`.
        let transposed = self.family == Family::Gpt2;
        let name = format!("{at}{}", parts[0].0);
        let weights = files(at, parts, "weight", false, transposed);
        let weight = self.builder.add(&format!("{name}.weight"), Use::Product, [rows, cols], init, weights);
        let bias = bias.then(|| {
            let biases = files(at, parts, "bias", true, false);
            let zero = Init::Constant(0.0);
            // One number in each row, so that parts are rows here, too.
            self.builder.add(&format!("{name}.bias"), Use::Vector, [rows, 1], zero, biases)
        });
        Projection { weight, bias }
    }
}

fn files(at: &str, parts: Parts<'_>, kind: &str, flat: bool, transposed: bool) -> Vec<FileTensor> {
    let mut start = 0;
    let file = |&(part, rows): &(&str, usize)| {
        start += rows;
        FileTensor { name: format!("{at}{part}.{kind}"), rows: start - rows..start, flat, transposed }
    };
    parts.iter().map(file).collect()
}
