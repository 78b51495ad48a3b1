//! Models with random weights and any architecture, written through the runtime's own writer into memory.

mod recurrent;

pub use recurrent::{lstm, recurrents, widths};

use whit::AlignedBytes;
use whit::format::{
    Architecture, Crc32, Description, DescriptionSection, Encoding, Golden, NormKind, NormPlace, Positions,
    Role, SamplingDefaults, Slots, TensorEntry, WideInputs, Writer, align, encode_entry,
};
use whit::kernels::{Activation, Pairing};
use whit::quant::{pack_block_i4, pack_block_i8, pack_f16};
use whit::sampler::Sampling;
use whit::tensor::{ActivationBits, LANES};

/// SplitMix64 (Steele et al. 2014): the tests' source of numbers.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in 0..`bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    /// Uniform in −1..1.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// A small Llama-like model in which no size is a multiple of anything.
pub fn awkward() -> Description {
    Description {
        vocabulary: 67,
        width: 35,
        layers: 2,
        heads: 6,
        kv_heads: 3,
        head_width: 10,
        hidden: 51,
        context: 90,
        window: 0,
        rotary_width: 10,
        norm: NormKind::Rms,
        norm_place: NormPlace::Before,
        positions: Positions::Rotary(Pairing::HalfSplit),
        activation: Activation::Silu,
        gated: true,
        tied: true,
        final_norm: true,
        norm_bias: false,
        qkv_bias: false,
        out_bias: false,
        up_bias: false,
        down_bias: false,
        head_bias: false,
        int8_cache: false,
        wide_inputs: WideInputs::NONE,
        epsilon: 1e-5,
        attention_scale: 0.316_227_76,
        embedding_scale: 1.0,
        logit_scale: 1.0,
    }
}

/// Heads and gates of whole row blocks: what several workers take a single token through together.
pub fn whole() -> Description {
    Description {
        head_width: 32,
        rotary_width: 20,
        attention_scale: 0.176_776_7,
        heads: 12,
        kv_heads: 6,
        hidden: 64,
        window: 33,
        qkv_bias: true,
        out_bias: true,
        up_bias: true,
        down_bias: true,
        ..awkward()
    }
}

/// Models that between them use every choice of the description.
pub fn architectures() -> Vec<(&'static str, Description)> {
    let llama = awkward();
    let gpt2 = Description {
        norm: NormKind::Layer,
        positions: Positions::Learned,
        rotary_width: 0,
        activation: Activation::GeluTanh,
        gated: false,
        kv_heads: 6,
        norm_bias: true,
        qkv_bias: true,
        out_bias: true,
        up_bias: true,
        down_bias: true,
        ..llama
    };
    let whole = whole();
    vec![
        ("llama", llama),
        ("gpt2", gpt2),
        ("interleaved", Description { positions: Positions::Rotary(Pairing::Interleaved), ..llama }),
        ("partly rotated", Description { rotary_width: 4, ..llama }),
        ("window of 7", Description { window: 7, ..llama }),
        ("window of 33", Description { window: 33, ..llama }),
        ("one key head", Description { kv_heads: 1, ..llama }),
        ("head of 16", Description { head_width: 16, attention_scale: 0.25, heads: 4, kv_heads: 2, ..llama }),
        ("whole row blocks", whole),
        (
            "whole row blocks, norm after",
            Description {
                norm: NormKind::Layer,
                norm_bias: true,
                norm_place: NormPlace::After,
                final_norm: false,
                positions: Positions::Learned,
                rotary_width: 0,
                activation: Activation::GeluTanh,
                hidden: 16,
                kv_heads: 12,
                window: 0,
                ..whole
            },
        ),
        (
            "head of 67",
            Description { head_width: 67, attention_scale: 0.122_169_44, heads: 2, kv_heads: 1, ..llama },
        ),
        (
            "untied with biases",
            Description { tied: false, head_bias: true, qkv_bias: true, up_bias: true, ..llama },
        ),
        ("norm after", Description { norm_place: NormPlace::After, final_norm: false, ..gpt2 }),
        (
            "no positions, erf, factors",
            Description {
                positions: Positions::None,
                rotary_width: 0,
                activation: Activation::GeluErf,
                embedding_scale: 5.9,
                logit_scale: 0.7,
                ..llama
            },
        ),
        ("plain relu", Description { activation: Activation::Relu, gated: false, ..llama }),
    ]
}

