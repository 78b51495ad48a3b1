//! `whit report`: what compression cost and gained.

mod table;

use super::compute::{BackendArg, ContextArg, ThreadsArg};
use super::eval::windows;
use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{note, print, print_json};
use super::progress::Progress;
use crate::bench::Options;
use crate::report::{Measurement, Report, Subject, measure, picture, report, saved};
use std::path::{Path, PathBuf};
use whit::parallel::Workers;

/// Compare variants of a model with their base: size, quality, latency, energy
///
/// R, size: bytes of the base's file over those of the variant's. A, quality kept: perplexity of the base over that of the
/// variant on --text, which is e to the power of the nats added per token, negated; beside it accuracy (the token is the
/// model's first choice) and top-1 agreement with the base. L, latency: time per token of the base over that of the
/// variant, in decode and prefill, with 95 % bootstrap intervals: measured here turn by turn, or taken from --bench. E,
/// energy: joules per token of the base over those of the variant, where --bench has them or --joules says them. All are above 1 where the variant
/// is better. A star marks variants that no other file of the report beats in size and quality together; ~ marks
/// measurements that were unstable. Every file is scored with the cache that it asks for.
///
/// JSON keys: text, tokens, base (file, file_bytes, weights, cache, nats_per_token, perplexity, bits_per_byte, accuracy,
/// speeds: decode_tokens_per_s, prefill_tokens_per_s, runs; joules_per_token), variants (the same, and metrics: size,
/// quality, nats_added, accuracy, accuracy_points_lost, kl_divergence, top1_agreement, decode and prefill: ratio, low,
/// high; energy; on_front), speed_notes, claimed (figures of the literature, not measured: method, size, quality, latency,
/// energy, source).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit file that is compared with
    base: PathBuf,
    /// The .whit files that are compared
    #[arg(required = true, value_name = "VARIANT")]
    variants: Vec<PathBuf>,
    /// The text that quality is measured on
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// The text between two documents; without it the text is one document
    #[arg(long, value_name = "MARKER")]
    split: Option<String>,
    #[command(flatten)]
    context: ContextArg,
    /// Stop after this many tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// Take speeds, and energy where it was measured (`whit bench --energy`), from what `whit bench --json` printed instead
    /// of measuring here
    #[arg(long, value_name = "FILE")]
    bench: Option<PathBuf>,
    /// Rounds in which every file is measured once; 0 for none
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "bench", value_parser = clap::value_parser!(u16).range(0..=100))]
    rounds: u16,
    /// Joules per token of the base and of every variant, in their order, as a meter says
    #[arg(long, value_name = "J,…", value_delimiter = ',', value_parser = joules)]
    joules: Vec<f64>,
    #[command(flatten)]
    threads: ThreadsArg,
    #[command(flatten)]
    backend: BackendArg,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Report as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Also draw quality over size, with the front of what nothing else beats, into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Args {
    fn paths(&self) -> Vec<&Path> {
        core::iter::once(&self.base).chain(&self.variants).map(PathBuf::as_path).collect()
    }
}

fn joules(text: &str) -> Result<f64, String> {
    let positive = text.parse().ok().filter(|&joules: &f64| joules > 0.0 && joules.is_finite());
    positive.ok_or_else(|| "expected joules per token, above 0".to_owned())
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let paths = args.paths();
    if !args.joules.is_empty() && args.joules.len() != paths.len() {
        let found = args.joules.len();
        let message = format!("--joules: expected {} values, one for each file, found {found}", paths.len());
        return Err(Failure::Usage(message));
    }
    let files = paths.iter().map(|path| ModelFile::open(path)).collect::<Result<Vec<_>, _>>()?;
    let models = files.iter().map(|file| args.backend.apply(file.model()?)).collect::<Result<Vec<_>, _>>()?;
    let windows = text_windows(&args, &files[0], &models[0])?;
    let pool = args.threads.pool(&models[0])?;
    let mut speeds = speeds(&args, &paths, &models, pool.count())?.into_iter();
    let mut joules = args.joules.iter().copied();
    let mut subjects = files.iter().zip(&models).map(|(file, model)| {
        let speeds = speeds.next().flatten();
        let measured = speeds.as_ref().and_then(|speeds| speeds.joules_per_token);
        Subject { file: file.name(), model: *model, joules_per_token: joules.next().or(measured), speeds }
    });
    let base = subjects.next().expect("the base is the first of the paths");
    let variants: Vec<_> = subjects.collect();
    let mut progress = Progress::new("evaluate");
    let text = args.text.display().to_string();
    let found = report(&text, &base, &variants, &windows, &pool, |done, total| {
        progress.set(done as u64, total as u64);
    })?;
    drop(progress);
    show(&args, &found)
}

fn text_windows(
    args: &Args,
    file: &ModelFile,
    model: &whit::Model<'_>,
) -> Result<crate::eval::Windows, Failure> {
    let context = args.context.window(model)?;
    windows(&args.text, args.split.as_deref(), args.max_tokens, file, model, context)
}

fn show(args: &Args, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &args.svg {
        let about = Failure::about(path);
        std::fs::write(path, picture(report))
            .map_err(|error| about(&format_args!("cannot be written: {error}")))?;
        note(format_args!("{} written", path.display()));
    }
    match (args.json, args.markdown) {
        (true, _) => print_json(report),
        (_, true) => print(table::markdown(report)),
        _ => print(table::text(report)),
    }
}

/// How fast each file is: as saved, or as measured now.
fn speeds(
    args: &Args,
    paths: &[&Path],
    models: &[whit::Model<'_>],
    threads: usize,
) -> Result<Vec<Option<Measurement>>, Failure> {
    if let Some(from) = &args.bench {
        let named: Vec<_> =
            paths.iter().zip(models).map(|(path, model)| (*path, fingerprint(model))).collect();
        return Ok(saved(from, &named)?);
    }
    if args.rounds == 0 {
        return Ok(vec![None; paths.len()]);
    }
    let options = Options { threads, backend: args.backend.backend()?, ..Options::default() };
    let mut progress = Progress::new("bench");
    let measured = measure(paths, &options, usize::from(args.rounds), |done, total| {
        progress.set(done as u64, total as u64);
    })?;
    Ok(measured.into_iter().map(Some).collect())
}

fn fingerprint(model: &whit::Model<'_>) -> String {
    format!("{:016x}", model.file().fingerprint())
}
