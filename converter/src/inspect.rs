//! What is in a file, as data: sections, tensors, sizes, and the memory that a session needs. Reads no weights.
//!
//! The fields are the JSON keys of `whit inspect --json`. How they are shown to people is `cli/inspect.rs`.

mod architecture;
mod recurrent;

pub use architecture::{Architecture, TransformerWords};
pub use recurrent::RecurrentWords;

use serde::Serialize;
use std::collections::BTreeMap;
use whit::format::{Encoding, File, Role, Section, TensorEntry};
use whit::sampler::Sampling;
use whit::tokenizer::Tokenizer;
use whit::{CacheKind, Error, Model, SessionOptions};

/// A file's contents.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Version of the format.
    pub format_version: u16,
    /// Both checksums of the file, in hexadecimal.
    pub fingerprint: String,
    /// What the model computes.
    pub architecture: Architecture,
    /// Numbers in all tensors.
    pub parameters: u64,
    /// Bits that one number takes on average, scales and padding included.
    pub bits_per_weight: f64,
    /// Bytes of weights that one decoded token reads.
    pub weight_bytes_per_token: u64,
    /// The sections in the order of the file.
    pub sections: Vec<SectionSize>,
    /// What the tensors take by encoding, largest first.
    pub encodings: Vec<Share>,
    /// What the tensors take by part of the model, largest first.
    pub parts: Vec<Share>,
    /// All tensors in the order of the file.
    pub tensors: Vec<TensorSize>,
    /// What a session needs.
    pub memory: Memory,
    /// The tokenizer, if there is one.
    pub tokenizer: Option<Vocabulary>,
    /// The file's sampling defaults.
    pub sampling: Defaults,
    /// The golden transcript, if there is one.
    pub golden: Option<Transcript>,
    /// Free metadata.
    pub metadata: BTreeMap<String, String>,
}

/// One section.
#[derive(Clone, Debug, Serialize)]
pub struct SectionSize {
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: u64,
}

/// Tensors that have something in common.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// What they have in common.
    pub name: String,
    /// How many they are.
    pub tensors: u64,
    /// Numbers in them.
    pub parameters: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// These bytes as a share of the file.
    pub share_of_file: f64,
}

/// One tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorSize {
    /// Its name.
    pub name: String,
    /// Its encoding, see [`encoding_name`].
    pub encoding: String,
    /// Bits in which an integer matrix takes the vectors that it multiplies, 8 or 16; `None` where there are none, or
    /// they are taken as they are.
    pub activation_bits: Option<u8>,
    /// Rows; 1 for a vector.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Offset in the tensor data section.
    pub offset: u64,
}

/// Memory of one session.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Positions.
    pub context: usize,
    /// Kind of key and value cache: `f32` or `int8`.
    pub cache: &'static str,
    /// Tokens in one pass over the weights.
    pub batch: usize,
    /// Workers.
    pub workers: usize,
    /// Bytes of keys and values.
    pub cache_bytes: usize,
    /// Bytes of everything else.
    pub buffer_bytes: usize,
    /// Bytes of the whole arena, exact.
    pub arena_bytes: usize,
}

/// The tokenizer.
#[derive(Clone, Debug, Serialize)]
pub struct Vocabulary {
    /// `characters`, `bytes`, `byte_level_bpe` or `sentencepiece_bpe`.
    pub kind: &'static str,
    /// Number of tokens.
    pub tokens: usize,
    /// Length of the longest token's text.
    pub max_token_bytes: usize,
    /// The beginning-of-text token.
    pub bos: Option<u32>,
    /// The end-of-text token.
    pub eos: Option<u32>,
    /// The token of unknown input.
    pub unk: Option<u32>,
    /// The padding token.
    pub pad: Option<u32>,
}

/// How to sample where the user does not say.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are those of whit::sampler::Sampling")]
pub struct Defaults {
    pub temperature: f32,
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    pub repetition_penalty: f32,
    pub penalty_window: u32,
    pub seed: u64,
    /// Whether the record in the file is in range; if not, the values are the runtime's own defaults.
    pub valid: bool,
    /// Tokens that end a text.
    pub stop_tokens: Vec<u32>,
    /// Strings that end a text.
    pub stop_strings: Vec<String>,
}

/// The golden transcript.
#[derive(Clone, Debug, Serialize)]
pub struct Transcript {
    /// Kind of key and value cache.
    pub cache: &'static str,
    /// The prompt.
    pub prompt: Vec<u32>,
    /// What greedy decoding makes of it.
    pub output: Vec<u32>,
    /// Checksum of the logits, in hexadecimal.
    pub logits_crc32: String,
}

