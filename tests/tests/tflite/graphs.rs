//! Graphs made up for one rule each.

use crate::builder::{Field, Operator, Tensor, file};
use crate::{imported, vectors};
use whit::format::IntegerLayer;
use whit::integer::IntegerModel;
use whit_converter::import::tflite;

/// A vector of bytes, computed.
fn bytes(shape: &[i32], scale: f32, zero_point: i64) -> Tensor {
    Tensor {
        shape: shape.into(),
        numeric: 9,
        data: vec![],
        scales: vec![scale],
        zero_points: vec![zero_point],
    }
}

/// Weights of two rows, 1 2 3 and −4 5 −6, in steps of 1/2.
fn weights() -> Tensor {
    let data = [1, 2, 3, -4, 5, -6i8].map(|weight| weight as u8).into();
    Tensor { data, ..bytes(&[2, 3], 0.5, 0) }
}

fn bias() -> Tensor {
    let data = [100, -200i32].iter().flat_map(|bias| bias.to_le_bytes()).collect();
    Tensor { shape: vec![2], numeric: 2, data, scales: vec![0.125], zero_points: vec![0] }
}

/// Input in steps of 1/4 from 10, output in steps of 1 from −20.
fn tensors() -> Vec<Tensor> {
    vec![bytes(&[1, 3], 0.25, 10), weights(), bias(), bytes(&[1, 2], 1.0, -20)]
}

fn fully_connected(activation: u8) -> Operator {
    let options = vec![(0, Field::Scalar(vec![activation]))];
    Operator { code: 9, inputs: vec![0, 1, 2], output: 3, options }
}

fn softmax(input: i32, output: i32) -> Operator {
    Operator {
        code: 25,
        inputs: vec![input],
        output,
        options: vec![(0, Field::Scalar(1f32.to_le_bytes().into()))],
    }
}

