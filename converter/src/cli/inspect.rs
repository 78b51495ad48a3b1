//! `whit inspect`: what is in a file.

use super::compute::{Cache, ContextArg, session_options};
use super::failure::Failure;
use super::integer;
use super::model_file::ModelFile;
use super::output::{bytes, grouped, print, print_json};
use super::table::{pairs, table};
use crate::inspect::{Architecture, RecurrentWords, Report, Share, TransformerWords, Vocabulary, inspect};
use std::path::PathBuf;
use whit::format::IntegerFile;

/// Show what is in a file: architecture, sections, tensors, sizes, and the memory that a session needs
///
/// JSON keys: file, file_bytes, format_version, fingerprint, architecture, parameters, bits_per_weight,
/// weight_bytes_per_token, sections, encodings, parts, tensors, memory (context, cache, batch, workers, cache_bytes,
/// buffer_bytes, arena_bytes), tokenizer, sampling, golden, metadata. For a chain of integer layers: file, file_bytes,
/// format_version, fingerprint, architecture (integer), input and output (width, scale, zero_point), frames_per_output,
/// layers (kind, inputs, outputs, macs), parameters, tensors, memory (state_bytes, arena_bytes), golden (frames, outputs,
/// crc32), metadata.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit file
    file: PathBuf,
    #[command(flatten)]
    context: ContextArg,
    /// Size the memory for this kind of key and value cache instead of the file's own
    #[arg(long, value_name = "KIND")]
    cache: Option<Cache>,
    /// Size the memory for this many threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// List all tensors (JSON always does)
    #[arg(long)]
    tensors: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Named<'a> {
    file: String,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let file = ModelFile::open(&args.file)?;
    if IntegerFile::is_one(file.bytes()) {
        return integer::show(&file, None, args.tensors, args.json);
    }
    let model = file.model()?;
    let context = args.context.context(&model)?;
    let options = session_options(&model, context, usize::from(args.threads), args.cache);
    let report = inspect(&model, &options).map_err(|error| file.fail(&error))?;
    if args.json {
        print_json(&Named { file: file.name(), report: &report })
    } else {
        print(text(&file.name(), &report, args.tensors))
    }
}

fn text(file: &str, report: &Report, tensors: bool) -> String {
    let mut sections = vec![
        format!("{file}: {}\n", bytes(report.file_bytes)),
        section("Metadata", pairs(&metadata(report))),
        section("Architecture", pairs(&architecture(report))),
        section("Sections", table(&["section", ">bytes"], &section_rows(report))),
        section("Weights", weights(report)),
        section("Memory of a session", pairs(&memory(report))),
        section("Tokenizer", pairs(&tokenizer(report))),
        section("Sampling", pairs(&sampling(report))),
    ];
    if tensors {
        let rows: Vec<_> = report.tensors.iter().map(tensor_row).collect();
        let head = ["tensor", "encoding", "activations", ">rows", ">columns", ">bytes", ">offset"];
        sections.push(section("Tensors", table(&head, &rows)));
    }
    sections.concat()
}

fn section(title: &str, body: String) -> String {
    if body.is_empty() { body } else { format!("\n{title}\n{body}") }
}

fn metadata(report: &Report) -> Vec<(&str, String)> {
    // A value of several lines, such as a licence's text, is named by its first.
    let line = |value: &str| value.lines().next().unwrap_or_default().to_owned();
    report.metadata.iter().map(|(key, value)| (key.as_str(), line(value))).collect()
}

fn architecture(report: &Report) -> Vec<(&'static str, String)> {
    match &report.architecture {
        Architecture::Transformer(words) => transformer(words),
        Architecture::Recurrent(words) => recurrent(words),
    }
}

fn recurrent(words: &RecurrentWords) -> Vec<(&'static str, String)> {
    let widths = |widths: &[u16]| widths.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let input = match words.vocabulary {
        0 => format!("frames of {}", words.input),
        vocabulary => format!("{} tokens, embedding of {}", grouped(vocabulary.into()), words.input),
    };
    let head = match (words.head, words.tied) {
        (false, _) => "the last layer's vectors",
        (true, false) => "head",
        (true, true) => "head tied to the embedding",
    };
    let mut lines = vec![
        ("kind", words.kind.to_owned()),
        ("cell", words.cell.to_owned()),
        ("layers", words.layers.to_string()),
        ("width", widths(&words.hidden)),
        ("direction", words.direction.to_owned()),
        ("input", input),
        ("output", format!("{} from {head}", grouped(words.outputs as u64))),
    ];
    if !words.projection.is_empty() {
        lines.push(("projection", widths(&words.projection)));
    }
    if words.normalization != "none" {
        lines.push(("made of it", words.normalization.to_owned()));
    }
    let biases = if words.biases.is_empty() { "none".to_owned() } else { words.biases.join(", ") };
    lines.push(("biases", biases));
    lines
}

