//! What is right arrives, number for number and field by field.

use crate::{all_numbers, edit_json, edit_weights, import, shape, written};
use serde_json::{Value, json};
use std::fs;
use whit::format::{Description, NormKind, NormPlace, Positions, Role, Slots, WideInputs};
use whit::kernels::{Activation, Pairing};
use whit_converter::import::huggingface;
use whit_tests::checkpoints::{self, Dtype, Family, Options, Shape, Spec};
use whit_tests::data::data;
use whit_tests::reference::rotary_frequencies;

/// The description that `shape` asks for, field by field.
fn expected_description(shape: &Shape) -> Description {
    let gpt2 = shape.family == Family::Gpt2;
    let size = |size: usize| u32::try_from(size).expect("small");
    Description {
        vocabulary: size(shape.vocabulary),
        width: size(shape.width),
        layers: size(shape.layers),
        heads: size(shape.heads),
        kv_heads: size(shape.kv_heads),
        head_width: size(shape.head_width),
        hidden: size(shape.hidden),
        context: size(shape.context),
        window: if let Family::Mistral(window) = shape.family { size(window) } else { 0 },
        rotary_width: if gpt2 { 0 } else { size(shape.head_width) },
        norm: if gpt2 { NormKind::Layer } else { NormKind::Rms },
        norm_place: NormPlace::Before,
        positions: if gpt2 { Positions::Learned } else { Positions::Rotary(Pairing::HalfSplit) },
        activation: if shape.activation == "silu" { Activation::Silu } else { Activation::GeluTanh },
        gated: !gpt2,
        tied: shape.tied,
        final_norm: true,
        norm_bias: gpt2,
        qkv_bias: shape.biased,
        out_bias: shape.biased,
        up_bias: shape.biased,
        down_bias: shape.biased,
        head_bias: false,
        int8_cache: false,
        wide_inputs: WideInputs::NONE,
        epsilon: shape.epsilon as f32,
        attention_scale: (1.0 / (shape.head_width as f64).sqrt()) as f32,
        embedding_scale: 1.0,
        logit_scale: 1.0,
    }
}

/// The source's names of a tensor's parts, in the order in which they are fused.
fn source_names(family: Family, role: Role, layer: u16) -> Vec<String> {
    let names: &[&str] = match (family, role) {
        (Family::Gpt2, Role::Embedding) => &["wte.weight"],
        (Family::Gpt2, Role::Positions) => &["wpe.weight"],
        (Family::Gpt2, Role::AttentionNorm) => &["h.#.ln_1.weight"],
        (Family::Gpt2, Role::AttentionNormBias) => &["h.#.ln_1.bias"],
        (Family::Gpt2, Role::Qkv) => &["h.#.attn.c_attn.weight"],
        (Family::Gpt2, Role::QkvBias) => &["h.#.attn.c_attn.bias"],
        (Family::Gpt2, Role::AttentionOut) => &["h.#.attn.c_proj.weight"],
        (Family::Gpt2, Role::AttentionOutBias) => &["h.#.attn.c_proj.bias"],
        (Family::Gpt2, Role::FfnNorm) => &["h.#.ln_2.weight"],
        (Family::Gpt2, Role::FfnNormBias) => &["h.#.ln_2.bias"],
        (Family::Gpt2, Role::FfnUp) => &["h.#.mlp.c_fc.weight"],
        (Family::Gpt2, Role::FfnUpBias) => &["h.#.mlp.c_fc.bias"],
        (Family::Gpt2, Role::FfnDown) => &["h.#.mlp.c_proj.weight"],
        (Family::Gpt2, Role::FfnDownBias) => &["h.#.mlp.c_proj.bias"],
        (Family::Gpt2, Role::FinalNorm) => &["ln_f.weight"],
        (Family::Gpt2, Role::FinalNormBias) => &["ln_f.bias"],
        (_, Role::Embedding) => &["embed_tokens.weight"],
        (_, Role::AttentionNorm) => &["layers.#.input_layernorm.weight"],
        (_, Role::Qkv) => &[
            "layers.#.self_attn.q_proj.weight",
            "layers.#.self_attn.k_proj.weight",
            "layers.#.self_attn.v_proj.weight",
        ],
        (_, Role::QkvBias) => &[
            "layers.#.self_attn.q_proj.bias",
            "layers.#.self_attn.k_proj.bias",
            "layers.#.self_attn.v_proj.bias",
        ],
        (_, Role::AttentionOut) => &["layers.#.self_attn.o_proj.weight"],
        (_, Role::AttentionOutBias) => &["layers.#.self_attn.o_proj.bias"],
        (_, Role::FfnNorm) => &["layers.#.post_attention_layernorm.weight"],
        (_, Role::FfnUp) => &["layers.#.mlp.gate_proj.weight", "layers.#.mlp.up_proj.weight"],
        (_, Role::FfnUpBias) => &["layers.#.mlp.gate_proj.bias", "layers.#.mlp.up_proj.bias"],
        (_, Role::FfnDown) => &["layers.#.mlp.down_proj.weight"],
        (_, Role::FfnDownBias) => &["layers.#.mlp.down_proj.bias"],
        (_, Role::FinalNorm) => &["norm.weight"],
        (_, Role::Head) => &["lm_head.weight"],
        (family, role) => panic!("{family:?} has no {}", role.name()),
    };
    names.iter().map(|name| name.replace('#', &layer.to_string())).collect()
}