/// Looks into `model`; memory is that of a session with `options`.
///
/// # Errors
/// [`Error::Option`] if an option is out of range.
pub fn inspect(model: &Model<'_>, options: &SessionOptions) -> Result<Report, Error> {
    let file = model.file();
    let entries: Vec<TensorEntry> = file.tensors.entries().collect();
    let parameters: u64 = entries.iter().map(numbers).sum();
    let bytes: u64 = entries.iter().map(TensorEntry::len).sum();
    let file_bytes = file.bytes().len() as u64;
    Ok(Report {
        file_bytes,
        format_version: whit::format::VERSION,
        fingerprint: format!("{:016x}", file.fingerprint()),
        architecture: Architecture::of(&file.architecture),
        parameters,
        bits_per_weight: bytes as f64 * 8.0 / parameters as f64,
        weight_bytes_per_token: weight_bytes_per_token(file),
        sections: Section::ALL
            .map(|section| SectionSize { name: section.name(), bytes: file.section(section).len() as u64 })
            .into(),
        encodings: shares(&entries, file_bytes, |entry| stored(file, entry)),
        parts: shares(&entries, file_bytes, |entry| part(entry.role).to_owned()),
        tensors: entries.iter().map(|entry| tensor(file, entry)).collect(),
        memory: memory(model, options)?,
        tokenizer: model.tokenizer().map(vocabulary),
        sampling: defaults(file),
        golden: (!file.golden.is_empty()).then(|| transcript(file)),
        metadata: file.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    })
}

/// `f32`, `f16`, `int8`, `int4` with rows as groups, or `int4/32` with groups of 32 columns.
pub fn encoding_name(encoding: Encoding) -> String {
    match encoding {
        Encoding::F32 => "f32".into(),
        Encoding::F16 => "f16".into(),
        Encoding::I8 => "int8".into(),
        Encoding::I4 { group: 0 } => "int4".into(),
        Encoding::I4 { group } => format!("int4/{group}"),
    }
}

/// Bits in which a matrix takes the vectors that it multiplies, if it quantizes any.
fn activation_bits(file: &File<'_>, entry: &TensorEntry) -> Option<u8> {
    match entry.encoding {
        Encoding::I8 | Encoding::I4 { .. } if !is_looked_up(file, entry.role) => {
            Some(8 * entry.activations.digits() as u8)
        }
        _ => None,
    }
}

/// The encoding, and the activations where they are not the usual.
fn stored(file: &File<'_>, entry: &TensorEntry) -> String {
    match (encoding_name(entry.encoding), activation_bits(file, entry)) {
        (encoding, Some(16)) => format!("{encoding}, 16-bit activations"),
        (encoding, _) => encoding,
    }
}

/// `f32` or `int8`.
pub fn cache_name(cache: CacheKind) -> &'static str {
    match cache {
        CacheKind::F32 => "f32",
        CacheKind::I8 => "int8",
    }
}

/// A tensor's full name, as messages of the runtime have it.
pub fn tensor_name(role: Role, layer: u16) -> String {
    if role.per_layer() { format!("layers.{layer}.{}", role.name()) } else { role.name().to_owned() }
}

/// Bytes of weights that decoding one token reads: all tensors, but of tables that are looked up one row.
pub fn weight_bytes_per_token(file: &File<'_>) -> u64 {
    let read = |entry: TensorEntry| {
        if is_looked_up(file, entry.role) { entry.len() / u64::from(entry.rows) } else { entry.len() }
    };
    file.tensors.entries().map(read).sum()
}

/// Whether of a tensor one row is taken, and nothing is multiplied with it.
pub(crate) fn is_looked_up(file: &File<'_>, role: Role) -> bool {
    match role {
        Role::Embedding => !file.architecture.tied(),
        Role::Positions => true,
        _ => false,
    }
}

/// Multiplications with weights that one token of a prompt takes: the matrices of all layers, twice those that take
/// 16-bit activations. Attention's own, whose number grows with the position, do not count.
pub fn prefill_macs_per_token(file: &File<'_>) -> u64 {
    macs(file, Role::per_layer)
}

/// The same of one decoded token: the output head, whether a matrix of its own or the embedding, counts too.
pub fn decode_macs_per_token(file: &File<'_>) -> u64 {
    let head = if file.architecture.tied() { Role::Embedding } else { Role::Head };
    macs(file, |role| role.per_layer() || role == head)
}

fn macs(file: &File<'_>, counts: impl Fn(Role) -> bool) -> u64 {
    let matrices = file.tensors.entries().filter(|entry| entry.role.is_matrix() && counts(entry.role));
    matrices.map(|entry| macs_of(&entry)).sum()
}

