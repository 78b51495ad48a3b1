//! The work that `instructions` counts in an emulator: products, operations on vectors, and steps of the models of this
//! repository, each between two calls of `yield_now`.
//!
//! A line of the output names an operation; the emulator writes three counts for it, of which the second is that of the
//! calls themselves.

use std::hint::black_box;
use std::thread::yield_now;
use whit::kernels::softmax::FixedSoftmax;
use whit::kernels::{Activation, Backend, Kernels, Pairing, WithKernels};
use whit::parallel::Columns;
use whit::tensor::padded_rows;
use whit::{AlignedBytes, Model, Token};
use whit_benches::operands::{Encoding, Vectors, Weights, multiply};
use whit_benches::plain;

/// (rows, columns) of the matrices of stories260K, stories15M and stories110M, and of the gates of an LSTM of 128.
const SHAPES: [(usize, usize); 13] = [
    (64, 64),
    (172, 64),
    (64, 172),
    (512, 64),
    (512, 128),
    (288, 288),
    (768, 288),
    (288, 768),
    (32_000, 288),
    (768, 768),
    (2048, 768),
    (768, 2048),
    (32_000, 768),
];

/// A generated token, two digits of one (or two tokens), and a prefill.
const TOKENS: [usize; 3] = [1, 2, 32];

/// Most multiplications worth an emulator's time, unless it is one token.
const MOST: usize = 8_000_000;

/// Elements of the vectors: a block of 16 positions or columns, the widths of stories15M.
const LENGTHS: [usize; 3] = [48, 288, 768];

/// The models of this repository.
static MODELS: [(&str, &[u8]); 2] = [
    ("shakespeare-lstm", whit::include_model!("../../../models/shakespeare-lstm/model.whit")),
    ("tinystories", whit::include_model!("../../../models/tinystories/model.whit")),
];

/// Tokens before those that are counted, and those.
const PROMPT: u32 = 64;
const STEPS: u32 = 32;

fn main() -> Result<(), whit::Error> {
    SHAPES.into_iter().for_each(|(rows, cols)| plain_loops(rows, cols));
    for backend in Backend::available() {
        backend.run(Everything);
        for (name, file) in MODELS {
            steps(backend, name, file)?;
        }
    }
    Ok(())
}

/// Steps of a model, each from the token before.
fn steps(backend: Backend, name: &str, file: &[u8]) -> Result<(), whit::Error> {
    let model = Model::parse(file)?.with_backend(backend);
    let options = model.options((PROMPT + STEPS) as usize);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options)?);
    let mut session = model.session(&mut arena, options)?;
    // Which tokens they are changes no instruction but those of comparisons.
    let tokens: Vec<Token> = (0..PROMPT + STEPS).map(|i| Token(i * 7 % 60)).collect();
    let (prompt, rest) = tokens.split_at(PROMPT as usize);
    session.feed(prompt)?;
    println!("{}\tstep of {name}\t1\t1\t{}", backend.name(), rest.len());
    let mut fed = Ok(());
    counted(|| fed = rest.iter().try_for_each(|&token| session.feed(&[token])));
    fed
}

/// What llama2.c's loops take for the same, whole groups of columns of it; in the column of the scalar backend.
fn plain_loops(rows: usize, cols: usize) {
    let cols = cols / plain::GROUP * plain::GROUP;
    let (w, x, mut out) = (vec![0.5; rows * cols], vec![0.5; cols], vec![0.0; rows]);
    println!("scalar\trun.c f32\t{rows}\t{cols}\t1");
    counted(|| plain::matmul_f32(&mut out, &w, &x));
    let groups = cols / plain::GROUP;
    let (w, ws) = (vec![3i8; rows * cols], vec![0.5; rows * groups]);
    let (x, xs) = (vec![5i8; cols], vec![0.5; groups]);
    println!("scalar\trunq.c int8\t{rows}\t{cols}\t1");
    counted(|| plain::matmul_q8(&mut out, (&w, &ws), (&x, &xs)));
    black_box(out);
}

struct Everything;

impl WithKernels for Everything {
    type Output = ();

    fn call<K: Kernels>(self, kernels: K) {
        for encoding in [Encoding::Int8, Encoding::Int4 { group: 32 }, Encoding::Int4 { group: 128 }] {
            for (rows, cols) in SHAPES {
                let weights = Weights::new(rows, cols, encoding);
                for tokens in TOKENS {
                    if tokens == 1 || rows * cols * tokens <= MOST {
                        matrix(kernels, encoding, &weights, tokens);
                    }
                }
            }
        }
        LENGTHS.iter().for_each(|&length| vectors(kernels, length));
    }
}

/// One product.
fn matrix<K: Kernels>(kernels: K, encoding: Encoding, weights: &Weights, tokens: usize) {
    let &Weights { rows, cols, .. } = weights;
    let mut vectors = Vectors::new(tokens, cols);
    let x = vectors.filled();
    let (matrix, x) = (weights.matrix(), x.as_activations());
    let mut out = vec![0.0; tokens * padded_rows(rows)];
    let mut out = Columns::new(&mut out, tokens, padded_rows(rows));
    println!("{}\t{}\t{rows}\t{cols}\t{tokens}", K::NAME, encoding.name());
    counted(|| multiply(kernels, &matrix, &x, &mut out));
}

/// The f32 operations on one vector.
fn vectors<K: Kernels>(kernels: K, length: usize) {
    let x: Vec<f32> = (0..length).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let mut y = x.clone();
    let (mut plain, mut summed) = (Vectors::new(2, length), Vectors::new(2, length));
    let (mut plain, mut summed) = (plain.without_sums(), summed.filled());
    let mut on = |vector: &[f32], name: &str, work: &mut dyn FnMut(&mut [f32])| {
        println!("{}\t{name}\t1\t{}\t1", K::NAME, vector.len());
        let y = &mut y[..vector.len()];
        y.copy_from_slice(vector);
        counted(|| work(black_box(y)));
    };
    // Scores of at most a span, as a trained head's are spread.
    let scores: Vec<f32> = x.iter().take(256).map(|x| x * 2e5).collect();
    let logs = vec![0; scores.len()];
    on(&scores, "weights_i8", &mut |y| {
        kernels.weights_i8(y, &logs, &mut { FixedSoftmax::EMPTY }, 0, 0, &mut plain);
    });
    let mut operation = |name: &str, work: &mut dyn FnMut(&mut [f32])| on(&x, name, work);
    let half = &x[..length / 2];
    operation("rms_norm", &mut |y| kernels.rms_norm(&x, &x, 1e-5, y));
    operation("add", &mut |y| kernels.add(y, &x));
    operation("quantize", &mut |y| kernels.quantize(y, 0, &mut plain));
    operation("quantize, sums", &mut |y| kernels.quantize(y, 0, &mut summed));
    operation("quantize_wide", &mut |y| kernels.quantize_wide(y, 0, &mut plain));
    operation("silu, gated", &mut |y| kernels.activate_gated(Activation::Silu, y, &x));
    operation("gelu (tanh)", &mut |y| kernels.activate(Activation::GeluTanh, y));
    operation("rotate, halves", &mut |y| kernels.rotate(y, length, half, half, Pairing::HalfSplit));
    operation("rotate, pairs", &mut |y| kernels.rotate(y, length, half, half, Pairing::Interleaved));
}

fn counted(mut work: impl FnMut()) {
    yield_now();
    yield_now();
    work();
    yield_now();
}
