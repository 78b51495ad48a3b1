//! A model compiled into a program, as firmware does: its bytes and its arena are statics, sized by the compiler.
//!
//! `files/tiny.whit` is random numbers: `cargo run -p whit-tests --bin tiny-model tests/files/tiny.whit` makes it.
//! `files/tiny.txt` is what it writes; the emulated cores of `bare` must write the same.

use std::sync::Mutex;
use whit::{Aligned, Error, Finish, Model};
use whit_tests::whole;

static MODEL: &[u8] = whit::include_model!("../files/tiny.whit");
const CONTEXT: usize = 32;
const ARENA_SIZE: usize = whit::arena_size(MODEL, CONTEXT);
const TEXT: &str = include_str!("../files/tiny.txt");
static ARENA: Mutex<Aligned<[u8; ARENA_SIZE]>> = Mutex::new(Aligned::zeroed());

#[test]
fn the_compiler_knows_the_size_of_the_arena() {
    let model = Model::parse(MODEL).expect("our own file");
    assert_eq!(model.arena_size(&model.options(CONTEXT)), Ok(ARENA_SIZE));
    let short = &mut ARENA.lock().expect("no test panicked")[..ARENA_SIZE - 1];
    let error = model.session(short, model.options(CONTEXT)).expect_err("a byte is missing");
    assert_eq!(error, Error::ArenaTooSmall { needed: ARENA_SIZE, found: ARENA_SIZE - 1 });
}

#[test]
fn an_included_model_writes_text_in_a_static_arena() {
    let model = Model::parse(MODEL).expect("our own file");
    let mut arena = ARENA.lock().expect("no test panicked");
    let mut session = model.session(&mut arena, model.options(CONTEXT)).expect("it was sized for this");
    let sampling = model.sampling().expect("valid settings");
    let mut text = session.generate("the end", &sampling).expect("text").max_tokens(20);
    let written: String = text.by_ref().map(|piece| piece.to_string()).collect();
    assert_eq!(written, TEXT);
    assert!(matches!(text.finish(), Some(Finish::MaxTokens | Finish::StopToken | Finish::StopString)));
}

#[test]
fn its_transcript_holds() {
    assert!(whole::transcript_holds(MODEL));
    Model::parse(MODEL).expect("our own file").file().verify_payload().expect("undamaged");
}

#[test]
fn making_it_again_gives_the_same_bytes() {
    assert!(whole::tiny()[..] == *MODEL, "run the tiny-model program and look at what changed");
}
