//! Whole models in the shapes that `peers/` measures other engines on: prefill, decode, load and memory, beside how
//! fast this machine reads those weights and how fast its multipliers are on registers alone.
//!
//! `cargo bench -p whit-benches --bench models [-- [SHAPE…] [FORMAT…] [--threads N] [--repeats N] [--models DIR]
//! [--json]]`: all shapes and formats, or those named. `--models` keeps the files for the next run, `--json` prints
//! a line per model. The measuring is the converter's, as `whit bench` does it. Weights are random, from a fixed
//! seed: speed does not depend on them.
//!
//! GMAC/s and GB/s are per CPU second of each thread, so that a busy machine does not hide what the code reaches.
//! Models are made and measured in processes of their own, so that the peak memory is the model's.

use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use whit::format::Encoding;
use whit_benches::clock::Clock;
use whit_benches::mode::Mode;
use whit_benches::peak::integer_peaks;
use whit_converter::bench::{Options, bench};
use whit_converter::export::{ExportOptions, export};
use whit_tests::checkpoints::{self, Dtype, Kind, Shape};
use whit_tests::imported::{encoded, hugging_face};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// As `peers/shapes.py` names them.
const SHAPES: [&str; 5] = ["stories260K", "stories15M", "stories110M", "SmolLM2-135M", "TinyLlama-1.1B"];

const INT4: Encoding = Encoding::I4 { group: 32 };

/// Name, weights, embedding (which is the output head too); the peers' Q8_0, Q4_0 and pure Q4_0.
const FORMATS: [(&str, Encoding, Encoding); 3] =
    [("int8", Encoding::I8, Encoding::I8), ("int4", INT4, Encoding::I8), ("int4-all", INT4, INT4)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [make, shape, folder] if make == "--make" => self::make(shape, Path::new(folder)),
        [measure, file, threads, repeats] if measure == "--measure" => self::measure(file, threads, repeats),
        _ => Request::parse(&arguments).and_then(|request| request.run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("models: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the user asks for.
struct Request {
    /// Shapes and formats.
    words: Vec<String>,
    threads: usize,
    repeats: usize,
    models: Option<PathBuf>,
    json: bool,
}

impl Request {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self { words: vec![], threads: 1, repeats: 5, models: None, json: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--threads" => request.threads = value()?.parse()?,
                "--repeats" => request.repeats = value()?.parse()?,
                "--models" => request.models = Some(value()?.into()),
                "--json" => request.json = true,
                // `--bench`, and what else cargo hands to every benchmark and test.
                flag if flag.starts_with("--") => {}
                word => request.words.push(word.to_owned()),
            }
        }
        if Mode::of(arguments) == Mode::Try {
            // What a test runner was told to filter is not for this program.
            request.words = vec![SHAPES[0].to_owned()];
            request.repeats = 1;
        }
        let known = |word: &String| request.shapes().chain(request.formats()).any(|name| name == word);
        match request.words.iter().find(|word| !known(word)) {
            Some(word) => Err(format!("no shape or format is called {word}; shapes: {SHAPES:?}").into()),
            None => Ok(request),
        }
    }

    /// The shapes that were named; all if none was.
    fn shapes(&self) -> impl Iterator<Item = &'static str> {
        self.named(SHAPES)
    }

    /// The formats that were named; all if none was.
    fn formats(&self) -> impl Iterator<Item = &'static str> {
        self.named(FORMATS.map(|(format, ..)| format))
    }

    fn named<const COUNT: usize>(&self, names: [&'static str; COUNT]) -> impl Iterator<Item = &'static str> {
        let is_named = |name: &&str| self.words.iter().any(|word| word == name);
        let any = names.iter().any(is_named);
        names.into_iter().filter(move |name| !any || is_named(name))
    }

    fn run(&self) -> Outcome {
        let folder = tempfile::tempdir()?;
        let models = self.models.as_deref().unwrap_or(folder.path());
        fs::create_dir_all(models)?;
        let peak = integer_peaks(&mut Clock::new()).into_iter().map(|(_, operations)| operations / 2.0);
        let peak = peak.reduce(f64::max).map(|peak| peak * self.threads as f64);
        if !self.json {
            print_head(peak);
        }
        for name in self.shapes() {
            for format in self.formats() {
                let record = self.record(name, format, models, peak)?;
                if self.json { writeln!(io::stdout(), "{record}")? } else { print_row(&record) }
            }
            if self.models.is_none() {
                // At most one shape's files at a time.
                FORMATS.iter().for_each(|(format, ..)| drop(fs::remove_file(file(models, name, format))));
            }
        }
        Ok(())
    }

    /// The converter's report on one model, and what compares it with the machine.
    fn record(&self, name: &str, format: &str, models: &Path, peak: Option<f64>) -> Outcome<Value> {
        let file = file(models, name, format);
        if !file.exists() {
            child(["--make", name, &models.to_string_lossy()])?;
        }
        let [threads, repeats] = [self.threads, self.repeats].map(|number| number.to_string());
        let report = child(["--measure", &file.to_string_lossy(), &threads, &repeats])?;
        let mut record: Value = serde_json::from_slice(&report)?;
        let macs = macs_per_token(&shape(name)?);
        // Per CPU second of one thread, like the peak; wall time where the system tells no CPU time.
        let speed = |phase: &str| {
            let speed = number(&record, &format!("{phase}_tokens_per_cpu_s"));
            let speed = speed.or(number(&record, &format!("{phase}_tokens_per_s")))?;
            Some(speed * self.threads as f64 / 1e9)
        };
        let gmac_per_s = speed("prefill").map(|speed| speed * macs.prefill as f64);
        let bytes = number(&record, "weight_bytes_per_token");
        let gb_per_s = speed("decode").zip(bytes).map(|(speed, bytes)| speed * bytes);
        let keys = record.as_object_mut().ok_or("a report is an object")?;
        keys.remove("file");
        // What the medians stand on would make these lines a thousand times as long.
        keys.remove("samples");
        keys.extend([
            ("engine".into(), json!("whit")),
            ("shape".into(), json!(name)),
            ("format".into(), json!(format)),
            ("prefill_macs_per_token".into(), json!(macs.prefill)),
            ("decode_macs_per_token".into(), json!(macs.decode)),
            ("prefill_gmac_per_cpu_s".into(), json!(gmac_per_s)),
            ("decode_gb_per_cpu_s".into(), json!(gb_per_s)),
            ("integer_peak_gmac_per_s".into(), json!(peak)),
        ]);
        Ok(record)
    }
}

/// Multiplications of weights, without attention's own.
struct Macs {
    /// All layers; the output head counts once per prompt, so not here.
    prefill: usize,
    /// All layers and the output head.
    decode: usize,
}

fn macs_per_token(shape: &Shape) -> Macs {
    let specs = shape.specs(true);
    let layers = specs.iter().filter(|spec| spec.name.starts_with("layers.") && spec.kind == Kind::Weight);
    let prefill = layers.map(|spec| spec.shape[0] * spec.shape[1]).sum();
    Macs { prefill, decode: prefill + shape.vocabulary * shape.width }
}

fn shape(name: &str) -> Outcome<Shape> {
    let shape = Shape::named(&name.to_lowercase()).ok_or_else(|| format!("no shape is called {name}"))?;
    // stories15M has 256 positions; here it gets a prompt of 512, as the peers do.
    Ok(Shape { context: shape.context.max(512), ..shape })
}

fn file(models: &Path, name: &str, format: &str) -> PathBuf {
    models.join(format!("{name}-{format}.whit"))
}

/// Runs this program again; what it prints.
fn child<const COUNT: usize>(arguments: [&str; COUNT]) -> Outcome<Vec<u8>> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{arguments:?} failed").into()) }
}