fn generated(specs: &[Spec], names: &[String], options: &Options) -> Vec<f32> {
    let spec = |name: &String| specs.iter().find(|spec| spec.name == *name).expect("generated");
    let numbers = |spec: &Spec| {
        let count = spec.shape[0] * spec.shape[1];
        (0..count).map(|i| options.dtype.rounded(checkpoints::number(options.seed, spec, i))).collect()
    };
    names.iter().map(spec).map(numbers).collect::<Vec<Vec<f32>>>().concat()
}

#[test]
fn every_number_of_an_awkward_checkpoint_arrives() {
    let all = [
        Options::default(),
        Options { dtype: Dtype::F16, shards: 3, seed: 2, ..Options::default() },
        Options { dtype: Dtype::Bf16, prefixed: false, conv1d: false, seed: 3, ..Options::default() },
    ];
    for name in ["awkward-llama", "awkward-llama-biased", "awkward-mistral", "awkward-gpt2"] {
        for options in &all {
            let (directory, shape) = (written(name, options), shape(name));
            let checkpoint = import(directory.path()).expect(name);
            assert_eq!(checkpoint.architecture, expected_description(&shape).into(), "{name}");
            let slots = Slots::new(&checkpoint.architecture);
            assert!(slots.iter().eq(checkpoint.tensors.iter().map(|tensor| (tensor.role, tensor.layer))));
            let config = shape.config("float32");
            for tensor in &checkpoint.tensors {
                let (role, layer) = (tensor.role, tensor.layer);
                assert_eq!(
                    (tensor.rows.rows(), tensor.rows.cols()),
                    checkpoint.architecture.shape(role, layer)
                );
                let expected = if role == Role::RotaryFrequencies {
                    rotary_frequencies(&config, shape.head_width).iter().map(|&f| f as f32).collect()
                } else {
                    let names = source_names(shape.family, role, layer);
                    generated(&shape.specs(options.conv1d), &names, options)
                };
                let found = all_numbers(tensor.rows.as_ref());
                if role == Role::RotaryFrequencies {
                    // Two ways to write one formula in f64: the rounded results may be neighbours.
                    let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= b * 1.2e-7);
                    assert!(near && found.len() == expected.len(), "{name}: {found:?} is not {expected:?}");
                } else {
                    assert!(found == expected, "{name}: {} of layer {layer}", role.name());
                }
            }
        }
    }
}

#[test]
fn blocks_of_rows_are_the_rows() {
    for name in ["awkward-llama", "awkward-gpt2"] {
        let directory = written(name, &Options { dtype: Dtype::F16, ..Options::default() });
        for tensor in import(directory.path()).expect(name).tensors {
            let (rows, cols) = (tensor.rows.rows(), tensor.rows.cols());
            let all = all_numbers(tensor.rows.as_ref());
            // 16 is the packing's block; 7 starts everywhere relative to the parts of a fused matrix.
            for count in [1, 7, 16, rows].into_iter().filter(|&count| count <= rows) {
                for first in (0..=rows - count).step_by(count) {
                    let mut block = vec![f32::NAN; count * cols];
                    tensor.rows.read_block(first, &mut block);
                    assert!(block == all[first * cols..][..count * cols], "{} {first}", tensor.source);
                }
            }
        }
    }
}

#[test]
fn fields_that_change_the_arithmetic_reach_the_description() {
    type Case = (&'static str, &'static str, Value, fn(&Description) -> bool);
    let cases: [Case; 12] = [
        ("awkward-gpt2", "scale_attn_weights", json!(false), |d| d.attention_scale == 1.0),
        ("awkward-gpt2", "reorder_and_upcast_attn", json!(true), |d| d.attention_scale < 1.0),
        ("awkward-gpt2", "activation_function", json!("gelu"), |d| d.activation == Activation::GeluErf),
        ("awkward-gpt2", "activation_function", json!("relu"), |d| d.activation == Activation::Relu),
        ("awkward-gpt2", "layer_norm_epsilon", json!(0.25), |d| d.epsilon == 0.25),
        ("awkward-llama", "rms_norm_eps", json!(0.25), |d| d.epsilon == 0.25),
        ("awkward-llama", "hidden_act", json!("gelu_pytorch_tanh"), |d| d.activation == Activation::GeluTanh),
        ("awkward-llama", "pretraining_tp", json!(2), |d| d.gated),
        ("awkward-llama", "max_position_embeddings", json!(131_072), |d| d.context == 131_071),
        ("awkward-mistral", "sliding_window", Value::Null, |d| d.window == 0),
        ("awkward-mistral", "sliding_window", json!(33), |d| d.window == 0),
        ("awkward-mistral", "sliding_window", json!(32), |d| d.window == 32),
    ];
    for (name, field, value, holds) in cases {
        let directory = written(name, &Options::default());
        edit_json(directory.path(), "config.json", |config| config[field] = value.clone());
        let checkpoint = import(directory.path()).expect(field);
        assert!(holds(checkpoint.architecture.transformer().expect("one")), "{name} with {field} = {value}");
    }
}

