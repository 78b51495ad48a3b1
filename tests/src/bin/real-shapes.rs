//! `real-shapes`: random checkpoints in the real shapes of GPT-2 small (f32, transposed, one file) and SmolLM2-135M
//! (bf16, two files) imported at int8 and int4, verified, and run on every backend. That the numbers are right, f32
//! against an f64 reference, is for `huggingface_logits.rs`.
//!
//! Each import is a process of its own (`real-shapes import DIRECTORY FILE ENCODING`), so that its peak memory can be
//! read: `VmHWM` of `/proc/self/status`, the most memory that ever was resident, mapped pages of the checkpoint and
//! the program included. Time is the processor's, from `/proc/self/schedstat`.

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use whit::format::Encoding;
use whit::kernels::Backend;
use whit::parallel::{Inline, Workers};
use whit::threads::ThreadPool;
use whit::{AlignedBytes, Model, Sampling, SessionOptions, Token};
use whit_converter::export::export;
use whit_tests::checkpoints::{Dtype, Options, Shape, write};
use whit_tests::imported::{encoded, hugging_face, logits};

const ENCODINGS: [(&str, Encoding); 2] = [("int8", Encoding::I8), ("int4", Encoding::I4 { group: 32 })];

/// What a process has when nothing is imported yet, the program's own pages included, stays well below this.
const PROGRAM_BYTES: u64 = 8 << 20;

type Check = Result<String, String>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => run(),
        ["import", directory, file, encoding] => import(Path::new(directory), Path::new(file), encoding),
        _ => {
            eprintln!("usage: real-shapes");
            ExitCode::from(2)
        }
    }
}

fn run() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for (name, dtype, shards) in [("gpt2-small", Dtype::F32, 1), ("smollm2-135m", Dtype::Bf16, 2)] {
        let shape = Shape::named(name).expect("a known name");
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoint = folder.path().join(name);
        write(&checkpoint, &shape, &Options { dtype, shards, ..Options::default() }).expect("written");
        for (encoding, _) in ENCODINGS {
            let out = folder.path().join(format!("{encoding}.whit"));
            let imported = Imported { shape: &shape, dtype, checkpoint: &checkpoint, encoding, out };
            for check in imported.checks() {
                *if check.is_ok() { &mut passed } else { &mut failed } += 1;
                let mark = if check.is_ok() { "ok    " } else { "FAILED" };
                let (Ok(message) | Err(message)) = check;
                println!("{mark} {name}, {encoding}: {message}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// The child: one import, then its peak memory in bytes and its processor time in nanoseconds on stdout.
fn import(directory: &Path, file: &Path, encoding: &str) -> ExitCode {
    let encoding = ENCODINGS.iter().find(|(name, _)| *name == encoding).expect("a known encoding").1;
    let checkpoint = hugging_face(directory);
    export(&checkpoint, &encoded(encoding, None), file, |_| ControlFlow::Continue(()))
        .expect("exported")
        .commit()
        .expect("named");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let peak = peak.and_then(|kilobytes| kilobytes.trim().parse().ok()).map_or(0, |k: u64| k * 1024);
    let spent = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    println!("{peak} {}", spent.split(' ').next().unwrap_or("0"));
    ExitCode::SUCCESS
}

/// One import and what must be true of it.
struct Imported<'a> {
    shape: &'a Shape,
    dtype: Dtype,
    checkpoint: &'a Path,
    encoding: &'a str,
    out: PathBuf,
}

impl Imported<'_> {
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.import()];
        if checks[0].is_err() {
            return checks;
        }
        let mut bytes = AlignedBytes::zeroed(fs::metadata(&self.out).expect("it was written").len() as usize);
        fs::File::open(&self.out).expect("readable").read_exact(&mut bytes).expect("read");
        checks.push(verify(&bytes));
        match Model::parse(&bytes) {
            Err(error) => checks.push(Err(error.to_string())),
            Ok(model) => checks.extend([same_bits(&model), generates(&model)]),
        }
        checks
    }

    /// Imports in another process and holds its memory to 1.5 × the largest tensor and the output's tables.
    fn import(&self) -> Check {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program);
        child.arg("import").arg(self.checkpoint).arg(&self.out).arg(self.encoding);
        let output = child.output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("the import failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = printed.split_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let (peak, nanoseconds) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let specs = self.shape.specs(true);
        let numbers = specs.iter().map(|spec| spec.shape[0] * spec.shape[1]).max().expect("tensors");
        let largest = (numbers * if self.dtype == Dtype::F32 { 4 } else { 2 }) as u64;
        let bound = largest * 3 / 2 + self.tables() + PROGRAM_BYTES;
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let message = format!(
            "imported in {:.2} s of processor time to {}; at most {} resident, the largest tensor is {}, the bound {}",
            nanoseconds as f64 / 1e9,
            megabytes(fs::metadata(&self.out).map_or(0, |file| file.len())),
            megabytes(peak),
            megabytes(largest),
            megabytes(bound),
        );
        match peak {
            0 => Ok(format!("SKIP peak memory: no /proc/self/status; {message}")),
            peak if peak > bound => Err(message),
            _ => Ok(message),
        }
    }

    /// Bytes of the output before its tensor data.
    fn tables(&self) -> u64 {
        let bytes = fs::read(&self.out).map(|bytes| AlignedBytes::from(&bytes[..]));
        let Ok(bytes) = bytes else { return 0 };
        let tensors = |model: Model<'_>| model.file().tensors.entries().map(|entry| entry.len()).sum();
        let tensors: u64 = Model::parse(&bytes).map_or(bytes.len() as u64, tensors);
        bytes.len() as u64 - tensors
    }
}

