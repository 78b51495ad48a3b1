//! Whether models compute here what they computed where they were made, to the last bit, with every backend.

use crate::models::TINY_CONTEXT;
use crate::{Board, Golden, MODELS, TINY, stack};
use whit::format::Crc32;
use whit::kernels::Backend;
use whit::math::fingerprint;
use whit::sampler::greedy;
use whit::{Error, Model, Sampling, Session, SessionOptions};

/// Runs every model in the program by every backend, `batch` tokens at a time, and the functions of `whit::math`; says what
/// held. `arena` has [`self_test_arena`](crate::self_test_arena) bytes.
pub fn self_test<B: Board>(board: &mut B, arena: &mut [u8], batch: usize) -> bool {
    let difference = fingerprint::first_difference();
    let mut all = says(board, "mathematics", "", "every function", Ok(difference.is_none()));
    for backend in Backend::available() {
        for model in MODELS {
            let options = (model.context(), batch);
            let held = with(model.bytes, backend, |model| file_holds(model, arena, options));
            all &= says(board, model.name, backend.name(), "golden transcript", held);
            let golden = &model.golden;
            let held = with(model.bytes, backend, |model| text_holds(model, golden, arena, options));
            all &= says(board, model.name, backend.name(), "golden text", held);
        }
        let held = with(TINY, backend, |model| file_holds(model, arena, (TINY_CONTEXT, batch)));
        all &= says(board, "tiny transformer", backend.name(), "golden transcript", held);
    }
    all & says(board, "stack", "", "never reached the statics below it", Ok(stack::left() > 0))
}

/// Replays the transcript in the file of a session's model, from the beginning; says what held. For programs that have no room
/// for every model.
pub fn check<B: Board>(board: &mut B, name: &str, session: &mut Session<'_, '_>) -> bool {
    session.reset();
    let held = transcript_holds(session);
    says(board, name, session.model().backend().name(), "golden transcript", held)
}

fn says<B: Board>(board: &mut B, what: &str, backend: &str, check: &str, held: Result<bool, Error>) -> bool {
    let _ = match held {
        Ok(true) => writeln!(board, "ok      {what} {backend} {check}"),
        Ok(false) => writeln!(board, "FAILED  {what} {backend} {check}: other bits"),
        Err(error) => writeln!(board, "FAILED  {what} {backend} {check}: {error}"),
    };
    held == Ok(true)
}

/// What `run` makes of a model.
pub(crate) fn with<R>(
    bytes: &[u8],
    backend: Backend,
    run: impl FnOnce(Model<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    run(Model::parse(bytes)?.with_backend(backend))
}

/// Positions, and tokens that are taken at a time.
pub(crate) type Options = (usize, usize);

#[inline(always)]
fn session<'m, 'a>(
    model: &Model<'m>,
    arena: &'a mut [u8],
    (context, batch): Options,
) -> Result<Session<'m, 'a>, Error> {
    model.session(arena, SessionOptions { batch, ..model.options(context) })
}

// Not inlined, as below: the stack of each check is to be free for the next. Sessions stay in their results: moving them would
// take their size of it again.
/// The transcript in the model's file.
#[inline(never)]
fn file_holds(model: Model<'_>, arena: &mut [u8], options: Options) -> Result<bool, Error> {
    let mut session = session(&model, arena, options);
    transcript_holds(session.as_mut().map_err(|error| *error)?)
}

/// Every token, and the checksum of all logits on the way.
fn transcript_holds(session: &mut Session<'_, '_>) -> Result<bool, Error> {
    let golden = session.model().file().golden;
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

/// The text on the model's card: the tokenizer in both directions, a prompt read in batches, and the longest of all runs.
#[inline(never)]
fn text_holds(model: Model<'_>, golden: &Golden, arena: &mut [u8], options: Options) -> Result<bool, Error> {
    let mut session = session(&model, arena, options);
    let session = session.as_mut().map_err(|error| *error)?;
    let sampling = Sampling { temperature: 0.0, ..model.sampling()? };
    let mut text = session.generate(golden.prompt, &sampling);
    let text = text.as_mut().map_err(|error| *error)?;
    text.limit_tokens(golden.tokens);
    let rest = text.try_fold(golden.text, |rest, piece| rest.strip_prefix(piece.as_str()));
    Ok(rest == Some(""))
}
