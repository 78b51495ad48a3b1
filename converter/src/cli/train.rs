//! `whit train`: from a text to a checkpoint directory.

mod args;
mod display;
mod report;

use super::failure::Failure;
use super::interrupt;
use super::output::{note, print, print_json};
use crate::train::data::{Order, Shares, Windows};
use crate::train::{
    Config, Fall, Integers, Model, Outcome, Pretrained, Qat, Recipe, Run, RunError, Setup, Source, Tokenized,
};
use args::{ModelArgs, TextArgs, TrainingArgs};
use display::Display;
use report::Report;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Tokens of a row where neither the model nor the user says how many.
const BPTT: usize = 64;

/// Train a small model on text, to a checkpoint directory for `whit import` and other tools
///
/// The directory gets model.safetensors (the model that was best on the validation text), config.json, tokenizer.json and
/// metrics.jsonl (for `whit plot`); its folder training holds the last step, for --resume. The same text, options and seed
/// give the same bits, with any number of threads and any number of resumptions.
///
/// JSON keys: directory, parameters, vocabulary, training_tokens, validation_tokens, test_tokens, steps, end (finished,
/// no_gain, stopped), best and test (step, loss in nats per token, bits_per_byte), seconds, peak_rss_bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  whit train poems.txt -o poems            a transformer of characters, 250 000 parameters
  whit train poems.txt -o poems --resume   go on after an interruption
  whit train poems.txt -o pocket --arch lstm --preset 50k --qat int4
  whit train stories.txt -o stories --tokenizer bpe:1024 --split '<|endoftext|>' --epochs 3
  whit train mine.txt -o mine --init stories --learning-rate 3e-4 --steps 500")]
pub(super) struct Args {
    /// The text to learn from; of several files, one after the other
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<PathBuf>,
    /// The directory to write, which must be new or empty unless --resume is given
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Go on with the run in the directory, with the same text and options; begin it if there is none
    #[arg(long)]
    resume: bool,
    /// Begin with the model in this directory, tokenizer included: one that was trained here, or a Llama or GPT-2 checkpoint
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tokenizer", "arch", "style", "preset", "layers", "width", "embedding", "heads", "kv_heads", "hidden"])]
    init: Option<PathBuf>,
    #[command(flatten)]
    text: TextArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    training: TrainingArgs,
    /// Steps between two saves, of which the best validations are some [default: as --eval-every]
    #[arg(long, value_name = "N", help_heading = "Run", value_parser = clap::value_parser!(u64).range(1..))]
    save_every: Option<u64>,
    /// Threads that share the work; by default one per CPU
    #[arg(long, value_name = "N", help_heading = "Run", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Report as JSON
    #[arg(long, help_heading = "Run")]
    json: bool,
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let guard = interrupt::Guard::new()?;
    let tokenized = tokenize(&args)?;
    let setup = setup(&args, tokenized)?;
    let mut report = Report::new(&args.output, &setup);
    report.set(&train(&args, setup, &report)?);
    drop(guard);
    if args.json {
        print_json(&report)?;
    } else {
        print(report.text())?;
    }
    report.ending()
}

/// Trains to the end, or until an interrupt.
fn train(args: &Args, setup: Setup, report: &Report) -> Result<Outcome, Failure> {
    let (steps, tokens) = (setup.recipe.steps, setup.windows.tokens());
    let save_every = args.save_every.unwrap_or(setup.recipe.eval_every);
    let cpus = available_parallelism().map_or(1, usize::from).min(256);
    let threads = args.threads.map_or(cpus, usize::from);
    let mut run = Run::open(&args.output, setup, threads, args.resume)?;
    if !args.json {
        note(report.sizes());
    }
    let mut display = Display::new(run.step(), steps, tokens);
    let outcome = run.run(save_every, |event| {
        display.show(event);
        if interrupt::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    Ok(outcome?)
}

/// The files' texts, with `separator` between two.
fn read(paths: &[PathBuf], separator: Option<&str>) -> Result<Vec<u8>, Failure> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            Failure::about(path)(&format_args!("cannot be read: {error}; give a text to train on"))
        })
    };
    let texts = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join(separator.unwrap_or_default().as_bytes()))
}

