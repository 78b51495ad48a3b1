//! Models as Hugging Face directories say them: config.json written, and a directory read to go on from.

use super::config::{Cell, Config, Family, Recurrent, Transformer};
use super::error::TrainError;
use super::model::Model;
use super::run::RunError;
use crate::checkpoint::Checkpoint;
use crate::import::{self, Problem};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use whit::format::{Architecture, Crc32, Role};
use whit::kernels::Activation;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Prefixes that some tools leave out.
const PREFIXES: [&str; 2] = ["model.", "transformer."];

/// The content of config.json for `config`, whose token `end` begins and ends texts.
///
/// # Errors
/// If no checkpoint can say it.
pub(super) fn config_json(config: &Config, end: Option<u32>) -> Result<Value, TrainError> {
    let mut json = match config {
        Config::Transformer(transformer) => match transformer.family()? {
            Family::Llama => llama(transformer),
            Family::Gpt2 => gpt2(transformer),
        },
        Config::Recurrent(recurrent) => self::recurrent(recurrent),
    };
    // Absent, some readers would take their own defaults for these.
    json["bos_token_id"] = end.into();
    json["eos_token_id"] = end.into();
    json["torch_dtype"] = "float32".into();
    Ok(json)
}

fn llama(transformer: &Transformer) -> Value {
    let found = &transformer.description;
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": found.vocabulary,
        "hidden_size": found.width,
        "num_hidden_layers": found.layers,
        "num_attention_heads": found.heads,
        "num_key_value_heads": found.kv_heads,
        "head_dim": found.head_width,
        "intermediate_size": found.hidden,
        "max_position_embeddings": found.context,
        "hidden_act": activation(found.activation),
        "rms_norm_eps": decimal(found.epsilon),
        "rope_theta": transformer.rope_theta,
        "attention_bias": found.qkv_bias,
        "mlp_bias": found.up_bias,
        "tie_word_embeddings": found.tied,
    })
}

fn gpt2(transformer: &Transformer) -> Value {
    let found = &transformer.description;
    json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": found.vocabulary,
        "n_embd": found.width,
        "n_layer": found.layers,
        "n_head": found.heads,
        "n_inner": found.hidden,
        "n_positions": found.context,
        "activation_function": activation(found.activation),
        "layer_norm_epsilon": decimal(found.epsilon),
        "tie_word_embeddings": found.tied,
    })
}

fn recurrent(found: &Recurrent) -> Value {
    json!({
        "model_type": match found.cell {
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        },
        "vocab_size": found.vocabulary,
        "input_size": found.embedding,
        "hidden_size": found.width,
        "num_layers": found.layers,
        "tie_word_embeddings": found.tied,
    })
}

fn activation(function: Activation) -> &'static str {
    match function {
        Activation::Silu => "silu",
        Activation::GeluErf => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::Relu => "relu",
    }
}

/// The shortest decimal that is `value`, and not what its bits are in f64.
fn decimal(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// A model directory to begin from.
pub struct Pretrained {
    directory: PathBuf,
    /// The model in it.
    pub config: Config,
}

impl Pretrained {
    /// Reads the configuration of the model in `directory`, which must be one that can be trained.
    ///
    /// # Errors
    /// As importing it, or if no trained model is like it.
    pub fn open(directory: &Path) -> Result<Self, RunError> {
        let read =
            |name: &str| std::fs::read(directory.join(name)).map_err(RunError::io(&directory.join(name)));
        let json: Value = serde_json::from_slice(&read(CONFIG)?)
            .map_err(|error| RunError::io(&directory.join(CONFIG))(error.into()))?;
        let config = match json["model_type"].as_str() {
            Some("lstm") => Config::Recurrent(read_recurrent(&json, Cell::Lstm)?),
            Some("gru") => Config::Recurrent(read_recurrent(&json, Cell::Gru)?),
            _ => Config::Transformer(read_transformer(&import::open(directory, None)?, &json)?),
        };
        Ok(Self { directory: directory.to_owned(), config })
    }

    /// A model with the weights of the directory, and their CRC-32.
    ///
    /// # Errors
    /// If a file cannot be read, or a tensor is missing or has another shape.
    pub fn model(&self) -> Result<(Model, u32), RunError> {
        let mut model = Model::new(&self.config, 0)?;
        let mut crc = Crc32::default();
        let mut stored = HashMap::new();
        for file in self.files()? {
            read_tensors(&file, &mut stored)?;
        }
        let expected: Vec<_> = model.tensors().collect();
        for tensor in expected {
            let name = plain(&tensor.name);
            let Some((shape, values)) = stored.get(name) else {
                return Err(self.problem(&format!("tensor `{}`", tensor.name), "it", "nothing").into());
            };
            values.iter().for_each(|value| crc.update(&value.to_le_bytes()));
            model.set(&tensor.name, shape, values)?;
        }
        Ok((model, crc.value()))
    }

    /// The files that the weights are in.
    fn files(&self) -> Result<Vec<PathBuf>, RunError> {
        let index = self.directory.join(INDEX);
        if self.directory.join(WEIGHTS).exists() || !index.exists() {
            return Ok(vec![self.directory.join(WEIGHTS)]);
        }
        let bytes = std::fs::read(&index).map_err(RunError::io(&index))?;
        let json: Value =
            serde_json::from_slice(&bytes).map_err(|error| RunError::io(&index)(error.into()))?;
        // That each is the name of a file beside the index was checked when the directory was opened.
        let map = json["weight_map"].as_object().into_iter().flatten();
        let names: std::collections::BTreeSet<_> = map.filter_map(|(_, file)| file.as_str()).collect();
        Ok(names.into_iter().map(|name| self.directory.join(name)).collect())
    }

    fn problem(&self, subject: &str, expected: &str, found: &str) -> import::ImportError {
        Problem {
            file: self.directory.display().to_string(),
            subject: subject.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            remedy: "begin from a directory that `whit train` wrote or `whit import` takes",
        }
        .into()
    }
}

/// A tensor's name without a prefix that may be missing.
fn plain(name: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

type Stored = HashMap<String, (Vec<usize>, Vec<f32>)>;

fn read_tensors(path: &Path, stored: &mut Stored) -> Result<(), RunError> {
    let io = RunError::io(path);
    let bytes = std::fs::read(path).map_err(&io)?;
    let damaged = |problem: String| io(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    for (name, view) in file.iter() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect()
            }
            Dtype::BF16 => {
                data.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect()
            }
            // Masks and the like, which are no weights; a weight of such a type is missed by its name.
            _ => continue,
        };
        stored.insert(plain(name).to_owned(), (view.shape().to_vec(), values));
    }
    Ok(())
}

