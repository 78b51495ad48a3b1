//! Small models with everything that a file can hold: tokenizer, stops, metadata, and a transcript that holds.

use crate::synthetic::{Encodings, Extras, awkward, lstm, model_and, random_weights, widths};
use crate::tokenizers;
use whit::format::{Architecture, Crc32, Description, Encoding, Recurrent};
use whit::sampler::{Sampling, greedy};
use whit::{AlignedBytes, Model, Token};

/// The seed of the weights of [`tiny`].
pub const TINY_SEED: u64 = 7;

/// A model of about 3 kB: one layer, 34 characters, int8. What `files/tiny.whit` holds.
pub fn tiny() -> AlignedBytes {
    let description = Description {
        width: 12,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        head_width: 6,
        hidden: 16,
        context: 64,
        rotary_width: 6,
        attention_scale: 0.408_248_3,
        int8_cache: true,
        ..awkward()
    };
    whole(description, Encodings::all(Encoding::I8), tokenizers::characters(), TINY_SEED)
}

/// The same of one LSTM layer, int4.
pub fn tiny_recurrent() -> AlignedBytes {
    let recurrent = Recurrent { input: 10, layers: 1, hidden: widths(&[13]), ..lstm() };
    whole(recurrent, Encodings::all(Encoding::I4 { group: 16 }), tokenizers::characters(), TINY_SEED)
}

/// A model of the given shape (its vocabulary is the tokenizer's) with random weights.
pub fn whole(
    architecture: impl Into<Architecture>,
    encodings: Encodings,
    tokenizer: Vec<u8>,
    seed: u64,
) -> AlignedBytes {
    let vocabulary = tokenizers::vocabulary(&tokenizer);
    let architecture: Architecture = match architecture.into() {
        Architecture::Transformer(description) => Description { vocabulary, ..description }.into(),
        Architecture::Recurrent(recurrent) => Recurrent { vocabulary, head: vocabulary, ..recurrent }.into(),
    };
    let build =
        |extras: &Extras| model_and(architecture, encodings, extras, random_weights(architecture, seed));
    let mut extras = Extras {
        tokenizer,
        sampling: Sampling { temperature: 0.9, top_k: 20, min_p: 0.01, ..Sampling::default() },
        stop_tokens: vec![1],
        stop_strings: vec!["zzz", "€."],
        metadata: vec![("name", "tiny"), ("licence", "none: random numbers"), ("made by", "whit-tests")],
        ..Extras::default()
    };
    extras.golden = transcript(&build(&extras));
    build(&extras)
}

/// Tokens 2 and 3, and what greedy decoding makes of them.
fn transcript(bytes: &[u8]) -> (Vec<u32>, Vec<u32>, u32) {
    let prompt = vec![2, 3];
    let (output, crc) = continued(bytes, &prompt, 6);
    (prompt, output, crc)
}

/// Whether the transcript in the file is what its model computes.
pub fn transcript_holds(bytes: &[u8]) -> bool {
    let model = Model::parse(bytes).expect("a valid file");
    let golden = model.file().golden;
    let prompt: Vec<u32> = golden.prompt().map(|token| token.0).collect();
    let expected: Vec<u32> = golden.output().map(|token| token.0).collect();
    continued(bytes, &prompt, expected.len()) == (expected, golden.logits_crc())
}

/// The greedy continuation of `prompt` and the checksum of all logits on the way.
fn continued(bytes: &[u8], prompt: &[u32], tokens: usize) -> (Vec<u32>, u32) {
    let model = Model::parse(bytes).expect("a valid file");
    let options = model.options(prompt.len() + tokens);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible options"));
    let mut session = model.session(&mut arena, options).expect("the arena has the size asked for");
    let (mut output, mut crc) = (Vec::new(), Crc32::default());
    let mut next: Vec<Token> = prompt.iter().map(|&id| Token(id)).collect();
    for _ in 0..tokens {
        session.feed(&next).expect("it fits");
        crc.update(bytemuck::cast_slice(session.logits()));
        next = vec![Token(greedy(session.logits()))];
        output.push(next[0].0);
    }
    (output, crc.value())
}