/// Which encodings a synthetic model's matrices have.
#[derive(Clone, Copy, Debug)]
pub struct Encodings {
    /// Of projections.
    pub weights: Encoding,
    /// Of embedding, positions and head.
    pub embedding: Encoding,
    /// Which matrices take 16-bit activations, of those that can.
    pub wide: fn(Role, u16) -> bool,
}

impl Encodings {
    /// The same encoding for everything, 8-bit activations.
    pub fn all(encoding: Encoding) -> Self {
        Self { weights: encoding, embedding: encoding, wide: |_, _| false }
    }

    /// The same encodings, 16-bit activations for all matrices.
    pub fn wide(self) -> Self {
        Self { wide: |_, _| true, ..self }
    }

    fn activations(&self, architecture: &Architecture, entry: &TensorEntry) -> ActivationBits {
        let can = matches!(entry.encoding, Encoding::I8 | Encoding::I4 { .. })
            && architecture.may_be_wide(entry.role);
        if can && (self.wide)(entry.role, entry.layer) {
            ActivationBits::Sixteen
        } else {
            ActivationBits::Eight
        }
    }
}

/// The encodings that tests go through, with 8-bit activations.
pub fn encodings() -> Vec<(&'static str, Encodings)> {
    let int4 = |group| Encodings { weights: Encoding::I4 { group }, ..Encodings::all(Encoding::I8) };
    vec![
        ("f32", Encodings::all(Encoding::F32)),
        ("f16", Encodings::all(Encoding::F16)),
        ("int8", Encodings::all(Encoding::I8)),
        ("int4 groups of 32", int4(32)),
        ("int4 groups of 16", int4(16)),
        ("int4 groups of 64", int4(64)),
        ("int4 whole rows", int4(0)),
        ("int4 embedding", Encodings::all(Encoding::I4 { group: 32 })),
    ]
}

/// Those with 16-bit activations: everywhere, and in one layer of two.
pub fn wide_encodings() -> Vec<(&'static str, Encodings)> {
    let (int8, int4) = (Encodings::all(Encoding::I8), Encodings::all(Encoding::I4 { group: 16 }));
    let down = |role, layer| role == Role::FfnDown && layer == 1;
    let qkv = |role, layer| role == Role::Qkv && layer == 0;
    vec![
        ("int8, 16-bit activations", int8.wide()),
        ("int4, 16-bit activations", int4.wide()),
        ("int8, 16-bit down of layer 1", Encodings { wide: down, ..int8 }),
        ("int4, 16-bit qkv of layer 0", Encodings { wide: qkv, ..int4 }),
    ]
}

/// The bytes of a model with random weights.
pub fn model(architecture: impl Into<Architecture>, encodings: Encodings, seed: u64) -> AlignedBytes {
    let architecture = architecture.into();
    model_with(architecture, encodings, &[], random_weights(architecture, seed))
}

/// Weights for [`model_with`]: uniform, of a size that keeps activations near 1; norms near 1, biases small.
pub fn random_weights(architecture: impl Into<Architecture>, seed: u64) -> impl FnMut(Role, u16) -> Vec<f32> {
    let mut random = Random(seed);
    let architecture = architecture.into();
    move |role, layer| {
        let (rows, cols) = architecture.shape(role, layer);
        let numbers = rows * cols;
        match role {
            Role::RotaryFrequencies => {
                (0..cols).map(|i| 10_000f64.powf(-(i as f64) / cols as f64) as f32).collect()
            }
            Role::AttentionNorm | Role::FfnNorm | Role::FinalNorm => {
                (0..numbers).map(|_| 1.0 + 0.2 * random.uniform()).collect()
            }
            role if !role.is_matrix() => (0..numbers).map(|_| 0.1 * random.uniform()).collect(),
            Role::Embedding | Role::Positions => (0..numbers).map(|_| random.uniform()).collect(),
            _ => {
                let size = (3.0 / cols as f32).sqrt();
                (0..numbers).map(|_| size * random.uniform()).collect()
            }
        }
    }
}

