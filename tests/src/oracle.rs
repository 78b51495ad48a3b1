//! What a description means, written a second time: plain f64 loops over one position after the other, without the
//! runtime's arithmetic, layouts or order. Slow, and sharing nothing with what it checks but the file's weights.

use whit::format::{Description, NormKind, NormPlace, Positions, Role, Tensors};
use whit::kernels::{Activation, Pairing};
use whit::quant::row_to_f32;

pub mod recurrent;

type Vector = Vec<f64>;

/// Keys and values of one layer: `[position][kv_width]` each.
type LayerCache = (Vec<Vector>, Vec<Vector>);

struct Oracle<'a> {
    d: &'a Description,
    tensors: &'a Tensors<'a>,
}

/// Logits after every token: `[tokens][vocabulary]`.
pub fn logits(d: &Description, tensors: &Tensors<'_>, tokens: &[u32]) -> Vec<Vector> {
    let oracle = Oracle { d, tensors };
    let mut caches: Vec<LayerCache> = vec![LayerCache::default(); d.layers as usize];
    let each = |(position, &token)| oracle.step(&mut caches, position, token as usize);
    tokens.iter().enumerate().map(each).collect()
}

impl Oracle<'_> {
    fn step(&self, caches: &mut [LayerCache], position: usize, token: usize) -> Vector {
        let d = self.d;
        let mut x: Vector =
            self.row(Role::Embedding, token).iter().map(|v| v * f64::from(d.embedding_scale)).collect();
        if d.positions == Positions::Learned {
            x = sum(&x, &self.row(Role::Positions, position));
        }
        for (layer, cache) in caches.iter_mut().enumerate() {
            x = self.half(Role::AttentionNorm, Role::AttentionNormBias, layer, &x, |h| {
                self.attention(layer, cache, position, h)
            });
            x = self.half(Role::FfnNorm, Role::FfnNormBias, layer, &x, |h| self.feed_forward(layer, h));
        }
        if d.final_norm {
            x = self.norm(Role::FinalNorm, Role::FinalNormBias, 0, &x);
        }
        let head = if d.tied { Role::Embedding } else { Role::Head };
        self.project(head, Role::HeadBias, 0, &x).into_iter().map(|v| v * f64::from(d.logit_scale)).collect()
    }

    fn half(
        &self,
        norm: Role,
        bias: Role,
        layer: usize,
        x: &Vector,
        f: impl FnOnce(&Vector) -> Vector,
    ) -> Vector {
        match self.d.norm_place {
            NormPlace::Before => sum(x, &f(&self.norm(norm, bias, layer, x))),
            NormPlace::After => self.norm(norm, bias, layer, &sum(x, &f(x))),
        }
    }

    fn attention(
        &self,
        layer: usize,
        (keys, values): &mut LayerCache,
        position: usize,
        x: &Vector,
    ) -> Vector {
        let d = self.d;
        let (width, query_width, kv_width) = (d.head_width as usize, d.query_width(), d.kv_width());
        let qkv = self.project(Role::Qkv, Role::QkvBias, layer, x);
        let (queries, rest) = qkv.split_at(query_width);
        let (key, value) = rest.split_at(kv_width);
        keys.push(key.chunks(width).flat_map(|head| self.rotate(head, position)).collect());
        values.push(value.to_vec());
        let first = if d.window == 0 { 0 } else { (position + 1).saturating_sub(d.window as usize) };
        let mut out = Vec::new();
        for (head, query) in queries.chunks(width).enumerate() {
            let query = self.rotate(query, position);
            let at = head * d.kv_heads as usize / d.heads as usize * width;
            let weights: Vector = (first..=position)
                .map(|p| dot(&query, &keys[p][at..at + width]) * f64::from(d.attention_scale))
                .collect();
            let max = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vector = weights.iter().map(|w| (w - max).exp()).collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..width).map(|i| {
                let weighted = weights.iter().zip(&values[first..]).map(|(w, v)| w * v[at + i]);
                weighted.sum::<f64>() / total
            }));
        }
        self.project(Role::AttentionOut, Role::AttentionOutBias, layer, &out)
    }

    fn feed_forward(&self, layer: usize, x: &Vector) -> Vector {
        let up = self.project(Role::FfnUp, Role::FfnUpBias, layer, x);
        let hidden = self.d.hidden as usize;
        let inner: Vector = (0..hidden)
            .map(|i| activation(self.d.activation, up[i]) * if self.d.gated { up[hidden + i] } else { 1.0 })
            .collect();
        self.project(Role::FfnDown, Role::FfnDownBias, layer, &inner)
    }

    fn rotate(&self, head: &[f64], position: usize) -> Vector {
        let mut head = head.to_vec();
        let Positions::Rotary(pairing) = self.d.positions else { return head };
        let pairs = self.d.rotary_width as usize / 2;
        for (i, &frequency) in self.tensors.vector(Role::RotaryFrequencies, 0).iter().enumerate() {
            let (a, b) = match pairing {
                Pairing::Interleaved => (2 * i, 2 * i + 1),
                Pairing::HalfSplit => (i, i + pairs),
            };
            let (sin, cos) = (position as f64 * f64::from(frequency)).sin_cos();
            (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
        }
        head
    }

    fn norm(&self, weight: Role, bias: Role, layer: usize, x: &Vector) -> Vector {
        let n = x.len() as f64;
        let mean = match self.d.norm {
            NormKind::Rms => 0.0,
            NormKind::Layer => x.iter().sum::<f64>() / n,
        };
        let spread = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n + f64::from(self.d.epsilon);
        let weight = self.tensors.vector(weight, layer);
        let scaled = x.iter().zip(weight).map(|(v, &w)| (v - mean) / spread.sqrt() * f64::from(w)).collect();
        self.add_bias(scaled, bias, layer)
    }

    fn project(&self, role: Role, bias: Role, layer: usize, x: &Vector) -> Vector {
        let matrix = self.tensors.matrix(role, layer).expect("the description asks for it");
        let mut row = vec![0.0; matrix.cols()];
        let product = (0..matrix.rows()).map(|r| {
            row_to_f32(&matrix, r, &mut row);
            row.iter().zip(x).map(|(&w, v)| f64::from(w) * v).sum()
        });
        self.add_bias(product.collect(), bias, layer)
    }

    fn add_bias(&self, mut x: Vector, bias: Role, layer: usize) -> Vector {
        for (x, &b) in x.iter_mut().zip(self.tensors.vector(bias, layer)) {
            *x += f64::from(b);
        }
        x
    }

    fn row(&self, role: Role, row: usize) -> Vector {
        let matrix = self.tensors.matrix(role, 0).expect("the description asks for it");
        let mut out = vec![0.0; matrix.cols()];
        row_to_f32(&matrix, row, &mut out);
        out.into_iter().map(f64::from).collect()
    }
}

fn sum(a: &Vector, b: &Vector) -> Vector {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluErf => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Activation::Relu => x.max(0.0),
    }
}

/// erf by its Maclaurin series, which is exact enough within ±6; beyond it is ±1.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut total) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        total += term / f64::from(2 * n + 1);
    }
    total * 2.0 / std::f64::consts::PI.sqrt()
}
