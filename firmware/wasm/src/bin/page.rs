//! What the page runs: reads a file and says how it asks to be sampled, or continues a prompt.
//!
//! Each happens in an instance of its own, which the host throws away afterwards: memory is taken and never given back.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "memory that the host asks for and fills")]

use core::arch::wasm32::{memory_grow, unreachable};
use core::fmt::Write;
use core::ptr::{null_mut, with_exposed_provenance_mut};
use core::slice;
use whit::{Error, Model, Sampling, SessionOptions};
use whit_firmware::continue_text;
use whit_wasm::{BATCH, Host};

/// Bytes of a page of WebAssembly's memory.
const PAGE: usize = 1 << 16;

/// Positions of context where a model has no limit of its own: the tokens that its repetition penalty remembers.
const CONTEXT: u32 = 1024;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Hears how a file asks to be sampled.
    safe fn sampling(temperature: f32, top_p: f32);
}

/// Adds memory for `len` bytes, which starts at a multiple of 64; null if the host has no more.
#[unsafe(no_mangle)]
extern "C" fn reserve(len: usize) -> *mut u8 {
    match memory_grow(0, len.div_ceil(PAGE)) {
        usize::MAX => null_mut(),
        pages => with_exposed_provenance_mut(pages * PAGE),
    }
}

/// Reads a file; 0, or 1 after it has written why the file cannot be run.
///
/// # Safety
/// - `file` is what `reserve(len)` returned, and not null.
#[unsafe(no_mangle)]
unsafe extern "C" fn open(file: *const u8, len: usize) -> i32 {
    // SAFETY: of that memory nobody else knows.
    let file = unsafe { slice::from_raw_parts(file, len) };
    told(parse(file).and_then(|model| {
        let Sampling { temperature, top_p, .. } = model.sampling()?;
        sampling(temperature, top_p);
        Ok(())
    }))
}

/// Writes at most `tokens` tokens after a prompt; otherwise as `open`.
///
/// # Safety
/// - As of `open`, for the file and for the prompt, which is UTF-8.
#[unsafe(no_mangle)]
unsafe extern "C" fn generate(
    file: *const u8,
    len: usize,
    prompt: *const u8,
    prompt_len: usize,
    temperature: f32,
    top_p: f32,
    seed: u64,
    tokens: usize,
) -> i32 {
    // SAFETY: of that memory nobody else knows.
    let (file, prompt) = unsafe {
        let prompt = slice::from_raw_parts(prompt, prompt_len);
        (slice::from_raw_parts(file, len), core::str::from_utf8_unchecked(prompt))
    };
    told(parse(file).and_then(|model| {
        let sampling = Sampling { temperature, top_p, seed, ..model.sampling()? };
        let context = model.architecture().context().unwrap_or(CONTEXT);
        let options = SessionOptions { batch: BATCH, ..model.options(context as usize) };
        let mut session = model.session(arena(model.arena_size(&options)?), options)?;
        continue_text(&mut Host::default(), &mut session, prompt, &sampling, tokens).map(drop)
    }))
}

/// A model whose every byte is as it was written.
fn parse(file: &[u8]) -> Result<Model<'_>, Error> {
    let model = Model::parse(file)?;
    model.file().verify_payload()?;
    Ok(model)
}

/// Memory for a session; none, which is too small, if the host has no more.
fn arena<'a>(len: usize) -> &'a mut [u8] {
    let start = reserve(len);
    if start.is_null() {
        return &mut [];
    }
    // SAFETY: it was added just now, all of it zeros, and nobody else knows of it.
    unsafe { slice::from_raw_parts_mut(start, len) }
}

fn told(result: Result<(), Error>) -> i32 {
    if let Err(error) = &result {
        let _ = write!(Host::default(), "{error}");
    }
    i32::from(result.is_err())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unreachable()
}
