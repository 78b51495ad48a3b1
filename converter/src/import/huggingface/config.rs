//! Typed, checked access to the fields of a JSON configuration; every problem is kept, none stops the reading.

use crate::import::{ImportError, Problem};
use serde_json::{Map, Value};
use std::path::Path;

/// The fields of one JSON object. A field that is `null` counts as absent.
#[derive(Debug)]
pub(super) struct Fields {
    file: String,
    /// Path of the object inside the file: empty, or "rope_scaling.".
    prefix: String,
    object: Map<String, Value>,
    problems: Vec<Problem>,
}

/// The only value of a field that whit can compute with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Only {
    /// Absent or `null`.
    Absent,
    /// `false`, or absent.
    False,
    /// A number, or absent.
    Number(f64),
    /// An empty list or object, or absent.
    Empty,
    /// A text, or absent.
    Text(&'static str),
}

impl Fields {
    /// Reads the JSON object in `directory/file`.
    pub(super) fn open(directory: &Path, file: &str) -> Result<Self, ImportError> {
        let path = directory.join(file);
        let bytes = std::fs::read(&path).map_err(|source| ImportError::io(&path, source))?;
        let problem = |found: String| Problem {
            file: file.to_owned(),
            subject: "content".to_owned(),
            expected: "a JSON object".to_owned(),
            found,
            remedy: "fetch the file again",
        };
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => {
                Ok(Self { file: file.to_owned(), prefix: String::new(), object, problems: Vec::new() })
            }
            Ok(other) => Err(problem(kind(&other).to_owned()).into()),
            Err(error) => Err(problem(format!("bytes that are not JSON ({error})")).into()),
        }
    }

    /// The value of `name` unless it is absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether `name` is there, be it as `null`.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// Names of all fields that are not `null`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.object.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// Keeps a problem with field `name`.
    pub(super) fn problem(
        &mut self,
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: &'static str,
    ) {
        self.problems.push(Problem {
            file: self.file.clone(),
            subject: format!("field `{}{name}`", self.prefix),
            expected: expected.into(),
            found: found.into(),
            remedy,
        });
    }

    /// A count from 1 to `most`. On a problem the answer is 1.
    pub(super) fn count(&mut self, name: &str, default: Option<u32>, most: u32) -> u32 {
        let expected = format!("a whole number from 1 to {most}");
        match (self.get(name), default) {
            (None, Some(default)) => return default,
            (None, None) => self.problem(name, expected, "nothing", "add it"),
            (Some(value), _) => match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
                Some(value) if (1..=most).contains(&value) => return value,
                _ => self.problem(name, expected, shown(value), ""),
            },
        }
        1
    }

    /// A number that is not negative. On a problem the answer is 1.
    pub(super) fn number(&mut self, name: &str, default: Option<f64>) -> f64 {
        let expected = "a number that is not negative";
        match (self.get(name), default) {
            (None, Some(default)) => return default,
            (None, None) => self.problem(name, expected, "nothing", "add it"),
            (Some(value), _) => match value.as_f64() {
                Some(value) if value >= 0.0 && value <= f64::from(f32::MAX) => return value,
                _ => self.problem(name, expected, shown(value), ""),
            },
        }
        1.0
    }

    /// A number above zero. On a problem the answer is 1.
    pub(super) fn positive(&mut self, name: &str, default: Option<f64>) -> f64 {
        let value = self.number(name, default);
        if value > 0.0 {
            return value;
        }
        self.problem(name, "a number above zero", "0", "");
        1.0
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.get(name) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                let found = shown(other);
                self.problem(name, "true or false", found, "");
                default
            }
        }
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, default: &str) -> String {
        match self.get(name) {
            None => default.to_owned(),
            Some(Value::String(value)) => value.clone(),
            Some(other) => {
                let found = shown(other);
                self.problem(name, "a text", found, "");
                default.to_owned()
            }
        }
    }

    /// An object inside this one, with its own problems: give it back to [`Self::merge`].
    pub(super) fn object(&mut self, name: &str) -> Option<Self> {
        match self.get(name)? {
            Value::Object(object) => Some(Self {
                file: self.file.clone(),
                prefix: format!("{}{name}.", self.prefix),
                object: object.clone(),
                problems: Vec::new(),
            }),
            other => {
                let found = shown(other);
                self.problem(name, "an object", found, "");
                None
            }
        }
    }

    /// Takes over the problems of an object inside this one.
    pub(super) fn merge(&mut self, inner: Self) {
        self.problems.extend(inner.problems);
    }

    /// Token ids under `name`: none, one, or a list; each below `vocabulary`.
    pub(super) fn tokens(&mut self, name: &str, vocabulary: u32) -> Vec<u32> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let values = match value {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        let mut tokens = Vec::new();
        for value in values {
            match value.as_u64().and_then(|token| u32::try_from(token).ok()) {
                Some(token) if token < vocabulary => tokens.push(token),
                _ => self.problem(
                    name,
                    format!("token ids below the vocabulary's size, {vocabulary}"),
                    shown(&value),
                    "correct the id or remove the field",
                ),
            }
        }
        tokens
    }

    /// Keeps a problem for every field of `table` that has another value than the only one that can be computed.
    pub(super) fn refuse(&mut self, table: &[(&str, Only)]) {
        for (name, only) in table {
            let Some(value) = self.get(name) else { continue };
            let (fits, expected) = match only {
                Only::Absent => (false, "nothing".to_owned()),
                Only::False => (*value == Value::Bool(false), "false".to_owned()),
                Only::Number(number) => (value.as_f64() == Some(*number), number.to_string()),
                Only::Text(text) => (value.as_str() == Some(text), format!("`{text}`")),
                Only::Empty => {
                    let empty = value.as_array().is_some_and(Vec::is_empty)
                        || value.as_object().is_some_and(Map::is_empty);
                    (empty, "nothing in it".to_owned())
                }
            };
            if !fits {
                let found = shown(value);
                self.problem(name, expected, found, "whit does not compute this variant");
            }
        }
    }

    /// The problems kept.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// A value as a message shows it: at most 60 characters.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
