//! `whit import`: a checkpoint to a `.whit` file.

use super::compute::Cache;
use super::conversion::{Weights, WeightsArgs, convert};
use super::failure::Failure;
use super::integer;
use super::interrupt;
use super::model_file::ModelFile;
use super::output::{bytes, grouped, print, print_json};
use super::table::{pairs, table};
use crate::calibrate::Calibration;
use crate::checkpoint::Checkpoint;
use crate::eval::Text;
use crate::export::ExportOptions;
use crate::import::{self, tflite};
use crate::inspect::{Share, Transcript, inspect};
use crate::map::Map;
use crate::usage::peak_rss_bytes;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use whit::CacheKind;
use whit::format::MAGIC;

/// Make a .whit file of a checkpoint: a Hugging Face directory, a directory of a recurrent model, an .onnx file, a
/// quantized .tflite of LSTM, fully connected, reshape and softmax, or a llama2.c .bin with its tokenizer
///
/// Weights become int8 unless told otherwise; they are read and written row by row. The file gets a golden transcript, which `whit verify` and a
/// device's self-test replay. It appears whole or not at all; the same input gives the same bytes.
///
/// JSON keys: file, source, tensors, parameters, file_bytes, source_bytes, ratio (file to source), bits_per_weight,
/// encodings (name, tensors, parameters, bytes, share_of_file), golden (cache, prompt, output, logits_crc32),
/// peak_rss_bytes (mapped files included). Of a .tflite file: source, and the keys of `whit inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The checkpoint
    path: PathBuf,
    /// Where to write; by default the input's name with .whit, in the current directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    weights: WeightsArgs,
    /// Round integer weights for what this text makes of them: the model reads it in f32, and the error of each column is
    /// made good by the columns that are rounded after it (GPTQ). Costs time and memory in the square of the width
    #[arg(long, value_name = "TEXT")]
    calibrate: Option<PathBuf>,
    /// The text between two documents of the calibration text; without it the text is one document
    #[arg(long, value_name = "MARKER", requires = "calibrate")]
    split: Option<String>,
    /// How much of the calibration text is read
    #[arg(long, value_name = "TOKENS", default_value_t = 16_384, requires = "calibrate", value_parser = clap::value_parser!(u32).range(1..))]
    calibrate_tokens: u32,
    /// The tokenizer's file: llama2.c tokenizer.bin, or Hugging Face tokenizer.json where it is not in the directory
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Kind of key and value cache that sessions use unless told otherwise; by default int8 with
    /// integer weights, else f32
    #[arg(long, value_name = "KIND")]
    cache: Option<Cache>,
    /// The model's name, for its metadata
    #[arg(long)]
    name: Option<String>,
    /// The model's licence, for its metadata
    #[arg(long, alias = "licence")]
    license: Option<String>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report {
    file: String,
    source: String,
    tensors: usize,
    parameters: u64,
    file_bytes: u64,
    source_bytes: u64,
    ratio: f64,
    bits_per_weight: f64,
    encodings: Vec<Share>,
    golden: Option<Transcript>,
    peak_rss_bytes: Option<u64>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let cache = args.cache.map(CacheKind::from);
    let mut options = ExportOptions { cache, ..args.weights.options(Weights::Int8)? };
    let out = match &args.output {
        Some(out) => out.clone(),
        None => default_output(&args.path)?,
    };
    if tflite::is_one(&args.path) {
        return import_tflite(&args, &out);
    }
    let guard = interrupt::Guard::new()?;
    let mut checkpoint = import::open(&args.path, args.tokenizer.as_deref())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    may_write(&out)?;
    for (key, value) in [("name", &args.name), ("licence", &args.license)] {
        if let Some(value) = value {
            set(&mut checkpoint.metadata, key, value);
        }
    }
    options.calibration = calibration(&args, &checkpoint)?;
    convert(&checkpoint, options, &out)?.commit()?;
    drop(guard);
    let report = report(&args.path, &out)?;
    if args.json { print_json(&report) } else { print(text(&report)) }
}

/// A chain of integer layers, which has no choices left.
fn import_tflite(args: &Args, out: &Path) -> Result<(), Failure> {
    if args.weights.any() || args.tokenizer.is_some() || args.calibrate.is_some() || args.cache.is_some() {
        let message = "a .tflite file is taken as it was quantized: --weights, --group, --embedding, --tensor, \
                       --calibrate, --tokenizer and --cache are not for it";
        return Err(Failure::Usage(message.into()));
    }
    may_write(out)?;
    let given = [("name", &args.name), ("licence", &args.license)];
    let metadata: Vec<_> =
        given.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect();
    integer::import(&args.path, out, &metadata, args.json)
}

