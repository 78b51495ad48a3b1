//! One step of a character LSTM of two layers, token by token, and a chunk of 128 at once, beside the multipliers' peak:
//! `cargo bench -p whit-benches --bench lstm [-- WIDTH…]`.
//!
//! Seconds are the thread's CPU time. A multiplication of every weight of layers and head counts once a token. Weights
//! are random: speed does not depend on them.

use std::hint::black_box;
use whit::format::{Encoding, Recurrent};
use whit::kernels::Backend;
use whit::{AlignedBytes, Model, SessionOptions, Token};
use whit_benches::clock::Clock;
use whit_benches::mode::Mode;
use whit_benches::peak::integer_peaks;
use whit_tests::synthetic::{Encodings, lstm, model, widths};

const VOCABULARY: u32 = 65;
const CHUNK: usize = 128;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<u16> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let widths = match Mode::of(&arguments) {
        Mode::Measure if asked.is_empty() => vec![128, 256, 512],
        Mode::Measure => asked,
        Mode::Try => vec![16],
    };
    let mut clock = Clock::new();
    // One vector has no use for tiles.
    let peaks =
        integer_peaks(&mut clock).into_iter().filter(|(instructions, _)| !instructions.starts_with("tdp"));
    let peak = peaks.map(|(_, peak)| peak / 2.0).fold(f64::NAN, f64::max);
    println!("{}; vectors of integers on registers alone: {peak:.0} GMAC/s", Backend::detect().name());
    println!("shape   weights  step µs  GMAC/s  of peak  chunk of {CHUNK}, µs a token");
    for width in widths {
        for (name, weights) in [("int8", Encoding::I8), ("int4", Encoding::I4 { group: 32 })] {
            let encodings = Encodings { weights, embedding: Encoding::I8 };
            let [step, chunk] = measure(&mut clock, width, encodings);
            let macs = (16.0 * f64::from(width) + f64::from(VOCABULARY)) * f64::from(width);
            let speed = macs / step / 1e9;
            println!(
                "2×{width:<4}  {name}    {:>7.2}  {speed:>6.1}  {:>5.1} %  {:>7.2}",
                step * 1e6,
                100.0 * speed / peak,
                chunk * 1e6
            );
        }
    }
}

/// Seconds of a step, its logits included, and of a token in a chunk, those of its last token included.
fn measure(clock: &mut Clock, width: u16, encodings: Encodings) -> [f64; 2] {
    let description = Recurrent {
        vocabulary: VOCABULARY,
        input: width.into(),
        head: VOCABULARY,
        hidden: widths(&[width; 2]),
        ..lstm()
    };
    let bytes = model(description, encodings, 1);
    let model = Model::parse(&bytes).expect("the writer's files parse");
    let options = SessionOptions { batch: CHUNK, ..model.options(1) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("the arena has the size asked for");
    let mut token = 0;
    let step = clock.best(|| {
        token = (token + 1) % VOCABULARY;
        session.feed(&[Token(token)]).expect("there is no limit");
        black_box(session.logits());
    });
    let text: Vec<Token> = (0..CHUNK as u32).map(|i| Token(i * 7 % VOCABULARY)).collect();
    let chunk = clock.best(|| session.feed(&text).expect("there is no limit"));
    [step, chunk / CHUNK as f64]
}