/// The recurrent model that a config.json says, where the trainer has it.
fn read_recurrent(json: &Value, cell: Cell) -> Result<Recurrent, TrainError> {
    let number = |field: &'static str, default: Option<u64>| {
        let value = &json[field];
        let number = if value.is_null() { default } else { value.as_u64() };
        number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| TrainError::Config {
            field,
            expected: "a whole number".to_owned(),
            found: value.to_string(),
        })
    };
    let only = [
        ("bidirectional", Value::from(false)),
        ("proj_size", 0.into()),
        ("bias", true.into()),
        ("reset_after", true.into()),
        ("output_size", json["vocab_size"].clone()),
    ];
    for (field, expected) in only {
        let found = &json[field];
        if !found.is_null() && *found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(TrainError::Config { field, expected, found });
        }
    }
    let width = number("hidden_size", None)?;
    let recurrent = Recurrent {
        cell,
        vocabulary: number("vocab_size", None)?,
        embedding: number("input_size", Some(width.into()))?,
        width,
        layers: number("num_layers", Some(1))?,
        tied: json["tie_word_embeddings"] == true,
    };
    recurrent.check()?;
    Ok(recurrent)
}

/// The transformer that the importer found, where the trainer has it.
fn read_transformer(checkpoint: &Checkpoint<'_>, json: &Value) -> Result<Transformer, TrainError> {
    let theta = [&json["rope_theta"], &json["rope_parameters"]["rope_theta"]];
    let rope_theta = theta.into_iter().find_map(Value::as_f64).unwrap_or(10_000.0);
    let Architecture::Transformer(description) = checkpoint.architecture else {
        return Err(TrainError::Config {
            field: "model_type",
            expected: "that of a transformer, `lstm` or `gru`".to_owned(),
            found: json["model_type"].to_string(),
        });
    };
    let transformer = Transformer { description, rope_theta };
    transformer.family()?;
    let rotary = checkpoint.tensors.iter().find(|tensor| tensor.role == Role::RotaryFrequencies);
    let expected = transformer.frequencies();
    let mut found = vec![0.0; expected.len()];
    if let Some(rotary) = rotary {
        rotary.rows.read(0, &mut found);
    }
    if rotary.is_some() && found != expected {
        return Err(TrainError::Config {
            field: "rope_scaling",
            expected: "none".to_owned(),
            found: json["rope_scaling"].to_string(),
        });
    }
    Ok(transformer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::shape::{Kind, Preset};

    #[test]
    fn a_configuration_says_the_epsilon_that_is_meant() {
        let llama = Preset::P50k.shape(Kind::Llama).config(65);
        let json = config_json(&llama, Some(64)).expect("a checkpoint can say it");
        assert_eq!(json["rms_norm_eps"].to_string(), "0.00001");
        assert_eq!((json["eos_token_id"].as_u64(), json["hidden_size"].as_u64()), (Some(64), Some(48)));
    }

    #[test]
    fn recurrent_configurations_are_read_as_they_are_written() {
        for (kind, cell) in [(Kind::Lstm, Cell::Lstm), (Kind::Gru, Cell::Gru)] {
            let config = Preset::P250k.shape(kind).config(65);
            let json = config_json(&config, None).expect("a checkpoint can say it");
            assert_eq!(Config::Recurrent(read_recurrent(&json, cell).expect("the same")), config);
        }
        let two_ways = json!({"vocab_size": 9, "hidden_size": 4, "bidirectional": true});
        let error = read_recurrent(&two_ways, Cell::Lstm).expect_err("no language model");
        assert!(error.to_string().contains("bidirectional"), "{error}");
    }
}
