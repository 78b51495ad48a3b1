//! A Hugging Face model directory to a [`Checkpoint`]: `config.json` and safetensors files; of transformers, and of
//! recurrent models with PyTorch's names.
//!
//! Every field of the configuration that changes the arithmetic is honoured or refused. Weights stay in their files;
//! the tokenizer's files are read by whoever calls.

mod card;
mod config;
mod family;
mod gpt2;
mod llama;
mod recurrent;
mod rope;
mod shards;

use super::rows::{Stacked, Values};
use super::{ImportError, Problem};
use crate::checkpoint::{Checkpoint, Rows, Tensor};
use config::Fields;
use family::{Family, Part, Recipe};
use gpt2::Gpt2;
use llama::Llama;
use serde_json::Value;
use shards::Shards;
use std::path::Path;
use whit::format::{Role, Slots};

const CONFIG: &str = "config.json";
const GENERATION_CONFIG: &str = "generation_config.json";
const SUPPORTED: &str = "`LlamaForCausalLM`, `MistralForCausalLM`, `GPT2LMHeadModel` or `GPT2Model`, or a recurrent \
                         model by `model_type`: `lstm`, `gru` or `rnn`";

/// What the tokenizer of a model directory must fit.
#[derive(Clone, Debug)]
pub struct TokenizerRequest<'a> {
    /// The model directory.
    pub directory: &'a Path,
    /// Number of tokens of the model.
    pub vocabulary: u32,
    /// The token that begins a text, if the model has one.
    pub beginning: Option<u32>,
    /// The tokens that end a text.
    pub ends: &'a [u32],
    /// Whether the model is of use without a tokenizer.
    pub optional: bool,
}

/// Reads the model in `directory`; `tokenizer` gives the tokenizer section.
///
/// # Errors
/// [`ImportError::Io`] for a file that cannot be read, else [`ImportError::Problems`] with all problems of the
/// configuration, or all problems of the tensors, or what `tokenizer` returned.
pub fn import(
    directory: &Path,
    tokenizer: impl FnOnce(&TokenizerRequest<'_>) -> Result<Vec<u8>, ImportError>,
) -> Result<Checkpoint<'static>, ImportError> {
    let mut fields = Fields::open(directory, CONFIG)?;
    if let Some(kind) = recurrent::kind(&fields) {
        return recurrent::import(directory, fields, kind, tokenizer);
    }
    let class = class(&fields)?;
    let (mut family, prefix): (Box<dyn Family>, _) = match class.as_str() {
        "LlamaForCausalLM" => (Box::new(Llama::new(&mut fields, false)), Llama::PREFIX),
        "MistralForCausalLM" => (Box::new(Llama::new(&mut fields, true)), Llama::PREFIX),
        _ => (Box::new(Gpt2::new(&mut fields)), Gpt2::PREFIX),
    };
    let special = special_tokens(directory, &mut fields)?;
    let mut problems = fields.into_problems();
    family::check(&family.architecture(), &mut problems);
    all_well(problems)?;

    let mut shards = Shards::open(directory, prefix)?;
    family.look(&shards);
    let architecture = family.architecture();
    let tensors: Vec<_> = Slots::new(&architecture)
        .iter()
        .filter_map(|(role, layer)| tensor(family.as_ref(), &mut shards, role, layer))
        .collect();
    shards.ignore(|name| family.is_ignored(name));
    let metadata = card::metadata(directory, &class, &shards.dtypes());
    all_well(shards.into_problems())?;

    let request = TokenizerRequest {
        directory,
        vocabulary: architecture.vocabulary(),
        beginning: special.beginning,
        ends: &special.ends,
        optional: false,
    };
    let tokenizer = tokenizer(&request)?;
    Ok(Checkpoint { architecture, tensors, tokenizer, stop_tokens: special.ends, metadata })
}

