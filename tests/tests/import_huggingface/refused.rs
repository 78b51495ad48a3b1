//! What is wrong is named in full.

use crate::{all_numbers, edit_json, edit_weights, import, message, written};
use serde_json::{Value, json};
use std::fs;
use whit_tests::checkpoints::Options;

#[test]
fn fields_that_cannot_be_honoured_are_all_named() {
    let directory = written("awkward-llama", &Options::default());
    edit_json(directory.path(), "config.json", |config| {
        config["hidden_act"] = json!("quick_gelu");
        config["num_key_value_heads"] = json!(2);
        config["hidden_size"] = json!("36");
        config["intermediate_size"] = Value::Null;
        config["head_dim"] = json!(9);
        config["rms_norm_eps"] = json!(-1.0);
        config["attention_bias"] = json!(1);
        config["vocab_size"] = json!(1u64 << 40);
        config["rope_scaling"] = json!({ "type": "yarn", "factor": 4.0, "beta_fast": 32 });
        config["residual_multiplier"] = json!(0.22);
        config["eos_token_id"] = json!([2, -1]);
        config["quantization_config"] = json!({ "bits": 4 });
        config["sliding_window"] = json!(4096);
        config["layer_types"] = json!(["full_attention", "chunked_attention"]);
    });
    let message = message(directory.path());
    for part in [
        "config.json: field `hidden_act`: expected `silu`, `gelu`, `gelu_new`, `gelu_pytorch_tanh` or `relu`, found \
         `quick_gelu`",
        "field `num_key_value_heads`: expected a divisor of the 3 attention heads, found 2",
        "field `hidden_size`: expected a whole number from 1 to 65536, found `36`",
        "field `intermediate_size`: expected a whole number from 1 to 131071, found nothing; add it",
        "field `head_dim`: expected an even number, for pairs to rotate, found 9",
        "field `rms_norm_eps`: expected a number that is not negative, found -1.0",
        "field `attention_bias`: expected true or false, found 1",
        "field `vocab_size`: expected a whole number from 1 to 16777216, found 1099511627776",
        "field `rope_scaling.beta_fast`: expected no such field",
        "field `rope_scaling.type`: expected `default`, `linear` or `llama3`, found `yarn`",
        "field `residual_multiplier`: expected 1, found 0.22",
        "field `eos_token_id`: expected token ids",
        "field `quantization_config`: expected nothing, found {\"bits\":4}",
        "field `sliding_window`: expected nothing, found 4096",
        "field `layer_types`: expected `full_attention` for every layer",
        "15 problems:",
    ] {
        assert!(message.contains(part), "no `{part}` in:\n{message}");
    }
}

#[test]
fn gpt2_fields_that_cannot_be_honoured_are_all_named() {
    let directory = written("awkward-gpt2", &Options::default());
    edit_json(directory.path(), "config.json", |config| {
        config["activation_function"] = json!("gelu_10");
        config["scale_attn_by_inverse_layer_idx"] = json!(true);
        config["n_head"] = json!(3);
        config["n_positions"] = json!(0);
        config["pruned_heads"] = json!({ "0": [1] });
        config["layer_norm_epsilon"] = json!("small");
    });
    let message = message(directory.path());
    for part in [
        "field `activation_function`",
        "field `scale_attn_by_inverse_layer_idx`: expected false, found true",
        "field `n_head`: expected a divisor of the width 20, found 3",
        "field `n_positions`: expected a whole number from 1 to 16777216, found 0",
        "field `pruned_heads`: expected nothing in it",
        "field `layer_norm_epsilon`: expected a number that is not negative, found `small`",
        "6 problems:",
    ] {
        assert!(message.contains(part), "no `{part}` in:\n{message}");
    }
}

#[test]
fn missing_extra_misshapen_and_mistyped_tensors_are_all_named() {
    let directory = written("awkward-llama", &Options::default());
    let added: &[(&str, &str, &[usize], usize)] = &[("model.layers.2.mlp.up_proj.weight", "F32", &[1, 2], 8)];
    edit_weights(
        directory.path(),
        |header| {
            let moved = header.remove("model.layers.0.self_attn.k_proj.weight").expect("there");
            header.insert("model.layers.0.self_attn.key.weight".to_owned(), moved);
            let moved = header.remove("lm_head.weight").expect("there");
            header.insert("score.weight".to_owned(), moved);
            header["model.layers.1.mlp.gate_proj.weight"]["shape"] = json!([36, 50]);
            header["model.norm.weight"]["shape"] = json!([1, 36]);
            header["model.layers.1.mlp.down_proj.weight"]["dtype"] = json!("I32");
        },
        added,
    );
    let message = message(directory.path());
    for part in [
        "tensor `model.layers.0.self_attn.k_proj.weight`: expected shape [10, 36], found nothing",
        "tensor `lm_head.weight`: expected shape [307, 36], found nothing; if the output head is the embedding, set \
         `tie_word_embeddings` to true",
        "tensor `model.layers.0.self_attn.key.weight`: expected no tensor of this name, found shape [10, 36]",
        "tensor `score.weight`: expected no tensor of this name, found shape [307, 36]",
        "tensor `model.layers.2.mlp.up_proj.weight`: expected no tensor of this name, found shape [1, 2]",
        "tensor `model.layers.1.mlp.gate_proj.weight`: expected shape [50, 36], found shape [36, 50]",
        "tensor `model.norm.weight`: expected shape [36], found shape [1, 36]",
        "tensor `model.layers.1.mlp.down_proj.weight`: expected type F32, F16 or BF16, found I32",
        "8 problems:",
    ] {
        assert!(message.contains(part), "no `{part}` in:\n{message}");
    }
}

