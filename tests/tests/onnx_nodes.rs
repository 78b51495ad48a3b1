//! The runtime's f32 operations against ONNX's node tests, where a case is one of them: norms over the trailing
//! dimensions, softmax over the last, GELU, SiLU, rotary positions.

use std::path::PathBuf;
use whit::kernels::softmax::Softmax;
use whit::kernels::{Activation, Pairing, lanes};
use whit_tests::data::data;
use whit_tests::onnx::{Tensor, read};

/// The inputs and the first output of a case; `None` where there is no data.
fn case(name: &str) -> Option<(Vec<Tensor>, Tensor)> {
    let folder = data("models/onnx_node")?.join(format!("test_{name}/test_data_set_0"));
    let inputs = (0..).map_while(|i| read(&folder.join(format!("input_{i}.pb")))).collect();
    let output = read(&folder.join("output_0.pb")).unwrap_or_else(|| panic!("no case {name}"));
    Some((inputs, output))
}

/// The names of all cases that start with `prefix`; `None` where there is no data.
fn cases(prefix: &str) -> Option<Vec<String>> {
    let folder: PathBuf = data("models/onnx_node")?;
    let entries =
        std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("an entry").file_name());
    let names = entries.filter_map(|name| Some(name.to_str()?.strip_prefix("test_")?.to_owned()));
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    assert!(!names.is_empty(), "no case {prefix}");
    Some(names)
}

/// A few roundings of f32 for numbers of the size of the case's.
fn assert_close(name: &str, found: &[f32], expected: &Tensor) {
    assert_eq!(found.len(), expected.values.len(), "{name}");
    for (found, expected) in found.iter().zip(&expected.values) {
        assert!(
            (found - expected).abs() <= 4e-6 * expected.abs().max(1.0),
            "{name}: {found}, not {expected}"
        );
    }
}

#[test]
fn norms_over_all_trailing_dimensions() {
    let (Some(layer), Some(rms)) = (cases("layer_normalization"), cases("rms_normalization")) else { return };
    assert_eq!((layer.len(), rms.len()), (19, 19));
    for name in layer.into_iter().chain(rms) {
        let (inputs, expected) = case(&name).expect("the data is there");
        let epsilon = if name.ends_with("epsilon") { 0.1 } else { 1e-5 };
        let [x, weight] = [0, 1].map(|i| &inputs[i].values);
        let mut out = vec![0.0; x.len()];
        for (x, out) in x.chunks(weight.len()).zip(out.chunks_mut(weight.len())) {
            match inputs.get(2) {
                Some(bias) => lanes::layer_norm(x, weight, &bias.values, epsilon, out),
                None => lanes::rms_norm(x, weight, epsilon, out),
            }
        }
        assert_close(&name, &out, &expected);
    }
}

#[test]
fn softmax_over_the_last_dimension() {
    for name in ["axis_2", "default_axis", "negative_axis", "example", "large_number"] {
        let name = format!("softmax_{name}");
        let Some((mut inputs, expected)) = case(&name) else { return };
        let width = *inputs[0].shape.last().expect("a dimension");
        for row in inputs[0].values.chunks_mut(width) {
            let mut softmax = Softmax::EMPTY;
            softmax.extend(row);
            lanes::scale(row, 1.0 / softmax.sum);
        }
        assert_close(&name, &inputs[0].values, &expected);
    }
}

#[test]
fn activations() {
    for (name, activation) in [
        ("gelu_default_1", Activation::GeluErf),
        ("gelu_default_2", Activation::GeluErf),
        ("gelu_tanh_1", Activation::GeluTanh),
        ("gelu_tanh_2", Activation::GeluTanh),
        ("swish", Activation::Silu),
    ] {
        let Some((mut inputs, expected)) = case(name) else { return };
        lanes::activate(activation, &mut inputs[0].values);
        assert_close(name, &inputs[0].values, &expected);
    }
}

#[test]
fn rotary_positions_in_both_pairings_and_in_part_of_a_head() {
    let Some(names) = cases("rotary_embedding") else { return };
    assert_eq!(names.len(), 8);
    for name in names {
        let (mut inputs, expected) = case(&name).expect("the data is there");
        let (cos, sin, positions) = (inputs[1].clone(), inputs[2].clone(), inputs.get(3).cloned());
        let pairing = if name.contains("interleaved") { Pairing::Interleaved } else { Pairing::HalfSplit };
        let pairs = *cos.shape.last().expect("a dimension");
        // All cases have two texts of three tokens and four heads of eight; 4-d inputs have the heads outside.
        let heads_outside = inputs[0].shape.len() == 4;
        for (i, head) in inputs[0].values.chunks_mut(8).enumerate() {
            let token = if heads_outside { i / 12 * 3 + i % 3 } else { i / 4 };
            let row = positions.as_ref().map_or(token, |positions| positions.values[token] as usize);
            let of = |table: &Tensor| table.values[row * pairs..][..pairs].to_vec();
            lanes::rotate(head, 8, &of(&cos), &of(&sin), pairing);
        }
        assert_close(&name, &inputs[0].values, &expected);
    }
}
