//! The runtime without std on emulated 32-bit cores: the same file must give the same bits as on the host.
//!
//! Built for Cortex-M0 and RV32IMC, which have no floating-point unit, and for WebAssembly. What is compared was
//! made on the host: fingerprints of the mathematics, the file's golden transcript, a sampled text. What the core
//! needs from outside, a place to write to and an end, is in `host.rs`. Not firmware: there is no board here.
#![no_std]
#![no_main]

mod host;

use core::fmt::Write;
use host::Host;
use whit::format::Crc32;
use whit::math::fingerprint;
use whit::sampler::greedy;
use whit::{Aligned, Error, Model};

static MODEL: &[u8] = whit::include_model!("../../files/tiny.whit");
const CONTEXT: usize = 32;
const ARENA_SIZE: usize = whit::arena_size(MODEL, CONTEXT);

/// What the model writes after [`PROMPT`] in [`TOKENS`] tokens; the host compares with the same file.
const TEXT: &str = include_str!("../../files/tiny.txt");
const PROMPT: &str = "the end";
const TOKENS: usize = 20;

/// Where the emulator begins. Exits with 0 if every bit is right, else with 1.
#[unsafe(no_mangle)]
extern "C" fn _start() {
    let checks = [
        ("mathematics", Ok(fingerprint::first_difference().is_none())),
        ("transcript", transcript_holds()),
        ("sampled text", text_is_the_hosts()),
    ];
    for (name, result) in &checks {
        // Nothing is left to tell the failure to.
        let _ = writeln!(Host, "{name}: {result:?}");
    }
    host::exit(i32::from(!checks.iter().all(|(_, result)| *result == Ok(true))));
}

/// Whether the transcript in the file is what its model computes here.
fn transcript_holds() -> Result<bool, Error> {
    let model = Model::parse(MODEL)?;
    let golden = model.file().golden;
    let mut arena = Aligned::<[u8; ARENA_SIZE]>::zeroed();
    let mut session = model.session(&mut arena, model.options(CONTEXT))?;
    for token in golden.prompt() {
        session.feed(&[token])?;
    }
    let mut crc = Crc32::default();
    for token in golden.output() {
        crc.update(bytemuck::cast_slice(session.logits()));
        if greedy(session.logits()) != token.0 {
            return Ok(false);
        }
        session.feed(&[token])?;
    }
    Ok(!golden.is_empty() && crc.value() == golden.logits_crc())
}

/// Whether the file's own sampling writes [`TEXT`]: random numbers, cut-offs and the tokenizer in both directions.
fn text_is_the_hosts() -> Result<bool, Error> {
    let model = Model::parse(MODEL)?;
    let mut arena = Aligned::<[u8; ARENA_SIZE]>::zeroed();
    let mut session = model.session(&mut arena, model.options(CONTEXT))?;
    let mut text = session.generate(PROMPT, &model.sampling()?)?.max_tokens(TOKENS);
    let rest = text.try_fold(TEXT, |rest, piece| rest.strip_prefix(piece.as_str()));
    Ok(rest == Some(""))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Host, "{info}");
    host::exit(101);
    loop {}
}