/// The bytes of a model with the given tokenizer section and weights.
pub fn model_with(
    architecture: impl Into<Architecture>,
    encodings: Encodings,
    tokenizer: &[u8],
    weights: impl FnMut(Role, u16) -> Vec<f32>,
) -> AlignedBytes {
    let extras = Extras { tokenizer: tokenizer.to_vec(), ..Extras::default() };
    model_and(architecture, encodings, &extras, weights)
}

/// What a file holds besides a description and numbers.
#[derive(Clone, Debug)]
pub struct Extras {
    /// The tokenizer section.
    pub tokenizer: Vec<u8>,
    /// How to sample.
    pub sampling: Sampling,
    /// Tokens that end a text.
    pub stop_tokens: Vec<u32>,
    /// Strings that end a text.
    pub stop_strings: Vec<&'static str>,
    /// Name, licence, origin.
    pub metadata: Vec<(&'static str, &'static str)>,
    /// Prompt, output and checksum of the logits.
    pub golden: (Vec<u32>, Vec<u32>, u32),
}

impl Default for Extras {
    /// No tokenizer, greedy, a name, and a transcript that is only well-formed.
    fn default() -> Self {
        Self {
            tokenizer: Vec::new(),
            sampling: Sampling::greedy(),
            stop_tokens: Vec::new(),
            stop_strings: Vec::new(),
            metadata: vec![("name", "synthetic")],
            golden: (vec![0], vec![0, 0], 0),
        }
    }
}

/// The bytes of a model with the given extras and weights.
pub fn model_and(
    architecture: impl Into<Architecture>,
    encodings: Encodings,
    extras: &Extras,
    mut weights: impl FnMut(Role, u16) -> Vec<f32>,
) -> AlignedBytes {
    let architecture = architecture.into();
    let (mut table, mut data) = (Vec::new(), Vec::new());
    let mut wide_inputs = WideInputs::NONE;
    for (role, layer) in Slots::new(&architecture).iter() {
        let (rows, cols) = architecture.shape(role, layer);
        let encoding = match role {
            Role::Embedding | Role::Positions | Role::Head => encodings.embedding,
            role if role.is_matrix() => encodings.weights,
            _ => Encoding::F32,
        };
        data.resize(align(data.len() as u64) as usize, 0);
        let offset = data.len() as u64;
        let (activations, height, width) = (ActivationBits::Eight, rows as u32, cols as u32);
        let mut entry = TensorEntry { role, layer, encoding, activations, rows: height, cols: width, offset };
        entry.activations = encodings.activations(&architecture, &entry);
        if entry.activations == ActivationBits::Sixteen {
            wide_inputs = wide_inputs.with(role);
        }
        table.extend(entry.to_bytes());
        data.extend(encode(encoding, rows, cols, &weights(role, layer)));
        assert_eq!(data.len() as u64, offset + entry.len());
    }
    let architecture = match architecture {
        Architecture::Transformer(description) => Description { wide_inputs, ..description }.into(),
        recurrent @ Architecture::Recurrent(_) => recurrent,
    };
    assemble(&architecture, &table, &data, extras)
}

