//! A graph of f32 operators, computed as it stands: what a quantized model is measured against.

use whit_converter::import::tflite::{Graph, Operation, Operator};

/// The output of `graph` for one input.
pub(crate) fn run(graph: &Graph<'_>, input: &[f32]) -> Vec<f32> {
    let mut values: Vec<Option<Vec<f32>>> = graph.tensors.iter().map(|tensor| tensor.f32s()).collect();
    values[graph.inputs[0]] = Some(input.to_vec());
    for operator in &graph.operators {
        let take = |index: usize| {
            let tensor = operator.inputs.get(index).copied().flatten().expect("the operand is given");
            values[tensor].clone().expect("the operand is f32 and known")
        };
        let result = match operator.operation {
            Operation::Reshape => take(0),
            Operation::Softmax { beta } => {
                let x = take(0);
                let largest = x.iter().copied().fold(f32::MIN, f32::max);
                let e: Vec<f32> = x.iter().map(|x| ((x - largest) * beta).exp()).collect();
                let sum: f32 = e.iter().sum();
                e.iter().map(|e| e / sum).collect()
            }
            Operation::FullyConnected { activation: 0 } => {
                let (bias, mut sums) = (take(2), Vec::new());
                multiply(&take(1), &take(0), &mut sums);
                sums.iter().zip(bias).map(|(sum, bias)| sum + bias).collect()
            }
            Operation::Lstm { cell_clip, .. } => lstm(graph, operator, &take, cell_clip),
            ref other => panic!("{}", other.name()),
        };
        values[operator.outputs[0]] = Some(result);
    }
    values[graph.outputs[0]].clone().expect("some operator gives the output")
}

/// Appends W x.
fn multiply(weights: &[f32], x: &[f32], out: &mut Vec<f32>) {
    out.extend(weights.chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()));
}

fn lstm(graph: &Graph<'_>, operator: &Operator, take: &dyn Fn(usize) -> Vec<f32>, clip: f32) -> Vec<f32> {
    let width = graph.tensors[operator.inputs[1].expect("weights")].shape[1];
    let weights: [_; 4] = [0, 1, 2, 3].map(|gate| (take(1 + gate), take(5 + gate), take(12 + gate)));
    let hidden = weights[0].2.len();
    let (mut h, mut c, mut outputs) = (vec![0.0; hidden], vec![0.0; hidden], Vec::new());
    for x in take(0).chunks_exact(width) {
        let gates = weights.each_ref().map(|(input, recurrent, bias)| {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            multiply(input, x, &mut a);
            multiply(recurrent, &h, &mut b);
            (0..hidden).map(|i| a[i] + b[i] + bias[i]).collect::<Vec<f32>>()
        });
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        for i in 0..hidden {
            let [input, forget, cell, output] = gates.each_ref().map(|gate| gate[i]);
            c[i] = sigmoid(forget) * c[i] + sigmoid(input) * cell.tanh();
            if clip > 0.0 {
                c[i] = c[i].clamp(-clip, clip);
            }
            h[i] = sigmoid(output) * c[i].tanh();
        }
        outputs.extend(&h);
    }
    outputs
}