/// Structure, checksums and the tokenizer's tables.
fn verify(bytes: &[u8]) -> Check {
    let model = Model::parse(bytes).map_err(|error| error.to_string())?;
    model.file().verify_payload().map_err(|error| error.to_string())?;
    let tokenizer = model.tokenizer().ok_or("there is no tokenizer")?;
    tokenizer.verify().map_err(|error| error.to_string())?;
    Ok(format!(
        "verified, {} tensors, {} tokens",
        model.file().tensors.entries().count(),
        tokenizer.vocab_size()
    ))
}

fn options(model: &Model<'_>, workers: &dyn Workers) -> SessionOptions {
    SessionOptions { workers: workers.count(), batch: 4, logits: 2, ..model.options(16) }
}

/// Tokens from all over the vocabulary.
fn tokens(model: &Model<'_>, count: u32) -> Vec<Token> {
    let vocabulary = model.architecture().vocabulary();
    (0..count).map(|i| Token((vocabulary - 1) / (count - 1) * i)).collect()
}

fn same_bits(model: &Model<'_>) -> Check {
    let pool = ThreadPool::new(2).map_err(|error| error.to_string())?;
    let tokens = tokens(model, 6);
    let bits = |model: &Model<'_>, workers: &dyn Workers| -> Vec<u32> {
        let logits = logits(model, workers, options(model, workers), &tokens);
        logits.iter().map(|logit| logit.to_bits()).collect()
    };
    let expected = bits(model, &pool);
    if expected.iter().any(|&bits| !f32::from_bits(bits).is_finite()) {
        return Err("a logit is not finite".to_owned());
    }
    let different: Vec<_> = Backend::available()
        .filter(|&backend| bits(&model.with_backend(backend), &Inline) != expected)
        .map(Backend::name)
        .collect();
    if different.is_empty() {
        let names: Vec<_> = Backend::available().map(Backend::name).collect();
        Ok(format!("the same logits of 6 tokens on {} and with 2 workers", names.join(", ")))
    } else {
        Err(format!("other logits on {}", different.join(", ")))
    }
}

fn generates(model: &Model<'_>) -> Check {
    let options = options(model, &Inline);
    let run = || -> Result<(usize, usize), whit::Error> {
        let mut arena = AlignedBytes::zeroed(model.arena_size(&options)?);
        let mut session = model.session(&mut arena, options)?;
        let mut generation = session.generate("The sea", &Sampling::greedy())?.max_tokens(4);
        generation.by_ref().for_each(drop);
        Ok((generation.tokens(), arena.len()))
    };
    match run() {
        Ok((tokens @ 1..=4, arena)) => Ok(format!("{tokens} tokens generated in an arena of {arena} bytes")),
        Ok((tokens, _)) => Err(format!("{tokens} tokens generated")),
        Err(error) => Err(error.to_string()),
    }
}
