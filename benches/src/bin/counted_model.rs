//! The work that `whit bench FILE --on cortex-a53` and its like count in an emulator, each piece between two calls of
//! `yield_now`: `counted_model FILE PROMPT_TOKENS DECODE_TOKENS`.
//!
//! A line of the output names a piece of work; the emulator writes three counts for it, of which the second is that of the
//! calls themselves.

use std::error::Error;
use std::thread::yield_now;
use whit::cost::{Meter, Products, Work, arbitrary, tokens};
use whit::kernels::Backend;
use whit::{AlignedBytes, Model, SessionOptions, Token};

/// Most tokens that `whit bench` asks for.
const MOST: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, prompt, decode] = &arguments[..] else {
        return Err("expected FILE PROMPT_TOKENS DECODE_TOKENS".into());
    };
    let (prompt, decode): (usize, usize) = (prompt.parse()?, decode.parse()?);
    let bytes = std::fs::read(file)?;
    let mut aligned = AlignedBytes::zeroed(bytes.len());
    aligned.copy_from_slice(&bytes);
    let model = Model::parse(&aligned)?;
    let options = SessionOptions { batch: SessionOptions::BATCH, ..model.options(prompt.max(decode)) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options)?);
    for backend in Backend::available() {
        backend.run(Products { model: &model, arena: &mut arena, meter: &mut Calls })?;
    }
    let all: [Token; MOST] = arbitrary(model.architecture().vocabulary());
    let some = |count: usize| all.get(..count).ok_or("too many tokens");
    tokens(&model, &mut arena, options, [some(prompt)?, some(decode)?], &mut Calls)?;
    Ok(())
}

/// Calls that the emulator sees, of which the first two have nothing between them.
struct Calls;

impl Meter for Calls {
    fn start(&mut self) {
        yield_now();
        yield_now();
    }

    fn end(&mut self, work: Work, backend: &'static str) {
        yield_now();
        println!("{work}\t{backend}");
    }
}