/// A child: a random checkpoint, imported in every format.
fn make(name: &str, models: &Path) -> Outcome {
    let folder = tempfile::tempdir_in(models)?;
    let options = checkpoints::Options { dtype: Dtype::Bf16, ..checkpoints::Options::default() };
    checkpoints::write(folder.path(), &shape(name)?, &options)?;
    let checkpoint = hugging_face(folder.path());
    for (format, weights, embedding) in FORMATS {
        let options: ExportOptions = encoded(weights, Some(embedding));
        let out = file(models, name, format);
        export(&checkpoint, &options, &out, |_| ControlFlow::Continue(()))?.commit()?;
    }
    Ok(())
}

/// A child: the converter's report on one file, as JSON.
fn measure(file: &str, threads: &str, repeats: &str) -> Outcome {
    let options = Options { threads: threads.parse()?, repeats: repeats.parse()?, ..Options::default() };
    let report = bench(Path::new(file), &options, |_, _| ())?;
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?)
}

fn number(record: &Value, key: &str) -> Option<f64> {
    record.get(key).and_then(Value::as_f64)
}

fn print_head(peak: Option<f64>) {
    match peak {
        Some(peak) => println!("integer peak of these threads, on registers alone: {peak:.0} GMAC/s"),
        None => println!("the integer peak of this architecture is not measured"),
    }
    println!(
        "{:13}{:9}|{:>9}{:>9}{:>9} |{:>10}{:>10}{:>8}{:>8} |{:>10}{:>10}{:>8}{:>8}",
        "", "", "file", "load", "memory", "prefill", "", "", "of peak", "decode", "", "", "of read"
    );
    println!(
        "{:13}{:9}|{:>9}{:>9}{:>9} |{:>10}{:>10}{:>8}{:>8} |{:>10}{:>10}{:>8}{:>8}",
        "shape",
        "format",
        "MB",
        "ms",
        "MB",
        "tok/CPU s",
        "tok/s",
        "GMAC/s",
        "%",
        "tok/CPU s",
        "tok/s",
        "GB/s",
        "%"
    );
}

fn print_row(record: &Value) {
    // What the system does not tell prints as NaN.
    let get = |key| number(record, key).unwrap_or(f64::NAN);
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    println!(
        "{:13}{:9}|{:>9.2}{:>9.3}{:>9.1} |{:>10.1}{:>10.1}{:>8.1}{:>8.0} |{:>10.1}{:>10.1}{:>8.2}{:>8.0}",
        text("shape"),
        text("format"),
        get("file_bytes") / 1e6,
        get("load_ms"),
        get("peak_rss_bytes") / 1e6,
        get("prefill_tokens_per_cpu_s"),
        get("prefill_tokens_per_s"),
        get("prefill_gmac_per_cpu_s"),
        100.0 * get("prefill_gmac_per_cpu_s") / get("integer_peak_gmac_per_s"),
        get("decode_tokens_per_cpu_s"),
        get("decode_tokens_per_s"),
        get("decode_gb_per_cpu_s"),
        100.0 * get("bandwidth_share"),
    );
}
