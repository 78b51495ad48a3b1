//! The tensors of `model.safetensors`, or of the shards that `model.safetensors.index.json` lists, by name.

use super::config::shown;
use crate::import::rows::{Element, Order, Stored};
use crate::import::{ImportError, Problem};
use crate::map::Map;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::sync::Arc;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A tensor as the header of its file describes it.
#[derive(Debug)]
struct Found {
    file: Arc<str>,
    map: Arc<Map>,
    /// The name in the file, with its prefix.
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
}

/// All tensors of a checkpoint. Asking for one takes it; what nobody asked for is reported at the end.
#[derive(Debug)]
pub(super) struct Shards {
    /// By name without the prefix.
    tensors: BTreeMap<String, Found>,
    prefix: &'static str,
    file: String,
    dtypes: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Shards {
    /// Maps the files in `directory` and reads their headers. Names are known with and without `prefix`.
    pub(super) fn open(directory: &Path, prefix: &'static str) -> Result<Self, ImportError> {
        let single = directory.join(SINGLE).exists();
        let file = if single { SINGLE } else { INDEX }.to_owned();
        let mut shards =
            Self { tensors: BTreeMap::new(), prefix, file, dtypes: BTreeSet::new(), problems: Vec::new() };
        if single {
            shards.add(directory, SINGLE)?;
        } else {
            let weight_map = read_index(directory)?;
            for file in weight_map.values().collect::<BTreeSet<_>>() {
                shards.add(directory, file)?;
            }
            shards.check_index(&weight_map);
        }
        Ok(shards)
    }

    /// The names of all tensors that nobody asked for yet.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of the tensor `name`, unless it is missing.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|found| &found.shape[..])
    }

    /// The element types taken so far, as the files name them.
    pub(super) fn dtypes(&self) -> String {
        self.dtypes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Takes the matrix `name`, seen as `rows` × `cols`; a problem if it is not there as expected.
    pub(super) fn matrix(&mut self, name: &str, [rows, cols]: [usize; 2], order: Order) -> Option<Stored> {
        let shape = match order {
            Order::Rows => [rows, cols],
            Order::Columns => [cols, rows],
        };
        self.take(name, &shape, [rows, cols], order)
    }

    /// Takes the vector `name` as one row; a problem if it is not there as expected.
    pub(super) fn vector(&mut self, name: &str, len: usize) -> Option<Stored> {
        self.take(name, &[len], [1, len], Order::Rows)
    }

    fn take(&mut self, name: &str, shape: &[usize], view: [usize; 2], order: Order) -> Option<Stored> {
        let Some(found) = self.tensors.remove(name) else {
            let (prefix, remedy) = match name.starts_with("lm_head.") {
                true => ("", "if the output head is the embedding, set `tie_word_embeddings` to true"),
                false => (self.prefix, ""),
            };
            let subject = format!("tensor `{prefix}{name}`");
            self.problem(self.file.clone(), subject, format!("shape {shape:?}"), "nothing", remedy);
            return None;
        };
        let Found { file, map, name, dtype, shape: actual, start } = found;
        let subject = format!("tensor `{name}`");
        let element = match dtype {
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            other => {
                let remedy = "save the checkpoint in one of these types";
                self.problem(
                    file.to_string(),
                    subject,
                    "type F32, F16 or BF16",
                    format!("{other:?}"),
                    remedy,
                );
                return None;
            }
        };
        if actual != shape {
            let expected = format!("shape {shape:?}");
            self.problem(file.to_string(), subject, expected, format!("shape {actual:?}"), "");
            return None;
        }
        self.dtypes.insert(format!("{dtype:?}"));
        let stored = Stored::new(map, start, element, view, order);
        if stored.is_none() {
            self.problem(file.to_string(), subject, "bytes inside the file", "an end beyond it", "");
        }
        stored
    }

    /// Forgets the tensors that take no part in the arithmetic.
    pub(super) fn ignore(&mut self, is_ignored: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| !is_ignored(name));
    }

    /// The problems kept, and one for every tensor that was not taken.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        for (_, found) in std::mem::take(&mut self.tensors) {
            self.problem(
                found.file.to_string(),
                format!("tensor `{}`", found.name),
                "no tensor of this name",
                format!("shape {:?}", found.shape),
                "the configuration describes a model without it",
            );
        }
        self.problems
    }

    fn problem(
        &mut self,
        file: String,
        subject: String,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: &'static str,
    ) {
        self.problems.push(Problem { file, subject, expected: expected.into(), found: found.into(), remedy });
    }

    fn add(&mut self, directory: &Path, file: &str) -> Result<(), ImportError> {
        let path = directory.join(file);
        let map = Arc::new(Map::open(&path).map_err(|source| ImportError::io(&path, source))?);
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|error| damaged(file, "a safetensors file", error.to_string()))?;
        let file: Arc<str> = file.into();
        for (name, info) in metadata.tensors() {
            let known = name.strip_prefix(self.prefix).unwrap_or(&name).to_owned();
            let found = Found {
                file: file.clone(),
                map: map.clone(),
                name: name.clone(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                start: info.data_offsets.0.saturating_add(header).saturating_add(8),
            };
            if let Some(other) = self.tensors.insert(known, found) {
                let found = format!("a second one, `{}` in {}", other.name, other.file);
                self.problem(file.to_string(), format!("tensor `{name}`"), "one tensor", found, "");
            }
        }
        Ok(())
    }

    /// Every tensor that the index lists must be in the shard that it says.
    fn check_index(&mut self, weight_map: &BTreeMap<String, String>) {
        for (name, file) in weight_map {
            let known = name.strip_prefix(self.prefix).unwrap_or(name);
            let found = match self.tensors.get(known) {
                Some(found) if *found.file == **file => continue,
                Some(found) => format!("it in {}", found.file),
                None => format!("nothing in {file}"),
            };
            let expected = format!("it in {file}");
            self.problem(
                INDEX.to_owned(),
                format!("tensor `{name}`"),
                expected,
                found,
                "fetch the files again",
            );
        }
    }
}

/// Which file holds which tensor.
fn read_index(directory: &Path) -> Result<BTreeMap<String, String>, ImportError> {
    let path = directory.join(INDEX);
    if !path.exists() {
        return Err(Problem {
            file: directory
                .file_name()
                .map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned()),
            subject: "weights".to_owned(),
            expected: format!("{SINGLE} or {INDEX}"),
            found: "neither".to_owned(),
            remedy: "save other formats as safetensors first",
        }
        .into());
    }
    let bytes = std::fs::read(&path).map_err(|source| ImportError::io(&path, source))?;
    let index: Value = serde_json::from_slice(&bytes)
        .map_err(|error| damaged(INDEX, "a JSON object", format!("bytes that are not JSON ({error})")))?;
    let weight_map = index
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| damaged(INDEX, "an object `weight_map`", "none".to_owned()))?;
    let mut files = BTreeMap::new();
    for (name, file) in weight_map {
        let plain = file.as_str().filter(|file| is_plain_name(file)).ok_or_else(|| {
            damaged(INDEX, "names of files in the same directory", format!("{} for `{name}`", shown(file)))
        })?;
        files.insert(name.clone(), plain.to_owned());
    }
    Ok(files)
}

/// Whether `file` is one name, so that an index cannot point outside of its directory.
fn is_plain_name(file: &str) -> bool {
    let mut components = Path::new(file).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

fn damaged(file: &str, expected: &str, found: String) -> ImportError {
    Problem {
        file: file.to_owned(),
        subject: "content".to_owned(),
        expected: expected.to_owned(),
        found,
        remedy: "fetch the file again",
    }
    .into()
}
