//! `whit run`: text from a model, as it is made.

mod report;

use super::compute::{BackendArg, Cache, ContextArg, ThreadsArg, session_options};
use super::conversion::{Weights, WeightsArgs, convert};
use super::failure::Failure;
use super::interrupt;
use super::model_file::ModelFile;
use super::output::{note, print, print_json};
use crate::arena::Arena;
use crate::import;
use crate::inspect::{cache_name, weight_bytes_per_token};
use crate::usage::peak_rss_bytes;
use report::{Report, Stats, finish_name, stats_text};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;
use whit::parallel::Workers;
use whit::sampler::{Sampler, Sampling, SamplingError};
use whit::tokenizer::{EncodeOptions, Tokenizer, encode_bound};
use whit::{Error, Finish, Model, Session, Token};

/// Generate text from a model, printed as it is made
///
/// Where an option is not given, the file's own default holds; `whit inspect` shows it. The same file, prompt and seed
/// give the same text on every machine.
///
/// JSON keys: file, prompt, text (what follows the prompt), prompt_tokens, generated_tokens, finish (stop_token,
/// stop_string, max_tokens or context_full), and stats: backend, threads, cache, context, load_ms,
/// prefill_tokens_per_s, decode_tokens_per_s, weight_bytes_per_token, arena_bytes, peak_rss_bytes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A .whit file, or a checkpoint, which is then imported first, to a temporary file and as f32 unless told otherwise.
    /// Left out, the model in the program writes; a lone argument that is no file is the text for it to continue
    file: Option<PathBuf>,
    /// The text to continue; `-` reads it from stdin, as it is; without it a text begins
    prompt: Option<String>,
    /// Divides the logits; 0 always takes the likeliest token
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Choose among the best K tokens only; 0 is off
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Choose among the best tokens that have this share of the probability; 1 is off
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Choose among tokens at least this fraction as probable as the best; 0 is off
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Make tokens that were seen lately less likely; 1 is off
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// Names the random numbers
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Stop after this many tokens; by default when the context is full, or after as many if the model has no limit
    #[arg(long, short = 'n', value_name = "N")]
    max_tokens: Option<usize>,
    /// Stop before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    #[command(flatten)]
    context: ContextArg,
    /// Kind of key and value cache; by default the file's own
    #[arg(long, value_name = "KIND")]
    cache: Option<Cache>,
    #[command(flatten)]
    threads: ThreadsArg,
    #[command(flatten)]
    backend: BackendArg,
    /// Tell speed and memory on stderr
    #[arg(long)]
    stats: bool,
    /// Report as JSON at the end instead of printing text
    #[arg(long)]
    json: bool,
    /// The tokenizer of a checkpoint, as for `whit import`
    #[arg(long, value_name = "FILE", help_heading = "Checkpoints")]
    tokenizer: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Checkpoints")]
    weights: WeightsArgs,
}

