//! Making and replaying golden transcripts: the proof that a core computes what the file says.

use crate::arena::Arena;
use crate::export::{ExportError, GoldenShape, Pending};
use crate::map::Map;
use whit::format::{Architecture, Crc32, Golden};
use whit::parallel::Workers;
use whit::sampler::greedy;
use whit::{Error, Model, Session, SessionOptions, Token};

/// Tokens of a recorded transcript, unless the context is shorter.
const OUTPUT: u32 = 24;

/// The lengths of the transcript that [`record`] makes of a model; `None` if its context has room for none, or it is no
/// language model.
pub fn shape(architecture: &Architecture) -> Option<GoldenShape> {
    let output = architecture.context().map_or(OUTPUT, |context| OUTPUT.min(context - 1));
    (output > 0 && architecture.is_language_model()).then_some(GoldenShape { prompt: 1, output })
}

/// Runs the model in `pending`, which was exported with room for [`shape`], and puts the transcript into it.
///
/// # Errors
/// If the file cannot be mapped or written, or there is no memory for a session.
pub fn record(pending: &mut Pending, workers: &dyn Workers) -> Result<(), ExportError> {
    let io = |source| ExportError::Io { file: pending.path().display().to_string(), source };
    let map = Map::open(pending.path()).map_err(io)?;
    let model = Model::parse(&map)?;
    let Some(shape) = shape(model.architecture()) else { return Ok(()) };
    let options =
        SessionOptions { workers: workers.count(), ..model.options((shape.prompt + shape.output) as usize) };
    let mut arena =
        Arena::new(model.arena_size(&options)?).map_err(|error| io(std::io::Error::other(error)))?;
    let mut session = model.session_on(workers, arena.bytes(), options)?;
    let prompt = [prompt(&model)];
    let transcript = replay(&mut session, &prompt, shape.output as usize)?;
    let section = section(model.architecture().int8_cache(), &prompt, &transcript);
    drop(map);
    pending.set_golden(&section)
}

/// What greedy decoding made of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The tokens.
    pub output: Vec<Token>,
    /// CRC-32 of the logits after the prompt and after every output token but the last.
    pub logits_crc: u32,
}

/// The prompt of a recorded transcript: the token that begins a text, else one that ends it, else the first.
fn prompt(model: &Model<'_>) -> Token {
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
fn section(int8_cache: bool, prompt: &[Token], transcript: &Transcript) -> Vec<u8> {
    let (prompts, outputs) = (prompt.len() as u32, transcript.output.len() as u32);
    let mut bytes = Golden::header(int8_cache, prompts, outputs, transcript.logits_crc).to_vec();
    bytes.extend(prompt.iter().chain(&transcript.output).flat_map(|token| token.0.to_le_bytes()));
    bytes
}