/// The calibration text in the model's tokens.
fn calibration(args: &Args, checkpoint: &Checkpoint<'_>) -> Result<Option<Calibration>, Failure> {
    let Some(path) = &args.calibrate else { return Ok(None) };
    let about = Failure::about(path);
    let text = Map::open(path).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
    let text = Text::new(&text, args.split.as_deref());
    let context = checkpoint.architecture.context().map_or(CALIBRATION_WINDOW, |context| context as usize);
    let most = args.calibrate_tokens as usize;
    Calibration::new(&text, &checkpoint.tokenizer, context.min(CALIBRATION_WINDOW), most)
        .map(Some)
        .map_err(|error| about(&error))
}

/// Positions of a calibration window at most: attention's work grows with its square.
const CALIBRATION_WINDOW: usize = 2048;

/// The input's name with `.whit`, in the current directory.
fn default_output(input: &Path) -> Result<PathBuf, Failure> {
    let about = Failure::about(input);
    // `.` and a path that ends in `/` have a name only once they are resolved.
    let whole = fs::canonicalize(input).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    let name = name.ok_or_else(|| about(&"it has no name to call the output by; give -o FILE"))?;
    let mut out = name.to_owned();
    out.push(".whit");
    Ok(out.into())
}

/// Refuses to replace what is not a `.whit` file: the input above all.
fn may_write(out: &Path) -> Result<(), Failure> {
    let about = Failure::about(out);
    if out.is_dir() {
        return Err(about(&"expected the name of a file to write, found a directory; give -o FILE"));
    }
    let Ok(mut file) = fs::File::open(out) else { return Ok(()) };
    let mut magic = [0; MAGIC.len()];
    // A shorter file is not a .whit file either.
    if file.read_exact(&mut magic).is_ok() && magic == MAGIC {
        return Ok(());
    }
    Err(about(&"exists and is not a .whit file, so it is not replaced; give another name with -o FILE"))
}

fn set(metadata: &mut Vec<(String, String)>, key: &str, value: &str) {
    match metadata.iter_mut().find(|(found, _)| found == key) {
        Some((_, old)) => value.clone_into(old),
        None => metadata.push((key.to_owned(), value.to_owned())),
    }
}

fn report(source: &Path, out: &Path) -> Result<Report, Failure> {
    let file = ModelFile::open(out)?;
    let model = file.model()?;
    let contents = inspect(&model, &model.options(1)).map_err(|error| file.fail(&error))?;
    let source_bytes = source_bytes(source);
    Ok(Report {
        file: file.name(),
        source: source.display().to_string(),
        tensors: contents.tensors.len(),
        parameters: contents.parameters,
        file_bytes: contents.file_bytes,
        source_bytes,
        ratio: contents.file_bytes as f64 / source_bytes as f64,
        bits_per_weight: contents.bits_per_weight,
        encodings: contents.encodings,
        golden: contents.golden,
        peak_rss_bytes: peak_rss_bytes(),
    })
}

/// Bytes of a checkpoint's file, or of a directory's weights.
fn source_bytes(source: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let Ok(folder) = fs::read_dir(source) else { return len(source) };
    let files = folder.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|path| path.extension().is_some_and(|kind| kind == "safetensors"))
        .map(|path| len(&path))
        .sum()
}

fn text(report: &Report) -> String {
    let rows: Vec<_> = report
        .encodings
        .iter()
        .map(|share| {
            vec![
                share.name.clone(),
                share.tensors.to_string(),
                grouped(share.parameters),
                grouped(share.bytes),
            ]
        })
        .collect();
    let size = format!(
        "{}, {:.3} of the source's {}",
        bytes(report.file_bytes),
        report.ratio,
        bytes(report.source_bytes)
    );
    let golden = report.golden.as_ref().map_or_else(
        || "none: the context has no room for it".to_owned(),
        |golden| format!("{} tokens, {} cache", golden.output.len(), golden.cache),
    );
    let lines = pairs(&[
        ("size", size),
        ("parameters", format!("{} in {} tensors", grouped(report.parameters), report.tensors)),
        ("bits per weight", format!("{:.3}", report.bits_per_weight)),
        ("golden transcript", golden),
        ("peak memory", report.peak_rss_bytes.map_or_else(|| "not known".to_owned(), bytes)),
    ]);
    format!("{}\n{lines}\n{}", report.file, table(&["encoding", ">tensors", ">parameters", ">bytes"], &rows))
}
