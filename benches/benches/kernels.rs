//! The integer matrix products of every backend on real shapes, beside the two limits of the machine: what its
//! multipliers do on registers alone, and how fast it reads a buffer as large as the weights.
//!
//! `cargo bench -p whit-benches --bench kernels [-- FILTER…]`: only backends, encodings and shapes that contain
//! one of the filters each (for example `avx512 int4 576`). One thread; time is the thread's own CPU time where
//! the system tells it (Unix), so that a busy neighbour costs cache but no time; the best of several rounds.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use whit::AlignedBytes;
use whit::kernels::softmax::{FixedSoftmax, Softmax};
use whit::kernels::{Activation, Backend, Kernels, WithKernels};
use whit::tensor::padded_rows;
use whit_benches::clock::Clock;
use whit_benches::mode::Mode;
use whit_benches::operands::{Encoding, Vectors, Weights};
use whit_benches::peak::integer_peaks;

/// (rows, columns): stories15M, SmolLM2-135M and TinyLlama-1.1B.
const SHAPES: [(usize, usize); 7] =
    [(288, 288), (768, 288), (32_000, 288), (576, 1536), (1536, 576), (49_152, 576), (2048, 5632)];

const TOKENS: [usize; 4] = [1, 8, 64, 512];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let shapes = if Mode::of(&arguments) == Mode::Measure { &SHAPES[..] } else { &SHAPES[..1] };
    let filters: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with("--")).collect();
    let mut clock = Clock::new();
    println!("clock: {}", if cfg!(unix) { "CPU time of the thread" } else { "wall time" });
    for (name, peak) in integer_peaks(&mut clock) {
        println!("register peak, {name}: {peak:.0} GOP/s");
    }
    if filters.is_empty() || filters.iter().any(|filter| filter == "f32") {
        Backend::available().for_each(|backend| backend.run(Floats(&mut clock)));
    }
    println!(
        "\n{:8} {:9} {:>12} {:>9} | {:>8} {:>8} | {:>7} {:>7} {:>7} GOP/s at 8, 64, 512 tokens",
        "backend", "encoding", "shape", "weights", "GB/s", "of read", "8", "64", "512"
    );
    for &(rows, cols) in shapes {
        for encoding in [Encoding::Int8, Encoding::Int4 { group: 32 }, Encoding::Int4 { group: 0 }] {
            let weights = Weights::new(rows, cols, encoding);
            let mut read = None;
            for backend in Backend::available() {
                let line =
                    format!("{:8} {:9} {:>12}", backend.name(), encoding.name(), format!("{rows}x{cols}"));
                if filters.iter().all(|filter| line.contains(filter.as_str())) {
                    let read = *read.get_or_insert_with(|| read_bandwidth(&weights, &mut clock));
                    backend.run(Line { line, weights: &weights, read, clock: &mut clock });
                }
            }
        }
    }
}

/// One line of the table: a backend on a matrix.
struct Line<'a> {
    line: String,
    weights: &'a Weights,
    read: f64,
    clock: &'a mut Clock,
}

impl WithKernels for Line<'_> {
    type Output = ();

    fn call<K: Kernels>(self, kernels: K) {
        let Self { line, weights, read, clock } = self;
        let mut speeds = vec![];
        for tokens in TOKENS {
            let operations = 2.0 * (weights.rows * weights.cols * tokens) as f64;
            // The scalar definition is two orders slower; it shows the same at fewer tokens.
            if K::NAME == "scalar" && operations > 2e8 {
                speeds.push(f64::NAN);
                continue;
            }
            let mut vectors = Vectors::new(tokens, weights.cols);
            let x = vectors.filled();
            let mut out = AlignedBytes::zeroed(tokens * padded_rows(weights.rows) * size_of::<f32>());
            let out = bytemuck::cast_slice_mut(&mut out);
            let seconds = clock.best(|| weights.multiply(kernels, &x.as_activations(), out));
            speeds.push(if tokens == 1 { weights.bytes() as f64 } else { operations } / seconds / 1e9);
        }
        let [decode, prefill @ ..] = &speeds[..] else { return };
        print!(
            "{line} {:7.2}MB | {decode:8.1} {:7.0}% |",
            weights.bytes() as f64 / 1e6,
            100.0 * decode / read
        );
        prefill.iter().for_each(|speed| print!(" {speed:7.0}"));
        println!();
    }
}

/// One line with the f32 operations of a backend, in nanoseconds for a vector of 576.
struct Floats<'a>(&'a mut Clock);

impl WithKernels for Floats<'_> {
    type Output = ();

    fn call<K: Kernels>(self, kernels: K) {
        const LEN: usize = 576;
        /// Positions whose weights are made.
        const SPAN: usize = 256;
        let x: Vec<f32> = (0..LEN).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let mut out = x.clone();
        let (mut vectors, mut others) = (Vectors::new(2, LEN), Vectors::new(2, LEN));
        let (mut quantized, mut summed) = (vectors.without_sums(), others.filled());
        let mut nanoseconds = |work: &mut dyn FnMut()| self.0.best(work) * 1e9;
        let times = [
            ("rms_norm", nanoseconds(&mut || kernels.rms_norm(black_box(&x), &x, 1e-5, &mut out))),
            ("quantize", nanoseconds(&mut || kernels.quantize(black_box(&x), 0, &mut quantized))),
            ("quantize, sums", nanoseconds(&mut || kernels.quantize(black_box(&x), 0, &mut summed))),
            ("quantize_wide", nanoseconds(&mut || kernels.quantize_wide(black_box(&x), 0, &mut quantized))),
            (
                "silu, gated",
                nanoseconds(&mut || {
                    out.copy_from_slice(black_box(&x));
                    kernels.activate_gated(Activation::Silu, &mut out, &x);
                }),
            ),
            (
                "weights_i8, 256",
                nanoseconds(&mut || {
                    out.copy_from_slice(black_box(&x));
                    let mut softmax = FixedSoftmax::EMPTY;
                    kernels.weights_i8(&mut out[..SPAN], &[0; SPAN], &mut softmax, 0, 0, &mut quantized);
                }),
            ),
            (
                "attend_f32, 64 wide",
                nanoseconds(&mut || {
                    let (scores, values) = (&mut [0.5; 9], black_box(&x));
                    kernels.attend_f32(scores, values, &mut { Softmax::EMPTY }, &mut out[..64]);
                }),
            ),
        ];
        print!("{:8} f32, 576 elements, ns:", K::NAME);
        times.iter().for_each(|(name, time)| print!("  {name} {time:.0}"));
        println!();
    }
}

/// GB/s at which the fastest backend's compiler output sums a buffer as large as the weights.
fn read_bandwidth(weights: &Weights, clock: &mut Clock) -> f64 {
    let words = vec![1u32; weights.bytes() / 4];
    Backend::detect().run(Reading { words: &words, clock })
}

struct Reading<'a> {
    words: &'a [u32],
    clock: &'a mut Clock,
}

impl WithKernels for Reading<'_> {
    type Output = f64;

    fn call<K: Kernels>(self, kernels: K) -> f64 {
        let words = self.words;
        let seconds = self.clock.best(|| {
            let sum = kernels.enter(
                #[inline(always)]
                || {
                    let mut lanes = [0u32; 128];
                    for chunk in black_box(words).as_chunks::<128>().0 {
                        for l in 0..128 {
                            lanes[l] ^= chunk[l];
                        }
                    }
                    lanes
                },
            );
            black_box(sum);
        });
        words.len() as f64 * 4.0 / seconds / 1e9
    }
}
