//! `whit eval`: how well a file predicts a text, and how close it stays to another.

use super::compute::{BackendArg, ContextArg, ThreadsArg};
use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{grouped, print, print_json};
use super::progress::Progress;
use super::table::pairs;
use crate::eval::{Evaluation, Score, Text, Windows, evaluate};
use crate::map::Map;
use std::path::{Path, PathBuf};

/// Measure how well a file predicts a text, and how close it stays to another file
///
/// The text is cut into documents (--split) and windows of the context; each window starts from the token that begins
/// a text, and every token is predicted exactly once.
///
/// JSON keys: file, text, context, documents, tokens, bytes, nats_per_token, perplexity, bits_per_byte; with --against
/// also against (file, nats_per_token, perplexity, bits_per_byte), kl_divergence (mean nats from the reference to the
/// file), top1_agreement.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit file
    file: PathBuf,
    /// The text
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// A reference to compare with: the same model, less compressed
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The text between two documents; without it the text is one document
    #[arg(long, value_name = "MARKER")]
    split: Option<String>,
    #[command(flatten)]
    context: ContextArg,
    /// Stop after this many tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    #[command(flatten)]
    threads: ThreadsArg,
    #[command(flatten)]
    backend: BackendArg,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report {
    file: String,
    text: String,
    context: usize,
    documents: usize,
    tokens: usize,
    bytes: usize,
    #[serde(flatten)]
    score: Score,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kl_divergence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top1_agreement: Option<f64>,
}

#[derive(serde::Serialize)]
struct Against {
    file: String,
    #[serde(flatten)]
    score: Score,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let file = ModelFile::open(&args.file)?;
    let model = args.backend.apply(file.model()?)?;
    let reference_file = args.against.as_deref().map(ModelFile::open).transpose()?;
    let reference = match &reference_file {
        Some(reference) => Some(args.backend.apply(reference.model()?)?),
        None => None,
    };
    let context = args.context.window(&model)?;
    let windows = windows(&args.text, args.split.as_deref(), args.max_tokens, &file, &model, context)?;
    let pool = args.threads.pool(&model)?;
    let mut progress = Progress::new("evaluate");
    let total = windows.tokens() as u64;
    let evaluation =
        evaluate(&model, reference.as_ref(), &windows, &pool, |done| progress.set(done as u64, total))
            .map_err(|error| file.fail(&error))?;
    drop(progress);
    let against = reference_file.map(|reference| reference.name());
    let report = report(file.name(), args.text.display().to_string(), against, &windows, evaluation);
    if args.json { print_json(&report) } else { print(text(&report)) }
}

/// The windows of `context` positions, or of whole documents, of the text at `path`, encoded for `model`.
pub(super) fn windows(
    path: &Path,
    split: Option<&str>,
    most: Option<u64>,
    file: &ModelFile,
    model: &whit::Model<'_>,
    context: Option<usize>,
) -> Result<Windows, Failure> {
    let about = Failure::about(path);
    let text = Map::open(path).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
    let tokenizer =
        model.tokenizer().ok_or_else(|| file.fail(&"it has no tokenizer, so it cannot read a text"))?;
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    Windows::new(&Text::new(&text, split), tokenizer, context, most).map_err(|error| about(&error))
}

fn report(
    file: String,
    text: String,
    against: Option<String>,
    windows: &Windows,
    evaluation: Evaluation,
) -> Report {
    let closeness = evaluation.closeness;
    Report {
        file,
        text,
        context: windows.context(),
        documents: windows.documents(),
        tokens: windows.tokens(),
        bytes: windows.bytes(),
        score: evaluation.score,
        against: against.zip(closeness).map(|(file, closeness)| Against { file, score: closeness.reference }),
        kl_divergence: closeness.map(|closeness| closeness.kl_divergence),
        top1_agreement: closeness.map(|closeness| closeness.top1_agreement),
    }
}

fn text(report: &Report) -> String {
    let Report { context, documents, tokens, bytes, .. } = report;
    let read = format!(
        "{} tokens, {} bytes, {} documents, context {context}",
        grouped(*tokens as u64),
        grouped(*bytes as u64),
        grouped(*documents as u64)
    );
    let mut lines = vec![("text", read)];
    lines.extend(score(&report.score));
    if let (Some(against), Some(divergence), Some(agreement)) =
        (&report.against, report.kl_divergence, report.top1_agreement)
    {
        lines.push(("against", against.file.clone()));
        lines.extend(score(&against.score));
        lines.push(("KL divergence", format!("{divergence:.6} nats")));
        lines.push(("top-1 agreement", format!("{:.3} %", 100.0 * agreement)));
    }
    format!("{}\n{}", report.file, pairs(&lines))
}

fn score(score: &Score) -> [(&'static str, String); 3] {
    [
        ("nats per token", format!("{:.5}", score.nats_per_token)),
        ("perplexity", format!("{:.4}", score.perplexity)),
        ("bits per byte", format!("{:.5}", score.bits_per_byte)),
    ]
}