/// What the importer says about a graph.
fn refused(tensors: &[Tensor], operators: &[Operator], output: i32) -> String {
    match tflite::read(&file(tensors, operators, output), "made-up.tflite") {
        Ok(_) => panic!("a graph that must be refused was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn fused_activations_clamp() {
    // (x − 10) · 0.25 · w · 0.5 + bias · 0.125 of 14, 2, 110: 4 − 16 + 300, and −16 − 40 − 600, in eighths.
    let (x, eighths) = ([14, 2, 110], [288 + 100, -656 - 200]);
    let exact = eighths.map(|sum: i32| (f64::from(sum) / 8.0 - 20.0).round().clamp(-128.0, 127.0) as i8);
    for (activation, range) in [(0, [-128, 127]), (1, [-20, 127]), (2, [-21, -19]), (3, [-20, -14])] {
        let whit = imported(&file(&tensors(), &[fully_connected(activation)], 3));
        let model = IntegerModel::parse(&whit).expect("a whole file");
        let expected = exact.map(|value| value.clamp(range[0], range[1]));
        assert_eq!(vectors(&model, &x), expected, "activation {activation}");
    }
}

#[test]
fn a_missing_bias_is_zero() {
    let operator = Operator { inputs: vec![0, 1, -1], ..fully_connected(0) };
    let whit = imported(&file(&tensors(), &[operator], 3));
    let model = IntegerModel::parse(&whit).expect("a whole file");
    assert_eq!(vectors(&model, &[14, 2, 110]), [36 - 20, -82 - 20]);
}

#[test]
fn conversions_at_the_ends_and_shapes_that_change_nothing_are_no_layers() {
    let real =
        |shape: &[i32]| Tensor { numeric: 0, scales: vec![], zero_points: vec![], ..bytes(shape, 1.0, 0) };
    let mut tensors = vec![real(&[1, 3])];
    tensors.extend(self::tensors());
    tensors.extend([bytes(&[2], 1.0, -20), real(&[2])]);
    let plain = |code, input, output| Operator { code, inputs: vec![input], output, options: vec![] };
    let layer = Operator { inputs: vec![1, 2, 3], output: 4, ..fully_connected(0) };
    let file = file(&tensors, &[plain(114, 0, 1), layer, plain(22, 4, 5), plain(6, 5, 6)], 6);
    let checkpoint = tflite::read(&file, "ends.tflite").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(checkpoint.layers.len(), 1);
    assert_eq!((checkpoint.input.scale, checkpoint.input.zero_point), (0.25, 10));
    assert_eq!((checkpoint.output.scale, checkpoint.output.zero_point), (1.0, -20));
}

#[test]
fn a_wider_layer_gathers_what_comes_before() {
    let mut tensors = tensors();
    tensors[0].shape = vec![1, 6, 1];
    tensors[3].shape = vec![2, 2];
    let checkpoint = tflite::read(&file(&tensors, &[fully_connected(0)], 3), "wide.tflite");
    let layers = checkpoint.unwrap_or_else(|error| panic!("{error}")).layers;
    assert_eq!(layers[0].layer, IntegerLayer::Gather { width: 1, count: 3 });
    tensors[0].shape = vec![1, 4, 1];
    let error = refused(&tensors, &[fully_connected(0)], 3);
    assert!(error.contains("`tensor 0` of FULLY_CONNECTED") && error.contains("[1, 4, 1]"), "{error}");
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    let change = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut tensors = tensors();
        change(&mut tensors);
        refused(&tensors, &[fully_connected(0)], 3)
    };
    let cases = [
        (change(&|tensors| tensors[1].zero_points = vec![3]), "zero points of 0"),
        (change(&|tensors| tensors[1].data.truncate(5)), "6 stored numbers of int8"),
        (change(&|tensors| tensors[2].numeric = 0), "2 stored numbers of int32"),
        (change(&|tensors| tensors[0].numeric = 0), "expected int8, found float32"),
        (change(&|tensors| tensors[0].scales = vec![-1.0]), "one positive scale"),
        (change(&|tensors| tensors[3].scales = vec![1e-30]), "an output scale"),
        (change(&|tensors| tensors[3].zero_points = vec![500]), "a zero point of -128 to 127"),
        (change(&|tensors| tensors[0].shape = vec![1, 0]), "none of them 0"),
        (refused(&tensors(), &[fully_connected(4)], 3), "RELU6"),
        (refused(&tensors(), &[fully_connected(0)], 1), "output of the graph"),
        (refused(&tensors(), &[], 3), "at least one layer"),
        (refused(&tensors(), &[Operator { code: 17, ..fully_connected(0) }], 3), "builtin operator 17"),
        (refused(&tensors(), &[Operator { inputs: vec![3, 1, 2], ..fully_connected(0) }], 3), "`tensor 0`"),
        (refused(&tensors(), &[fully_connected(0), softmax(3, 3)], 3), "0.00390625"),
        (refused(&[], &[], 0), "tensor 0 of 0"),
    ];
    for (error, expected) in cases {
        assert!(error.starts_with("made-up.tflite: ") && error.contains(expected), "{error}; {expected}");
    }
}

#[test]
fn lstms_of_other_forms_are_refused_by_name() {
    // 0 input, 1 matrix of weights, 2 bias, 3 hidden state, 4 cell, 5 output.
    let (one, state) = (Tensor { data: vec![1], ..bytes(&[1, 1], 0.5, 0) }, bytes(&[1, 1], 0.01, 0));
    let bias = Tensor { shape: vec![1], numeric: 2, data: vec![0; 4], ..bytes(&[1], 1.0, 0) };
    let cell = Tensor { numeric: 7, ..bytes(&[1, 1], 1.0 / 16_384.0, 0) };
    let output = bytes(&[1, 2, 1], 0.01, 0);
    let tensors = vec![bytes(&[1, 2, 1], 0.1, 3), one, bias, state, cell, output];
    let mut inputs = vec![0];
    inputs.extend([1; 8]);
    inputs.extend([-1; 3]);
    inputs.extend([2; 4]);
    inputs.extend([-1, -1, 3, 4, -1, -1, -1, -1]);
    let operator = Operator { code: 44, inputs, output: 5, options: vec![(0, Field::Scalar(vec![4]))] };
    let taken = tflite::read(&file(&tensors, std::slice::from_ref(&operator), 5), "lstm.tflite");
    assert_eq!(taken.unwrap_or_else(|error| panic!("{error}")).layers.len(), 1);
    let changed = |change: &dyn Fn(&mut Vec<Tensor>, &mut Operator)| {
        let (mut tensors, mut operator) = (tensors.clone(), operator.clone());
        change(&mut tensors, &mut operator);
        refused(&tensors, &[operator], 5)
    };
    let clip = |clip: f32| {
        changed(&move |_, operator| operator.options.push((1, Field::Scalar(clip.to_le_bytes().into()))))
    };
    let cases = [
        (changed(&|_, operator| operator.inputs[10] = 1), "peepholes"),
        (changed(&|_, operator| operator.inputs[16] = 1), "a projection"),
        (changed(&|_, operator| operator.inputs[22] = 1), "layer normalization"),
        (changed(&|_, operator| operator.inputs[1] = -1), "input 1"),
        (changed(&|_, operator| operator.options.clear()), "TANH"),
        (changed(&|tensors, _| tensors[0].shape = vec![2, 1, 1]), "[1, steps, inputs]"),
        (changed(&|tensors, _| tensors[4].scales = vec![0.001]), "a power of two"),
        (changed(&|tensors, _| tensors[4].numeric = 9), "expected int16"),
        (changed(&|tensors, _| tensors[1].shape = vec![1, 2]), "expected [1, 1]"),
        (clip(1e-6), "one step of the cell"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}; {expected}");
    }
}
