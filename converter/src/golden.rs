//! Making and replaying golden transcripts: the proof that a core computes what the file says.

use whit::format::{Crc32, Golden};
use whit::sampler::greedy;
use whit::{Error, Model, Session, Token};

/// Tokens of a recorded transcript, unless the context is shorter.
pub const OUTPUT: u32 = 24;

/// What greedy decoding made of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The tokens.
    pub output: Vec<Token>,
    /// CRC-32 of the logits after the prompt and after every output token but the last.
    pub logits_crc: u32,
}

/// The prompt of a recorded transcript: the token that begins a text, else one that ends it, else the first.
pub fn prompt(model: &Model<'_>) -> Token {
    model.tokenizer().and_then(|tokenizer| tokenizer.bos().or(tokenizer.eos())).unwrap_or(Token(0))
}

/// Continues `prompt` greedily by `tokens` tokens, at least one; stop tokens do not stop it.
///
/// # Errors
/// As [`Session::feed`].
pub fn replay(session: &mut Session<'_, '_>, prompt: &[Token], tokens: usize) -> Result<Transcript, Error> {
    session.reset();
    session.feed(prompt)?;
    let (mut crc, mut output) = (Crc32::default(), Vec::with_capacity(tokens));
    loop {
        let logits = session.logits();
        crc.update(&logits.iter().flat_map(|logit| logit.to_le_bytes()).collect::<Vec<u8>>());
        output.push(Token(greedy(logits)));
        match output.last() {
            Some(&last) if output.len() < tokens => session.feed(&[last])?,
            _ => return Ok(Transcript { output, logits_crc: crc.value() }),
        }
    }
}

/// The section that holds `transcript`.
pub fn section(int8_cache: bool, prompt: &[Token], transcript: &Transcript) -> Vec<u8> {
    let (prompts, outputs) = (prompt.len() as u32, transcript.output.len() as u32);
    let mut bytes = Golden::header(int8_cache, prompts, outputs, transcript.logits_crc).to_vec();
    bytes.extend(prompt.iter().chain(&transcript.output).flat_map(|token| token.0.to_le_bytes()));
    bytes
}