/// Multiplications that a vector takes with a matrix.
pub(crate) fn macs_of(entry: &TensorEntry) -> u64 {
    numbers(entry) * entry.activations.digits() as u64
}

fn numbers(entry: &TensorEntry) -> u64 {
    u64::from(entry.rows) * u64::from(entry.cols)
}

fn part(role: Role) -> &'static str {
    match role {
        Role::Embedding => "embedding",
        Role::Positions | Role::RotaryFrequencies => "positions",
        Role::Qkv | Role::QkvBias | Role::AttentionOut | Role::AttentionOutBias => "attention",
        Role::FfnUp | Role::FfnUpBias | Role::FfnDown | Role::FfnDownBias => "feed-forward",
        Role::Head | Role::HeadBias => "output head",
        Role::AttentionNorm
        | Role::AttentionNormBias
        | Role::FfnNorm
        | Role::FfnNormBias
        | Role::FinalNorm
        | Role::FinalNormBias => "norms",
        _ => "recurrent",
    }
}

/// Sums over the tensors that `name` calls the same, largest first.
fn shares(entries: &[TensorEntry], file_bytes: u64, name: impl Fn(&TensorEntry) -> String) -> Vec<Share> {
    let mut by_name = BTreeMap::<String, [u64; 3]>::new();
    for entry in entries {
        let sums = by_name.entry(name(entry)).or_default();
        for (sum, more) in sums.iter_mut().zip([1, numbers(entry), entry.len()]) {
            *sum += more;
        }
    }
    let mut shares: Vec<Share> = by_name
        .into_iter()
        .map(|(name, [tensors, parameters, bytes])| Share {
            name,
            tensors,
            parameters,
            bytes,
            share_of_file: bytes as f64 / file_bytes as f64,
        })
        .collect();
    shares.sort_by_key(|share| core::cmp::Reverse(share.bytes));
    shares
}

fn tensor(file: &File<'_>, entry: &TensorEntry) -> TensorSize {
    TensorSize {
        name: tensor_name(entry.role, entry.layer),
        encoding: encoding_name(entry.encoding),
        activation_bits: activation_bits(file, entry),
        rows: entry.rows,
        cols: entry.cols,
        bytes: entry.len(),
        offset: entry.offset,
    }
}

fn memory(model: &Model<'_>, options: &SessionOptions) -> Result<Memory, Error> {
    let (cache_bytes, arena_bytes) = (model.cache_size(options)?, model.arena_size(options)?);
    Ok(Memory {
        context: options.context,
        cache: cache_name(options.cache),
        batch: options.batch,
        workers: options.workers,
        cache_bytes,
        buffer_bytes: arena_bytes - cache_bytes,
        arena_bytes,
    })
}

fn vocabulary(tokenizer: &Tokenizer<'_>) -> Vocabulary {
    use whit::tokenizer::Kind;
    Vocabulary {
        kind: match tokenizer.header().kind {
            Kind::Characters => "characters",
            Kind::Bytes => "bytes",
            Kind::ByteLevelBpe => "byte_level_bpe",
            Kind::SentencePieceBpe => "sentencepiece_bpe",
        },
        tokens: tokenizer.vocab_size(),
        max_token_bytes: tokenizer.max_token_len(),
        bos: tokenizer.bos().map(|token| token.0),
        eos: tokenizer.eos().map(|token| token.0),
        unk: tokenizer.unk().map(|token| token.0),
        pad: tokenizer.pad().map(|token| token.0),
    }
}

fn defaults(file: &File<'_>) -> Defaults {
    let record = file.sampling.record().first_chunk().map(Sampling::from_bytes);
    let valid = matches!(record, Some(Ok(_)));
    let sampling = record.and_then(Result::ok).unwrap_or_default();
    Defaults {
        temperature: sampling.temperature,
        top_k: sampling.top_k,
        top_p: sampling.top_p,
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        penalty_window: sampling.penalty_window,
        seed: sampling.seed,
        valid,
        stop_tokens: file.sampling.stop_tokens().map(|token| token.0).collect(),
        stop_strings: file.sampling.stop_strings().map(str::to_owned).collect(),
    }
}

fn transcript(file: &File<'_>) -> Transcript {
    let golden = &file.golden;
    Transcript {
        cache: cache_name(if golden.int8_cache() { CacheKind::I8 } else { CacheKind::F32 }),
        prompt: golden.prompt().map(|token| token.0).collect(),
        output: golden.output().map(|token| token.0).collect(),
        logits_crc32: format!("{:08x}", golden.logits_crc()),
    }
}