fn all_well(problems: Vec<Problem>) -> Result<(), ImportError> {
    if problems.is_empty() { Ok(()) } else { Err(ImportError::Problems(problems)) }
}

/// The class that the configuration names; by its `model_type` where it names none.
fn class(fields: &Fields) -> Result<String, ImportError> {
    let class =
        fields.get("architectures").and_then(|classes| classes.get(0)).and_then(|class| class.as_str());
    let kind = fields.get("model_type").and_then(|kind| kind.as_str());
    let (subject, found) = match (class, kind) {
        (Some("LlamaForCausalLM" | "MistralForCausalLM" | "GPT2LMHeadModel" | "GPT2Model"), _) => {
            return Ok(class.unwrap_or_default().to_owned());
        }
        (None, Some("llama")) => return Ok("LlamaForCausalLM".to_owned()),
        (None, Some("mistral")) => return Ok("MistralForCausalLM".to_owned()),
        (None, Some("gpt2")) => return Ok("GPT2LMHeadModel".to_owned()),
        (Some(class), _) => ("field `architectures`", format!("`{class}`")),
        (None, Some(kind)) => ("field `model_type`", format!("`{kind}`")),
        (None, None) => ("fields `architectures` and `model_type`", "neither".to_owned()),
    };
    Err(Problem {
        file: CONFIG.to_owned(),
        subject: subject.to_owned(),
        expected: SUPPORTED.to_owned(),
        found,
        remedy: "whit does not know other architectures",
    }
    .into())
}

struct SpecialTokens {
    beginning: Option<u32>,
    ends: Vec<u32>,
}

/// The tokens that begin and end a text: `generation_config.json` before `config.json`.
fn special_tokens(directory: &Path, config: &mut Fields) -> Result<SpecialTokens, ImportError> {
    // A size that is no size is a problem of its own.
    let vocabulary = config.get("vocab_size").and_then(Value::as_u64);
    let vocabulary = vocabulary.and_then(|size| u32::try_from(size).ok()).unwrap_or(u32::MAX);
    let mut begins = config.tokens("bos_token_id", vocabulary);
    let mut ends = config.tokens("eos_token_id", vocabulary);
    if directory.join(GENERATION_CONFIG).exists() {
        let mut generation = Fields::open(directory, GENERATION_CONFIG)?;
        for (name, tokens) in [("bos_token_id", &mut begins), ("eos_token_id", &mut ends)] {
            if generation.get(name).is_some() {
                *tokens = generation.tokens(name, vocabulary);
            }
        }
        config.merge(generation);
    }
    Ok(SpecialTokens { beginning: begins.first().copied(), ends })
}

/// One tensor of the runtime; `None` if a part has a problem, which `shards` keeps.
fn tensor(family: &dyn Family, shards: &mut Shards, role: Role, layer: u16) -> Option<Tensor<'static>> {
    let (source, rows): (String, Box<dyn Rows>) = match family.recipe(role, layer) {
        Recipe::Values(values) => (CONFIG.to_owned(), Box::new(Values(values))),
        Recipe::Parts(parts) => {
            let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
            let source = names.join(", ");
            // All parts are taken before the first problem ends this tensor, so that all are reported.
            let stored: Vec<_> = parts.iter().map(|part| take(shards, role, part)).collect();
            let mut stored = stored.into_iter().collect::<Option<Vec<_>>>()?;
            let rows: Box<dyn Rows> = match (stored.len(), role.is_matrix()) {
                (1, _) => Box::new(stored.remove(0)),
                (_, true) => Box::new(Stacked::new(stored)),
                (_, false) => Box::new(Values::joined(&stored)),
            };
            (source, rows)
        }
    };
    Some(Tensor { role, layer, source, rows })
}

fn take(shards: &mut Shards, role: Role, part: &Part) -> Option<super::rows::Stored> {
    if role.is_matrix() {
        shards.matrix(&part.name, part.shape, part.order)
    } else {
        shards.vector(&part.name, part.shape[1])
    }
}