#[test]
fn the_bias_of_the_fused_projection_is_not_a_buffer() {
    let directory = written("awkward-gpt2", &Options::default());
    edit_weights(
        directory.path(),
        |header| {
            let bias = header.remove("transformer.h.1.attn.c_attn.bias").expect("there");
            header.insert("transformer.h.1.attn.bias".to_owned(), bias);
        },
        &[],
    );
    let message = message(directory.path());
    assert!(
        message.contains("tensor `transformer.h.1.attn.c_attn.bias`: expected shape [60], found nothing")
    );
}

#[test]
fn one_name_with_and_without_prefix_is_an_error() {
    let directory = written("awkward-gpt2", &Options::default());
    edit_weights(directory.path(), |_| (), &[("ln_f.bias", "F32", &[20], 80)]);
    let message = message(directory.path());
    assert!(message.contains("ln_f.bias`: expected one tensor, found a second one"), "{message}");
}

#[test]
fn unknown_architectures_are_named_with_the_known_ones() {
    let directory = written("awkward-llama", &Options::default());
    let known = "expected `LlamaForCausalLM`, `MistralForCausalLM`, `GPT2LMHeadModel` or `GPT2Model`";
    for (architectures, kind, found) in [
        (json!(["MambaForCausalLM"]), json!("mamba"), "found `MambaForCausalLM`"),
        (Value::Null, json!("t5"), "found `t5`"),
        (json!([]), Value::Null, "found neither"),
    ] {
        edit_json(directory.path(), "config.json", |config| {
            config["architectures"] = architectures;
            config["model_type"] = kind;
        });
        let message = message(directory.path());
        assert!(message.contains(known) && message.contains(found), "{message}");
    }
    edit_json(directory.path(), "config.json", |config| config["model_type"] = json!("llama"));
    import(directory.path()).expect("the model type alone is enough");
}

#[test]
fn an_index_that_lies_is_an_error() {
    type Case = (fn(&mut Value), &'static str);
    let cases: [Case; 5] = [
        (|index| index["weight_map"] = json!(7), "expected an object `weight_map`"),
        (
            |index| index["weight_map"]["lm_head.weight"] = json!("../other.safetensors"),
            "expected names of files in the same directory, found `../other.safetensors` for `lm_head.weight`",
        ),
        (
            |index| index["weight_map"]["lm_head.weight"] = json!("model-00009-of-00002.safetensors"),
            "model-00009-of-00002.safetensors: cannot be read",
        ),
        (
            |index| index["weight_map"]["lm_head.weight"] = json!("model-00001-of-00002.safetensors"),
            "tensor `lm_head.weight`: expected it in model-00001-of-00002.safetensors, found it in \
             model-00002-of-00002.safetensors",
        ),
        (
            |index| index["weight_map"]["ghost"] = json!("model-00001-of-00002.safetensors"),
            "tensor `ghost`: expected it in model-00001-of-00002.safetensors, found nothing",
        ),
    ];
    for (edit, expected) in cases {
        let directory = written("awkward-llama", &Options { shards: 2, ..Options::default() });
        edit_json(directory.path(), "model.safetensors.index.json", edit);
        let message = message(directory.path());
        assert!(message.contains(expected), "no `{expected}` in:\n{message}");
    }
}

#[test]
fn damaged_and_absent_files_are_named() {
    let directory = written("awkward-gpt2", &Options::default());
    let weights = directory.path().join("model.safetensors");
    let bytes = fs::read(&weights).expect("read");
    for len in [0, 7, 8, 100, bytes.len() - 1] {
        fs::write(&weights, &bytes[..len]).expect("written");
        let message = message(directory.path());
        assert!(message.contains("model.safetensors: content: expected a safetensors file"), "{message}");
    }
    fs::remove_file(&weights).expect("removed");
    let text = message(directory.path());
    assert!(
        text.contains("expected model.safetensors or model.safetensors.index.json, found neither"),
        "{text}"
    );
    fs::write(directory.path().join("config.json"), "[1]").expect("written");
    let text = message(directory.path());
    assert!(text.contains("config.json: content: expected a JSON object, found a list"), "{text}");
    fs::remove_file(directory.path().join("config.json")).expect("removed");
    let text = message(directory.path());
    assert!(text.contains("config.json: cannot be read"), "{text}");
}

#[test]
fn a_changed_byte_in_the_configuration_or_a_header_never_panics() {
    let directory = written("awkward-gpt2", &Options { shards: 2, ..Options::default() });
    for file in ["config.json", "model.safetensors.index.json", "model-00002-of-00002.safetensors"] {
        let path = directory.path().join(file);
        let whole = fs::read(&path).expect("read");
        let (mut accepted, mut refused) = (0, 0);
        let text = match file.ends_with("json") {
            true => whole.len(),
            false => 8 + u64::from_le_bytes(whole[..8].try_into().expect("8 bytes")) as usize,
        };
        // Every third byte, which goes through the four changes in turn.
        for at in (0..text).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= [1, 2, 16, 128][at % 4];
            fs::write(&path, bytes).expect("written");
            match import(directory.path()) {
                Ok(checkpoint) => {
                    accepted += 1;
                    checkpoint.tensors.iter().for_each(|tensor| drop(all_numbers(tensor.rows.as_ref())));
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
        assert!(refused > accepted, "{file}: {refused} refused, {accepted} accepted");
        fs::write(&path, whole).expect("written");
    }
}