pub(super) fn run(mut args: Args) -> Result<(), Failure> {
    if args.prompt.is_none() && args.file.as_deref().is_some_and(is_prompt) {
        args.prompt = args.file.take().and_then(|text| text.into_os_string().into_string().ok());
    }
    let prompt = prompt(args.prompt.as_deref())?;
    let start = Instant::now();
    let checkpoint = args.file.as_deref().filter(|path| is_checkpoint(path));
    let (file, start) = if let Some(checkpoint) = checkpoint {
        (import(checkpoint, &args)?, Instant::now())
    } else if args.weights.any() || args.tokenizer.is_some() {
        let message =
            "--weights, --group, --embedding and --tokenizer are for checkpoints, not for a .whit file";
        return Err(Failure::Usage(message.into()));
    } else {
        (args.file.as_deref().map_or_else(|| Ok(ModelFile::built_in()), ModelFile::open)?, start)
    };
    let model = args.backend.apply(file.model()?)?;
    let fail = |error: Error| file.fail(&error);
    let sampling = sampling(&args, &model, &file)?;
    let pool = args.threads.pool(&model)?;
    let options = session_options(&model, args.context.context(&model)?, pool.count(), args.cache);
    let arena_bytes = model.arena_size(&options).map_err(fail)?;
    let mut arena = Arena::new(arena_bytes)?;
    let mut session = model.session_on(&pool, arena.bytes(), options).map_err(fail)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let prompt_tokens = encode(&model, &prompt, &file)?;
    if !model.architecture().is_language_model() {
        return Err(
            file.fail(&"the model does not predict the next token; `whit apply` computes what it gives")
        );
    }
    let timed = generate(&args, &mut session, &prompt, &prompt_tokens, &sampling, &file)?;
    let stats = Stats {
        backend: model.backend().name(),
        threads: pool.count(),
        cache: cache_name(options.cache),
        context: options.context,
        load_ms,
        prefill_tokens_per_s: timed.prefill_tokens_per_s,
        decode_tokens_per_s: timed.decode_tokens_per_s,
        weight_bytes_per_token: weight_bytes_per_token(model.file()),
        arena_bytes,
        peak_rss_bytes: peak_rss_bytes(),
    };
    if args.stats {
        note(stats_text(&stats, prompt_tokens.len(), timed.tokens).trim_end());
    }
    let ending = ending(&args, &timed, options.context);
    if !args.json {
        return ending;
    }
    print_json(&Report {
        file: file.name(),
        prompt,
        text: timed.text,
        prompt_tokens: prompt_tokens.len(),
        generated_tokens: timed.tokens,
        finish: finish_name(timed.finish),
        stats,
    })?;
    ending
}

/// A text that fills the context is a note, or a failure if the user asked for more.
fn ending(args: &Args, timed: &Timed, context: usize) -> Result<(), Failure> {
    match args.max_tokens {
        _ if timed.finish != Finish::ContextFull => Ok(()),
        None => {
            note(format_args!("the context of {context} positions is full, so the text ends here"));
            Ok(())
        }
        Some(most) => Err(Failure::Failed(format!(
            "--max-tokens {most}: the context of {context} positions was full after {} tokens; ask for fewer tokens, \
             or give a larger --context if the model allows",
            timed.tokens
        ))),
    }
}

/// Whether a lone argument is a text and no misspelt file: it does not exist, and does not look like a path.
fn is_prompt(argument: &Path) -> bool {
    const KINDS: [&str; 3] = ["whit", "tflite", "safetensors"];
    let text = argument.to_string_lossy();
    let like_a_path = is_checkpoint(argument)
        || argument.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known))
        || (text.contains(std::path::MAIN_SEPARATOR) && !text.contains(char::is_whitespace));
    !argument.exists() && !like_a_path
}

/// A directory, or a llama2.c or ONNX file by its name: everything else is taken for a `.whit` file.
fn is_checkpoint(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|kind| kind == "bin" || kind == "onnx")
}

/// Imports a checkpoint to a temporary file, which has no name any more when this returns.
fn import(checkpoint: &Path, args: &Args) -> Result<ModelFile, Failure> {
    let options = args.weights.options(Weights::F32)?;
    let guard = interrupt::Guard::new()?;
    let opened = import::open(checkpoint, args.tokenizer.as_deref())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let pending = convert(&opened, options, &std::env::temp_dir().join("run.whit"))?;
    let file = ModelFile::unnamed(pending, checkpoint)?;
    drop(guard);
    Ok(file)
}