fn tokenize(args: &Args) -> Result<Tokenized, Failure> {
    let TextArgs { tokenizer, split, valid, valid_share, test_share } = &args.text;
    if valid_share + test_share >= 1.0 {
        let message =
            "--valid-share and --test-share: expected less than 1 together, so that some text trains";
        return Err(Failure::Usage(message.into()));
    }
    let separator = split.as_deref();
    let text = read(&args.texts, separator)?;
    let validation = if valid.is_empty() { None } else { Some(read(valid, separator)?) };
    let source = Source {
        text: &text,
        validation: validation.as_deref(),
        separator,
        shares: Shares { validation: *valid_share, test: *test_share },
    };
    let tokenized = match &args.init {
        Some(directory) => source.tokenize_as(directory),
        None => source.tokenize(*tokenizer),
    };
    tokenized.map_err(|error| match (&error, args.texts.as_slice()) {
        (RunError::Asked(problem), [path]) => Failure::about(path)(problem),
        _ => error.into(),
    })
}

/// The model to begin with, and the CRC of its weights if it is not new.
fn model(args: &Args, tokenized: &Tokenized) -> Result<(Model, Option<u32>), Failure> {
    if let Some(directory) = &args.init {
        let (model, crc) = Pretrained::open(directory)?.model()?;
        let (most, found) = (model.config().vocabulary(), tokenized.tokenizer.vocabulary() as usize);
        if found > most {
            let message = format_args!("expected a tokenizer of at most {most} tokens, found {found}");
            return Err(Failure::about(directory)(&message));
        }
        return Ok((model, Some(crc)));
    }
    let shape = args.model.shape().map_err(Failure::Usage)?;
    let config = shape.config(tokenized.tokenizer.vocabulary());
    Ok((Model::new(&config, args.training.seed).map_err(RunError::from)?, None))
}

/// Rows and columns of the batches.
fn windows(args: &Args, config: &Config, tokens: usize) -> Result<Windows, Failure> {
    let asked = args.model.context.map(|context| context as usize);
    let (order, rows, cols) = match config.context() {
        Some(most) if asked.is_some_and(|asked| asked > most) => {
            return Err(Failure::Usage(format!("--context: expected at most the model's {most} positions")));
        }
        Some(most) => (Order::Random, 16, asked.unwrap_or(most)),
        None => (Order::Streams, 32, asked.unwrap_or(BPTT)),
    };
    let rows = args.training.batch.map_or(rows, usize::from);
    let windows = Windows { order, rows, cols };
    windows.fitted(tokens).map_err(|problem| about_texts(args, &problem))
}

fn about_texts(args: &Args, problem: &str) -> Failure {
    let path = args.texts.first().map_or(Path::new(""), PathBuf::as_path);
    Failure::about(path)(&problem)
}

fn setup(args: &Args, tokenized: Tokenized) -> Result<Setup, Failure> {
    let (model, init) = model(args, &tokenized)?;
    let windows = windows(args, model.config(), tokenized.corpus.training.ids.len())?;
    let config = tokenized.config_json(model.config()).map_err(RunError::from)?;
    let files = tokenized.files(&config);
    let text = tokenized.checksum();
    let training = &args.training;
    let steps = training.steps(windows.round(tokenized.corpus.training.ids.len()));
    let learning_rate = training.learning_rate(model.config());
    let recipe = Recipe {
        model: config,
        init_crc32: init,
        tokenizer: if init.is_some() { "given".to_owned() } else { args.text.tokenizer.to_string() },
        separator: args.text.split.clone(),
        shares: Shares { validation: args.text.valid_share, test: args.text.test_share },
        text_crc32: text,
        seed: training.seed,
        rows: windows.rows,
        cols: windows.cols,
        steps,
        learning_rate,
        warmup: training.warmup.unwrap_or((steps / 20).min(200)),
        decay: Fall::from(training.decay),
        weight_decay: training.weight_decay,
        clip: training.clip,
        dropout: training.dropout,
        label_smoothing: training.label_smoothing,
        qat: training.qat.map(|weights| Qat {
            weights: Integers::from(weights),
            from: (training.qat_from * steps as f64) as u64,
        }),
        eval_every: training.eval_every.unwrap_or(steps.div_ceil(30)),
        patience: training.patience,
    };
    Ok(Setup { recipe, model, windows, corpus: tokenized.corpus, files })
}