fn transformer(a: &TransformerWords) -> Vec<(&'static str, String)> {
    let heads = format!("{} of width {}, {} for keys and values", a.heads, a.head_width, a.kv_heads);
    let window = if a.window == 0 { "the whole context".to_owned() } else { a.window.to_string() };
    let ffn = format!("{}{}, width {}", if a.gated { "gated " } else { "" }, a.activation, a.hidden);
    let norm = format!("{}, {} each half block, epsilon {:e}", a.norm, a.norm_place, a.epsilon);
    let biases = if a.biases.is_empty() { "none".to_owned() } else { a.biases.join(", ") };
    vec![
        ("kind", a.kind.to_owned()),
        ("layers", a.layers.to_string()),
        ("width", a.width.to_string()),
        ("heads", heads),
        ("feed-forward", ffn),
        ("norm", norm),
        ("positions", a.positions.to_owned()),
        ("attends to", window),
        (
            "vocabulary",
            format!("{}{}", grouped(a.vocabulary.into()), if a.tied { ", tied output" } else { "" }),
        ),
        ("context", grouped(a.context.into())),
        ("biases", biases),
    ]
}

fn section_rows(report: &Report) -> Vec<Vec<String>> {
    report.sections.iter().map(|section| vec![section.name.to_owned(), grouped(section.bytes)]).collect()
}

fn weights(report: &Report) -> String {
    let rows = |shares: &[Share]| -> Vec<Vec<String>> {
        let row = |share: &Share| {
            vec![
                share.name.clone(),
                share.tensors.to_string(),
                grouped(share.parameters),
                grouped(share.bytes),
                format!("{:.1} %", 100.0 * share.share_of_file),
            ]
        };
        shares.iter().map(row).collect()
    };
    let head = |name| [name, ">tensors", ">parameters", ">bytes", ">of the file"];
    let total = pairs(&[
        ("parameters", grouped(report.parameters)),
        ("bits per weight", format!("{:.3}", report.bits_per_weight)),
        ("read per token", bytes(report.weight_bytes_per_token)),
    ]);
    [total, table(&head("encoding"), &rows(&report.encodings)), table(&head("part"), &rows(&report.parts))]
        .join("\n")
}

fn memory(report: &Report) -> Vec<(&'static str, String)> {
    let m = &report.memory;
    vec![
        ("context", grouped(m.context as u64)),
        match report.architecture {
            Architecture::Transformer(_) => {
                ("keys and values", format!("{} ({})", grouped(m.cache_bytes as u64), m.cache))
            }
            Architecture::Recurrent(_) => ("state", grouped(m.cache_bytes as u64)),
        },
        (
            "buffers",
            format!("{} ({} tokens a pass, {} threads)", grouped(m.buffer_bytes as u64), m.batch, m.workers),
        ),
        ("arena", format!("{} bytes", grouped(m.arena_bytes as u64))),
    ]
}

fn tokenizer(report: &Report) -> Vec<(&'static str, String)> {
    let Some(vocabulary) = &report.tokenizer else {
        return vec![("kind", "none: the file takes token ids only".into())];
    };
    let Vocabulary { kind, tokens, max_token_bytes, bos, eos, unk, pad } = vocabulary;
    let special = [("bos", bos), ("eos", eos), ("unk", unk), ("pad", pad)];
    let special: Vec<_> =
        special.iter().filter_map(|(name, id)| id.map(|id| format!("{name} {id}"))).collect();
    vec![
        ("kind", (*kind).to_owned()),
        ("tokens", format!("{}, the longest of {max_token_bytes} bytes", grouped(*tokens as u64))),
        ("special", special.join(", ")),
    ]
}

fn sampling(report: &Report) -> Vec<(&'static str, String)> {
    let s = &report.sampling;
    let golden = match &report.golden {
        Some(golden) => {
            format!("{} + {} tokens, {} cache", golden.prompt.len(), golden.output.len(), golden.cache)
        }
        None => "none".to_owned(),
    };
    let settings = format!(
        "temperature {}, top-k {}, top-p {}, min-p {}, repetition penalty {} over {}, seed {}",
        s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty, s.penalty_window, s.seed
    );
    let stops: Vec<_> = s
        .stop_tokens
        .iter()
        .map(u32::to_string)
        .chain(s.stop_strings.iter().map(|string| format!("{string:?}")))
        .collect();
    vec![
        ("defaults", if s.valid { settings } else { "out of range; see `whit verify`".to_owned() }),
        (
            "stops at",
            if stops.is_empty() { "the tokenizer's end of text".to_owned() } else { stops.join(", ") },
        ),
        ("golden transcript", golden),
    ]
}

fn tensor_row(tensor: &crate::inspect::TensorSize) -> Vec<String> {
    vec![
        tensor.name.clone(),
        tensor.encoding.clone(),
        tensor.activation_bits.map_or(String::new(), |bits| format!("{bits} bits")),
        tensor.rows.to_string(),
        tensor.cols.to_string(),
        grouped(tensor.bytes),
        grouped(tensor.offset),
    ]
}