fn prompt(argument: Option<&str>) -> Result<String, Failure> {
    if argument != Some("-") {
        return Ok(argument.unwrap_or_default().to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| Failure::Failed(format!("standard input: expected UTF-8 text: {error}")))?;
    Ok(text)
}

/// The file's settings, but for those that the user gave.
fn sampling(args: &Args, model: &Model<'_>, file: &ModelFile) -> Result<Sampling, Failure> {
    let own = model.sampling().map_err(|error| file.fail(&error))?;
    let sampling = Sampling {
        temperature: args.temperature.unwrap_or(own.temperature),
        top_k: args.top_k.unwrap_or(own.top_k),
        top_p: args.top_p.unwrap_or(own.top_p),
        min_p: args.min_p.unwrap_or(own.min_p),
        repetition_penalty: args.repetition_penalty.unwrap_or(own.repetition_penalty),
        penalty_window: own.penalty_window,
        seed: args.seed.unwrap_or(own.seed),
    };
    // The file's own settings are in range, so it is an option; options are named as settings are, but for the dashes.
    let option = |error: SamplingError| Failure::Usage(format!("--{}", error.to_string().replace('_', "-")));
    Sampler::new(sampling).map_err(option)?;
    Ok(sampling)
}

/// The prompt's tokens; without any, the token that begins a text, or ends the one before, or else a new line.
fn encode(model: &Model<'_>, prompt: &str, file: &ModelFile) -> Result<Vec<Token>, Failure> {
    let tokenizer = model.tokenizer().ok_or_else(|| file.fail(&Error::NoTokenizer))?;
    let options = EncodeOptions { eos: false, ..tokenizer.default_options() };
    let mut tokens = vec![Token(0); encode_bound(prompt.len())];
    let count = if prompt.is_empty() {
        0
    } else {
        tokenizer
            .encode(prompt.as_bytes(), options, &mut tokens)
            .map_err(|error| Failure::Failed(format!("prompt: {error}")))?
    };
    tokens.truncate(count);
    if tokens.is_empty() {
        let begin = tokenizer.bos().or(tokenizer.eos()).or_else(|| new_line(tokenizer));
        tokens.push(begin.ok_or_else(|| file.fail(&Error::NothingToContinue))?);
    }
    Ok(tokens)
}

/// The token of a line's end, which a line may follow, if the vocabulary has one.
fn new_line(tokenizer: &Tokenizer<'_>) -> Option<Token> {
    let mut tokens = [Token(0); encode_bound(1)];
    match tokenizer.encode(b"\n", EncodeOptions::default(), &mut tokens) {
        Ok(1) => Some(tokens[0]),
        _ => None,
    }
}

/// A text, and what making it took.
struct Timed {
    text: String,
    tokens: usize,
    finish: Finish,
    prefill_tokens_per_s: f64,
    decode_tokens_per_s: Option<f64>,
}

fn generate(
    args: &Args,
    session: &mut Session<'_, '_>,
    prompt: &str,
    prompt_tokens: &[Token],
    sampling: &Sampling,
    file: &ModelFile,
) -> Result<Timed, Failure> {
    let start = Instant::now();
    session.feed(prompt_tokens).map_err(|error| match error {
        Error::ContextFull { tokens, left } => Failure::Failed(format!(
            "prompt: expected at most {left} tokens, found {tokens}; shorten it, or give a larger --context if the \
             model allows"
        )),
        error => file.fail(&error),
    })?;
    let prefill = start.elapsed();
    let limit = session.model().architecture().context();
    let most = limit.map_or(session.options().context, |_| usize::MAX);
    let mut generation = session.generate("", sampling).map_err(|error| file.fail(&error))?;
    for stop in &args.stop {
        generation = generation.stop_at(stop).map_err(|error| Failure::Usage(format!("--stop: {error}")))?;
    }
    let mut generation = generation.max_tokens(args.max_tokens.unwrap_or(most));
    let mut text = String::new();
    if !args.json {
        print(prompt)?;
    }
    let start = Instant::now();
    for piece in &mut generation {
        if args.json {
            text.push_str(&piece);
        } else {
            print(&piece)?;
        }
    }
    let decode = start.elapsed();
    if !args.json && std::io::stdout().is_terminal() {
        print("\n")?;
    }
    let tokens = generation.tokens();
    // The first token is drawn from the prompt's logits: all others needed a pass.
    let passes = tokens.saturating_sub(1);
    Ok(Timed {
        text,
        tokens,
        finish: generation.finish().unwrap_or(Finish::ContextFull),
        prefill_tokens_per_s: prompt_tokens.len() as f64 / prefill.as_secs_f64().max(1e-9),
        decode_tokens_per_s: (passes > 0).then(|| passes as f64 / decode.as_secs_f64().max(1e-9)),
    })
}
