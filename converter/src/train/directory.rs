//! The directory of a run: what a reader of checkpoints finds, and what `--resume` needs.

use super::files::{remove_unfinished, write_whole};
use super::model::Model;
use super::parameters::NamedTensor;
use super::recipe::Recipe;
use super::run::{Best, RunError};
use super::{metrics, tensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "model.safetensors";
const TRAINING: &str = "training";
const STATE: &str = "state.safetensors";

/// The field of the state's metadata; its value also tells versions apart.
const FIELD: &str = "whit-training-1";

const WEIGHT: &str = "weight/";
const OPTIMIZER: &str = "optimizer/";
const CARRIED: &str = "carried";

/// Files of a directory by name: configuration and tokenizer.
pub type Files = BTreeMap<String, Vec<u8>>;

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) recipe: Recipe,
    pub(super) step: u64,
    pub(super) best: Option<Best>,
    /// Validations since then.
    pub(super) without_gain: u32,
}

/// All that the next step depends on.
pub(super) struct Saved {
    pub(super) progress: Progress,
    pub(super) weights: Vec<NamedTensor>,
    pub(super) optimizer: Vec<NamedTensor>,
    /// What recurrent layers remember.
    pub(super) carried: Vec<f32>,
}

/// A directory that belongs to one run.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Makes `path` the directory of a run, or finds that it is one.
    ///
    /// # Errors
    /// If it holds other things than a run leaves, or, unless `resume`, a run.
    pub(super) fn open(path: &Path, files: &Files, resume: bool) -> Result<Self, RunError> {
        let this = Self(path.to_owned());
        fs::create_dir_all(path).map_err(RunError::io(path))?;
        remove_unfinished(path);
        let entries = fs::read_dir(path).map_err(RunError::io(path))?.flatten();
        let names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let state = this.state();
        if !resume && state.exists() {
            return Err(this.wrong("a new directory", "a training run; --resume goes on with it"));
        }
        // What a run leaves that was killed before its first save.
        let own = |name: &&String| {
            let known =
                [MODEL, TRAINING, metrics::FILE].contains(&name.as_str()) || files.contains_key(*name);
            resume && known
        };
        if let Some(other) = names.iter().find(|name| !state.exists() && !own(name)) {
            return Err(
                this.wrong("a new or empty directory", &format!("`{other}` in it; choose another with -o"))
            );
        }
        let training = path.join(TRAINING);
        fs::create_dir_all(&training).map_err(RunError::io(&training))?;
        remove_unfinished(&training);
        Ok(this)
    }

    /// Writes configuration and tokenizer.
    pub(super) fn write(&self, files: &Files) -> Result<(), RunError> {
        for (name, bytes) in files {
            let path = self.0.join(name);
            write_whole(&path, bytes).map_err(RunError::io(&path))?;
        }
        Ok(())
    }

    /// Makes `model` what readers of checkpoints find.
    pub(super) fn save_model(&self, model: &Model) -> Result<(), RunError> {
        let path = self.0.join(MODEL);
        // The Hugging Face library asks for this field.
        tensors::write(&path, model.tensors(), ("format", "pt")).map_err(RunError::io(&path))
    }

    /// The weights that [`Self::save_model`] saved.
    pub(super) fn load_model(&self) -> Result<Vec<NamedTensor>, RunError> {
        let path = self.0.join(MODEL);
        Ok(tensors::read(&path, "format").map_err(RunError::io(&path))?.0)
    }

    /// Saves what `--resume` goes on from.
    pub(super) fn save_state(&self, saved: Saved) -> Result<(), RunError> {
        let Saved { progress, weights, optimizer, carried } = saved;
        let prefixed = |prefix: &'static str| {
            move |tensor: NamedTensor| NamedTensor { name: format!("{prefix}{}", tensor.name), ..tensor }
        };
        let carried = NamedTensor { name: CARRIED.to_owned(), shape: vec![carried.len()], values: carried };
        let all = weights.into_iter().map(prefixed(WEIGHT));
        let all = all.chain(optimizer.into_iter().map(prefixed(OPTIMIZER))).chain([carried]);
        let path = self.state();
        let io = RunError::io(&path);
        let text = serde_json::to_string(&progress).map_err(|error| io(error.into()))?;
        tensors::write(&path, all, (FIELD, &text)).map_err(&io)
    }

    /// What was saved last; `None` if nothing was.
    pub(super) fn load_state(&self) -> Result<Option<Saved>, RunError> {
        let path = self.state();
        if !path.exists() {
            return Ok(None);
        }
        let io = RunError::io(&path);
        let (tensors, text) = tensors::read(&path, FIELD).map_err(&io)?;
        let progress = serde_json::from_str(&text).map_err(|error| io(error.into()))?;
        let (mut weights, mut optimizer, mut carried) = (Vec::new(), Vec::new(), Vec::new());
        for tensor in tensors {
            if let Some(name) = tensor.name.strip_prefix(WEIGHT) {
                weights.push(NamedTensor { name: name.to_owned(), ..tensor });
            } else if let Some(name) = tensor.name.strip_prefix(OPTIMIZER) {
                optimizer.push(NamedTensor { name: name.to_owned(), ..tensor });
            } else {
                carried = tensor.values;
            }
        }
        Ok(Some(Saved { progress, weights, optimizer, carried }))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn state(&self) -> PathBuf {
        self.0.join(TRAINING).join(STATE)
    }

    fn wrong(&self, expected: &str, found: &str) -> RunError {
        RunError::Asked(format!("{}: expected {expected}, found {found}", self.0.display()))
    }
}