#[test]
fn rotary_parameters_may_stand_in_either_place() {
    let frequencies = |edit: fn(&mut Value)| {
        let directory = written("awkward-llama-biased", &Options::default());
        edit_json(directory.path(), "config.json", edit);
        let checkpoint = import(directory.path()).expect("imported");
        let tensor = checkpoint.tensors.iter().find(|tensor| tensor.role == Role::RotaryFrequencies);
        all_numbers(tensor.expect("rotary").rows.as_ref())
    };
    let newer = frequencies(|config| {
        let mut rope = config["rope_scaling"].take();
        rope["rope_theta"] = config["rope_theta"].take();
        config["rope_parameters"] = rope;
    });
    assert_eq!(frequencies(|_| ()), newer);
    let plain = frequencies(|config| config["rope_scaling"] = Value::Null);
    assert_eq!(plain, [0, 1, 2].map(|i| 500_f64.powf(-f64::from(i) / 3.0) as f32));
    assert_ne!(plain, newer);
    let default = frequencies(|config| config["rope_scaling"] = json!({ "rope_type": "default" }));
    assert_eq!(plain, default);
}

#[test]
fn buffers_and_the_second_copy_of_a_tied_head_are_passed_over() {
    let gpt2 = written("awkward-gpt2", &Options::default());
    let added: &[(&str, &str, &[usize], usize)] = &[
        ("transformer.h.0.attn.bias", "U8", &[1, 1, 37, 37], 37 * 37),
        ("transformer.h.1.attn.masked_bias", "F32", &[], 4),
        ("lm_head.weight", "F32", &[263, 20], 263 * 20 * 4),
    ];
    edit_weights(gpt2.path(), |_| (), added);
    import(gpt2.path()).expect("imported");

    let llama = written("awkward-llama-biased", &Options { prefixed: false, ..Options::default() });
    let added: &[(&str, &str, &[usize], usize)] = &[
        ("layers.0.self_attn.rotary_emb.inv_freq", "F32", &[3], 12),
        ("rotary_emb.inv_freq", "F32", &[3], 12),
    ];
    edit_weights(llama.path(), |_| (), added);
    import(llama.path()).expect("imported");
}

#[test]
fn stop_tokens_come_from_the_generation_config_before_the_config() {
    let directory = written("awkward-gpt2", &Options::default());
    edit_json(directory.path(), "generation_config.json", |config| config["eos_token_id"] = json!([5, 9]));
    let mut seen = None;
    let checkpoint = huggingface::import(directory.path(), |request| {
        seen = Some((request.vocabulary, request.beginning, request.ends.to_vec()));
        Ok(vec![1, 2])
    });
    let checkpoint = checkpoint.expect("imported");
    assert_eq!(seen, Some((263, Some(262), vec![5, 9])));
    assert_eq!((checkpoint.stop_tokens, checkpoint.tokenizer), (vec![5, 9], vec![1, 2]));
    fs::remove_file(directory.path().join("generation_config.json")).expect("removed");
    assert_eq!(import(directory.path()).expect("imported").stop_tokens, [262]);
}

#[test]
fn metadata_says_what_is_certain_and_no_path() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("a model");
    let options = Options { dtype: Dtype::Bf16, ..Options::default() };
    checkpoints::write(&directory, &shape("awkward-gpt2"), &options).expect("written");
    fs::write(directory.join("README.md"), "---\nlicense: mit\n---\n").expect("written");
    let pairs = import(&directory).expect("imported").metadata;
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("name", "a model"),
            ("architecture", "GPT2LMHeadModel"),
            ("source", "Hugging Face directory, BF16"),
            ("licence", "mit"),
        ]
    );
}

#[test]
fn a_published_gpt2_of_width_two_is_read_transposed() {
    let Some(directory) = data("models/tiny_gpt2_lmbuddy") else { return };
    let checkpoint = import(&directory).expect("imported");
    let bytes = fs::read(directory.join("model.safetensors")).expect("read");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    // The header places h.0.attn.c_attn.weight, [2, 6], at byte 24 of the numbers.
    let number = |i: usize| {
        let at = 8 + header + 24 + 4 * i;
        f32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
    };
    let expected: Vec<f32> = (0..6).flat_map(|row| [number(row), number(6 + row)]).collect();
    let qkv = checkpoint.tensors.iter().find(|tensor| tensor.role == Role::Qkv).expect("there");
    assert_eq!(all_numbers(qkv.rows.as_ref()), expected);
    let description = checkpoint.architecture.transformer().expect("one");
    assert_eq!((description.vocabulary, description.hidden), (21, 8));
    assert_eq!(checkpoint.stop_tokens, [20]);
}
