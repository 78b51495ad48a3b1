//! Everything that can be proved about a file: structure, checksums, tables, numbers, and its golden transcript on
//! every backend.

use crate::arena::Arena;
use crate::golden;
use crate::inspect::{cache_name, tensor_name};
use crate::integer;
use serde::Serialize;
use whit::format::{File, IntegerFile};
use whit::kernels::Backend;
use whit::tensor::{LANES, Matrix};
use whit::threads::ThreadPool;
use whit::tokenizer::Tokenizer;
use whit::{CacheKind, Model, SessionOptions, Token};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Ok,
    /// It does not.
    Failed,
    /// The file has nothing to check.
    Absent,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it went.
    pub status: Status,
    /// What was found.
    pub detail: String,
}

/// Checks the file in `bytes`, handing over every result as it is known. A file without structure has only that
/// one.
pub fn verify(bytes: &[u8], mut each: impl FnMut(Check)) {
    if IntegerFile::is_one(bytes) {
        return integer::verify::verify(bytes, each);
    }
    let file = match File::parse(bytes) {
        Ok(file) => file,
        Err(error) => return each(check("structure", Err(error.to_string()))),
    };
    let tensors = file.tensors.slots().total();
    each(check("structure", Ok(format!("{tensors} tensors; header and tables have the checksum stored"))));
    let payload = file.verify_payload().map(|()| "tokenizer and weights have the checksum stored".into());
    each(check("payload", payload.map_err(|error| error.to_string())));
    each(tokenizer(&file));
    each(sampling(&file));
    each(check("numbers", finite(&file)));
    if file.golden.is_empty() {
        let detail = "the file has no golden transcript; `whit import` records one".to_owned();
        return each(Check { name: "golden".into(), status: Status::Absent, detail });
    }
    let Ok(model) = Model::parse(bytes) else { return };
    for backend in Backend::available() {
        for threads in [1, 2] {
            let name =
                format!("golden {}, {threads} thread{}", backend.name(), if threads == 1 { "" } else { "s" });
            each(check(&name, golden_holds(model.with_backend(backend), threads)));
        }
    }
}

pub(crate) fn check(name: &str, result: Result<String, String>) -> Check {
    let (status, detail) = match result {
        Ok(detail) => (Status::Ok, detail),
        Err(detail) => (Status::Failed, detail),
    };
    Check { name: name.to_owned(), status, detail }
}

fn tokenizer(file: &File<'_>) -> Check {
    if file.tokenizer.is_empty() {
        let detail = "the file has no tokenizer; it takes token ids only".to_owned();
        return Check { name: "tokenizer".into(), status: Status::Absent, detail };
    }
    let vocabulary = file.architecture.vocabulary() as usize;
    let result = Tokenizer::parse(file.tokenizer).and_then(|tokenizer| {
        tokenizer.verify()?;
        Ok(tokenizer.vocab_size())
    });
    check(
        "tokenizer",
        match result {
            Ok(tokens) if tokens > vocabulary => {
                Err(format!("it has {tokens} tokens, the model's vocabulary only {vocabulary}"))
            }
            Ok(tokens) => Ok(format!("{tokens} tokens; every table holds its rule")),
            Err(error) => Err(error.to_string()),
        },
    )
}

fn sampling(file: &File<'_>) -> Check {
    let result = Model::parse(file.bytes()).and_then(|model| {
        model.stops()?;
        model.sampling()
    });
    check(
        "sampling",
        result.map(|_| "settings and stops are in range".into()).map_err(|error| error.to_string()),
    )
}

/// Names every tensor that holds a number that is infinite or none.
fn finite(file: &File<'_>) -> Result<String, String> {
    let bad = |(role, layer): (whit::format::Role, u16)| {
        let ok = match file.tensors.matrix(role, usize::from(layer)).filter(|_| role.is_matrix()) {
            Some(Matrix::F32(matrix)) => (0..matrix.rows()).all(|row| all_finite(matrix.row(row))),
            Some(Matrix::F16(matrix)) => (0..matrix.rows()).all(|row| halves_finite(matrix.row(row))),
            Some(Matrix::I8(matrix)) => {
                (0..matrix.rows().div_ceil(LANES)).all(|block| all_finite(matrix.block_scale(block)))
            }
            Some(Matrix::I4(matrix)) => {
                (0..matrix.rows().div_ceil(LANES)).all(|block| all_finite(matrix.block_scale(block)))
            }
            None => all_finite(file.tensors.vector(role, usize::from(layer))),
        };
        (!ok).then(|| format!("`{}`", tensor_name(role, layer)))
    };
    let bad: Vec<_> = file.tensors.slots().iter().filter_map(bad).collect();
    if bad.is_empty() {
        return Ok("all scales and floating-point weights are finite".into());
    }
    Err(format!("not finite: {}; import the checkpoint again, or mend it", bad.join(", ")))
}

fn all_finite(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

/// binary16 with all exponent bits set is infinite or no number.
fn halves_finite(halves: &[u16]) -> bool {
    const EXPONENT: u16 = 0x7c00;
    halves.iter().all(|half| half & EXPONENT != EXPONENT)
}

fn golden_holds(model: Model<'_>, threads: usize) -> Result<String, String> {
    let text = |error: whit::Error| error.to_string();
    let golden = model.file().golden;
    let prompt: Vec<Token> = golden.prompt().collect();
    let expected: Vec<Token> = golden.output().collect();
    let cache = if golden.int8_cache() { CacheKind::I8 } else { CacheKind::F32 };
    let options = SessionOptions { workers: threads, cache, ..model.options(prompt.len() + expected.len()) };
    let mut arena = Arena::new(model.arena_size(&options).map_err(text)?)?;
    let pool = ThreadPool::new(threads).map_err(|error| format!("cannot start a thread: {error}"))?;
    let mut session = model.session_on(&pool, arena.bytes(), options).map_err(text)?;
    let found = golden::replay(&mut session, &prompt, expected.len()).map_err(text)?;
    if let Some(at) = (0..expected.len()).find(|&at| expected[at] != found.output[at]) {
        return Err(format!(
            "token {at} after the prompt: expected {}, found {}; the file is damaged, or this is a bug in whit",
            expected[at].0, found.output[at].0
        ));
    }
    if found.logits_crc != golden.logits_crc() {
        return Err(format!(
            "the tokens agree, but the logits differ: checksum {:08x} expected, {:08x} found; this is a bug in whit",
            golden.logits_crc(),
            found.logits_crc
        ));
    }
    Ok(format!("{} tokens and their logits agree, {} cache", expected.len(), cache_name(cache)))
}
