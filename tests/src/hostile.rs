//! What someone does who writes a file to harm its reader: false checksums made right again, and everything that a
//! program would do with the file.
//!
//! Shared by the corruption suite and the fuzz targets; neither asks for right results, only that nothing panics.

mod importing;
mod integer;
mod mend;
mod tokenize;

pub use importing::{Folder, export_all};
pub use integer::{exercise_integer, import_tflite};
pub use mend::{mend, mend_tokenizer};
pub use tokenize::{tokenize, tokenize_valid};

use whit::format::Crc32;
use whit::sampler::{Sampler, Sampling};
use whit::{AlignedBytes, CacheKind, Error, Model, Session, SessionOptions, Token};

/// Offset of the tables' checksum; the payload's follows.
const TABLES_CRC: usize = 32;
/// Offset of the length of header and tables.
const TABLES_LEN: usize = 24;

/// Arenas beyond this are not tried: a run is meant to be short.
const MOST_ARENA: usize = 1 << 22;

/// Writes the checksum of header and tables as they are now. Without effect where the tables do not fit the bytes.
pub fn reseal_tables(bytes: &mut [u8]) {
    let Some(tables) = tables_end(bytes).and_then(|end| bytes.get_mut(..end)) else { return };
    tables[TABLES_CRC..][..4].fill(0);
    let crc = Crc32::of(tables);
    tables[TABLES_CRC..][..4].copy_from_slice(&crc.to_le_bytes());
}

/// Writes the checksums of the payload and then of the tables.
pub fn reseal(bytes: &mut [u8]) {
    let Some(payload) = tables_end(bytes).and_then(|end| bytes.get(end..)) else { return };
    let crc = Crc32::of(payload);
    bytes[TABLES_CRC + 4..][..4].copy_from_slice(&crc.to_le_bytes());
    reseal_tables(bytes);
}

fn tables_end(bytes: &[u8]) -> Option<usize> {
    let len = bytes.get(TABLES_LEN..)?.first_chunk()?;
    let end = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    (TABLES_CRC + 8..=bytes.len()).contains(&end).then_some(end)
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It was refused.
    Refused(Error),
    /// It was run.
    Ran,
    /// A session on it takes too much memory for a test.
    TooLarge,
}

/// Does with a file what a program would: looks at all parts, reads text and tokens, generates, saves and restores.
///
/// # Panics
/// If a promise is broken that does not depend on the file's contents.
pub fn exercise(bytes: &[u8], choose: impl Fn(Model<'_>) -> (Model<'_>, CacheKind)) -> Outcome {
    let model = match Model::parse(bytes) {
        Ok(model) => model,
        Err(error) => return Outcome::Refused(error),
    };
    look(&model);
    let (model, cache) = choose(model);
    let context = model.architecture().context().map_or(40, |context| context.min(40)) as usize;
    let options = SessionOptions { batch: 5, logits: 3, cache, ..model.options(context) };
    let needed = model.arena_size(&options).expect("the options are in range");
    if needed > MOST_ARENA {
        return Outcome::TooLarge;
    }
    let mut arena = AlignedBytes::zeroed(needed);
    arena.fill(0xa5);
    let mut session = model.session(&mut arena, options).expect("the arena has the size asked for");
    run(&mut session);
    Outcome::Ran
}

/// Everything that needs no session. Errors are answers.
fn look(model: &Model<'_>) {
    let file = model.file();
    let _ = (file.verify_payload(), file.fingerprint(), model.sampling(), model.stops());
    assert_eq!(file.tensors.entries().count(), file.tensors.slots().total());
    file.metadata.iter().for_each(drop);
    let _ = file.metadata.find("name");
    let vocabulary = model.architecture().vocabulary();
    assert!(file.golden.prompt().chain(file.golden.output()).all(|token| token.0 < vocabulary));
    if let Some(tokenizer) = model.tokenizer() {
        let _ = tokenizer.verify();
    }
}

fn run(session: &mut Session<'_, '_>) {
    let (vocabulary, outputs) =
        (session.model().architecture().vocabulary(), session.model().architecture().outputs());
    let mut seen = 0;
    let fed = if let Some(last) = vocabulary.checked_sub(1) {
        let ids: Vec<Token> = [0, 1, vocabulary / 2, last].map(|id| Token(id % vocabulary)).into();
        let ids = &ids[..ids.len().min(session.left())];
        session.feed_each(ids, |_, logits| seen += logits.len()).expect("the tokens fit and exist");
        ids.len()
    } else {
        let width =
            session.model().architecture().recurrent().map_or(1, |recurrent| recurrent.input as usize);
        let frames = vec![0.5; 3 * width];
        session.feed_frames(&frames, |_, out| seen += out.len()).expect("they are whole");
        3
    };
    assert_eq!(seen, fed * outputs);
    save_and_load(session);
    session.reset();
    let _ = session.feed_text("the end of a €😀 \u{301}\n'll 123");
    save_and_load(session);
    let settings = [
        session.model().sampling().unwrap_or_default(),
        Sampling::greedy(),
        Sampling { top_k: 3, min_p: 0.05, repetition_penalty: 1.3, ..Sampling::creative() },
    ];
    for (i, sampling) in settings.iter().enumerate() {
        let prompt = if i == 0 { "" } else { "an" };
        if i > 0 {
            session.reset();
        }
        // A file may have as many stop strings as there can be; then no more can be added.
        let generation = session.generate(prompt, sampling).map(|text| text.max_tokens(3 + 60 * i));
        match generation.and_then(|text| if i == 2 { text.stop_at("e t") } else { Ok(text) }) {
            Ok(pieces) => pieces.for_each(drop),
            Err(_) => continue,
        }
    }
    let _ = session.truncate(session.position() / 2);
    if let Ok(mut sampler) = Sampler::new(Sampling::default()) {
        let token = session.sample(&mut sampler);
        assert!((token.0 as usize) < outputs);
    }
}

/// A state that was saved is one that can be restored.
fn save_and_load(session: &mut Session<'_, '_>) {
    let mut saved = vec![0; session.saved_len()];
    assert_eq!(session.save(&mut saved), Ok(saved.len()));
    let position = session.position();
    session.reset();
    assert_eq!(session.load(&saved), Ok(()));
    assert_eq!(session.position(), position);
}