/// One tensor's bytes.
fn encode(encoding: Encoding, rows: usize, cols: usize, weights: &[f32]) -> Vec<u8> {
    assert_eq!(weights.len(), rows * cols);
    let layout = encoding.layout(rows, cols);
    let mut bytes = vec![0; layout.len() as usize];
    let (scales, numbers) = bytes.split_at_mut(layout.numbers_at() as usize);
    let blocks = weights.chunks(LANES * cols);
    match encoding {
        Encoding::F32 => numbers.copy_from_slice(bytemuck::cast_slice(weights)),
        Encoding::F16 => {
            let mut halves = vec![0; weights.len()];
            pack_f16(weights, &mut halves);
            numbers.copy_from_slice(bytemuck::cast_slice(&halves));
        }
        Encoding::I8 => {
            let len = cols.div_ceil(4) * 64;
            for (i, block) in blocks.enumerate() {
                let mut scale = [0.0; LANES];
                let mut packed = vec![0; len];
                pack_block_i8(block, cols, &mut scale, &mut packed);
                scales[i * 64..][..64].copy_from_slice(bytemuck::cast_slice(&scale));
                numbers[i * len..][..len].copy_from_slice(bytemuck::cast_slice(&packed));
            }
        }
        Encoding::I4 { group } => {
            let len = cols.div_ceil(8) * 64;
            let groups = if group == 0 { 0 } else { cols.div_ceil(group.into()) };
            for (i, block) in blocks.enumerate() {
                let mut scale = [0.0; LANES];
                let mut group_scale = vec![0i8; groups * LANES];
                let packed = &mut numbers[i * len..][..len];
                pack_block_i4(block, cols, group.into(), &mut scale, &mut group_scale, packed);
                scales[i * 64..][..64].copy_from_slice(bytemuck::cast_slice(&scale));
                let at = layout.group_scales_at() as usize + i * groups * LANES;
                scales[at..][..groups * LANES].copy_from_slice(bytemuck::cast_slice(&group_scale));
            }
        }
    }
    bytes
}

fn assemble(architecture: &Architecture, table: &[u8], data: &[u8], extras: &Extras) -> AlignedBytes {
    let (sampling, golden) = (extras.sampling_section(), extras.golden_section(architecture));
    let mut metadata = Vec::new();
    for (key, value) in &extras.metadata {
        encode_entry(key, value, |part| metadata.extend_from_slice(part));
    }
    let mut payload = extras.tokenizer.clone();
    payload.resize(align(payload.len() as u64) as usize, 0);
    payload.extend_from_slice(data);
    let writer = Writer {
        description: DescriptionSection::Model(architecture),
        tensor_table: table,
        sampling: &sampling,
        golden: &golden,
        metadata: &metadata,
        tokenizer_len: extras.tokenizer.len() as u64,
        data_len: data.len() as u64,
        payload_crc: Crc32::of(&payload),
    };
    let mut file = vec![0; writer.tables_len() as usize];
    writer.write_tables(&mut file).expect("the buffer has the length asked for");
    file.extend(payload);
    AlignedBytes::from(&file[..])
}

impl Extras {
    fn sampling_section(&self) -> Vec<u8> {
        let mut bytes = self.sampling.to_bytes().to_vec();
        assert_eq!(bytes.len(), SamplingDefaults::RECORD_LEN);
        bytes.extend((self.stop_tokens.len() as u32).to_le_bytes());
        bytes.extend(self.stop_tokens.iter().flat_map(|token| token.to_le_bytes()));
        bytes.extend((self.stop_strings.len() as u32).to_le_bytes());
        for string in &self.stop_strings {
            bytes.extend((string.len() as u32).to_le_bytes());
            bytes.extend(string.as_bytes());
        }
        bytes
    }

    fn golden_section(&self, architecture: &Architecture) -> Vec<u8> {
        if !architecture.is_language_model() {
            return Vec::new();
        }
        let (prompt, output, crc) = &self.golden;
        let (prompts, outputs) = (prompt.len() as u32, output.len() as u32);
        let mut bytes = Golden::header(architecture.int8_cache(), prompts, outputs, *crc).to_vec();
        bytes.extend(prompt.iter().chain(output).flat_map(|token| token.to_le_bytes()));
        bytes
    }
}
