//! The models that programs include, found when this crate is built.

use crate::program::CONTEXT;
use whit::{Proven, arena_size_in_batches};

/// A model that is part of the program.
#[derive(Clone, Copy, Debug)]
pub struct Included {
    /// Its folder.
    pub name: &'static str,
    /// Its file.
    pub bytes: &'static [u8],
    /// What it must write.
    pub golden: Golden,
}

/// What a model's card says that it writes greedily on every machine.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    /// What it continues.
    pub prompt: &'static str,
    /// How long it continues.
    pub tokens: usize,
    /// The continuation.
    pub text: &'static str,
}

impl Included {
    /// Positions that its golden text needs: of the prompt at most one for each byte, and one that begins the text.
    pub const fn context(&self) -> usize {
        self.golden.prompt.len() + 1 + self.golden.tokens
    }
}

include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// [`MODEL`], proven by the compiler and with a session laid out, that takes `batch` tokens at a time: what does that elsewhere is
/// not part of a program that has no other model.
pub const fn proven(batch: usize) -> Proven {
    Proven::new(MODEL, CONTEXT, batch)
}

/// A transformer of random numbers, for the code that no model in [`MODELS`] may need. It has a transcript, but no card.
pub const TINY: &[u8] = whit::include_model!("../../../tests/files/tiny.whit");

/// Positions for which [`TINY`] is run: all that its transcript needs.
pub(crate) const TINY_CONTEXT: usize = 16;

/// Bytes of arena in which the self-test can run, some tokens at a time.
pub const fn self_test_arena(batch: usize) -> usize {
    let mut most = arena_size_in_batches(TINY, TINY_CONTEXT, batch);
    let mut i = 0;
    while i < MODELS.len() {
        let size = arena_size_in_batches(MODELS[i].bytes, MODELS[i].context(), batch);
        if size > most {
            most = size;
        }
        i += 1;
    }
    most
}
