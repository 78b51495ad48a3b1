//! From texts to what a run begins with: parts, a tokenizer, tokens, the files beside the weights.

use super::config::Config;
use super::data::{Parts, Shares, Tokens};
use super::directory::Files;
use super::run::{Corpus, RunError};
use super::tokenizer::{self, Choice, END_OF_TEXT, TextTokenizer, Texts, make};
use super::{checkpoint::config_json, error::TrainError};
use crate::eval::Text;
use serde_json::{Value, json};
use std::path::Path;
use whit::format::Crc32;

/// The tokenizer's files that a model directory may hold.
const TOKENIZER_FILES: [&str; 5] =
    [tokenizer::FILE, "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"];

/// The text as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// All of it.
    pub text: &'t [u8],
    /// What validates instead of a share of it.
    pub validation: Option<&'t [u8]>,
    /// What stands between two documents.
    pub separator: Option<&'t str>,
    /// What does not train.
    pub shares: Shares,
}

/// A text in tokens.
pub struct Tokenized {
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
    /// The tokenizer's files, for a model directory.
    pub files: Files,
    /// The tokens.
    pub corpus: Corpus,
}

impl Source<'_> {
    /// Learns a tokenizer from the text.
    ///
    /// # Errors
    /// If the text cannot be that kind's, or leaves nothing to train on.
    pub fn tokenize(&self, choice: Choice) -> Result<Tokenized, RunError> {
        let parts = self.parts();
        let other: Vec<_> = parts.validation.iter().chain(&parts.test).copied().collect();
        let texts = Texts { training: &parts.training, other: &other };
        let json = make(choice, &texts, self.separator.is_some()).map_err(RunError::Asked)?;
        let tokenizer = TextTokenizer::new(&json, Path::new(tokenizer::FILE))?;
        let mut files = Files::from([(tokenizer::FILE.to_owned(), json.into_bytes())]);
        let end = self.separator.map(|_| END_OF_TEXT);
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": end,
            "eos_token": end,
            "clean_up_tokenization_spaces": false,
        });
        files.insert("tokenizer_config.json".to_owned(), lines(&config));
        Ok(Tokenized { corpus: corpus(&parts, &tokenizer)?, tokenizer, files })
    }

    /// Takes the tokenizer of the model in `directory`.
    ///
    /// # Errors
    /// If it cannot be read, cannot spell the text, or has no token for the separator.
    pub fn tokenize_as(&self, directory: &Path) -> Result<Tokenized, RunError> {
        let tokenizer = TextTokenizer::from_directory(directory)?;
        if self.separator.is_some() && tokenizer.end_of_text().is_none() {
            let directory = directory.display();
            let message =
                format!("{directory}: the tokenizer has no token for the end of a text; leave out --split");
            return Err(RunError::Asked(message));
        }
        let mut files = Files::new();
        for name in TOKENIZER_FILES {
            let path = directory.join(name);
            if path.is_file() {
                files.insert(name.to_owned(), std::fs::read(&path).map_err(RunError::io(&path))?);
            }
        }
        Ok(Tokenized { corpus: corpus(&self.parts(), &tokenizer)?, tokenizer, files })
    }

    fn parts(&self) -> Parts<'_> {
        let text = Text::new(self.text, self.separator);
        let Some(validation) = self.validation else { return Parts::new(text.documents(), self.shares) };
        let mut parts = Parts::new(text.documents(), Shares { validation: 0.0, ..self.shares });
        parts.validation = Text::new(validation, self.separator).documents().to_vec();
        parts
    }
}

fn corpus(parts: &Parts<'_>, tokenizer: &TextTokenizer) -> Result<Corpus, RunError> {
    let tokens = |documents: &[&[u8]]| Tokens::new(documents, tokenizer).map_err(RunError::Asked);
    let [training, validation, test] =
        [tokens(&parts.training)?, tokens(&parts.validation)?, tokens(&parts.test)?];
    Ok(Corpus { training, validation, test })
}

impl Tokenized {
    /// CRC-32 of all tokens.
    pub fn checksum(&self) -> u32 {
        let mut crc = Crc32::default();
        for part in [&self.corpus.training, &self.corpus.validation, &self.corpus.test] {
            part.ids.iter().for_each(|id| crc.update(&id.to_le_bytes()));
            crc.update(&[0]);
        }
        crc.value()
    }

    /// The config.json of `config` with this tokenizer.
    ///
    /// # Errors
    /// If no checkpoint can say it.
    pub fn config_json(&self, config: &Config) -> Result<Value, TrainError> {
        config_json(config, self.tokenizer.end_of_text())
    }

    /// All files beside the weights, given config.json.
    pub fn files(&self, config: &Value) -> Files {
        let generation = json!({
            "bos_token_id": config["bos_token_id"],
            "eos_token_id": config["eos_token_id"],
            "do_sample": true,
            "temperature": 0.8,
        });
        let mut files = self.files.clone();
        files.insert("config.json".to_owned(), lines(config));
        files.insert("generation_config.json".to_owned(), lines(&generation));
        files
    }
}

fn lines(json: &Value) -> Vec<u8> {
    format!("{json:#}\n").into_bytes()
}
