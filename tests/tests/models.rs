//! The models of this project: what their cards say, and their golden text on every backend.

use std::path::{Path, PathBuf};
use whit::format::Role;
use whit::kernels::Backend;
use whit::sampler::Sampling;
use whit::{AlignedBytes, Model};

/// Folders in `models` with a card.
fn folders() -> Vec<PathBuf> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let entries = std::fs::read_dir(models).expect("the folder is there");
    let folders: Vec<_> =
        entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    folders
}

fn read(folder: &Path) -> (toml::Table, AlignedBytes) {
    let card = std::fs::read_to_string(folder.join("card.toml")).expect("every model has a card");
    let bytes = std::fs::read(folder.join("model.whit")).expect("the model");
    let mut aligned = AlignedBytes::zeroed(bytes.len());
    aligned.copy_from_slice(&bytes);
    (card.parse().expect("TOML"), aligned)
}

#[test]
fn every_model_is_whole_and_as_its_card_says() {
    for folder in folders() {
        let (card, bytes) = read(&folder);
        let name = card["name"].as_str().expect("a name");
        assert_eq!(folder.file_name().and_then(|folder| folder.to_str()), Some(name));
        assert_eq!(card["bytes"].as_integer(), Some(bytes.len() as i64), "{name}");
        let model = Model::parse(&bytes).expect("a model");
        // Frequencies are computed, not learned.
        let learned = model.file().tensors.entries().filter(|entry| entry.role != Role::RotaryFrequencies);
        let parameters: usize = learned.map(|entry| entry.rows as usize * entry.cols as usize).sum();
        assert_eq!(card["parameters"].as_integer(), Some(parameters as i64), "{name}");
        whit_converter::verify::verify(&bytes, |check| {
            assert!(check.status != whit_converter::verify::Status::Failed, "{name}: {check:?}");
        });
    }
}

#[test]
fn every_model_writes_its_golden_text_on_every_backend() {
    for folder in folders() {
        let (card, bytes) = read(&folder);
        let golden = card["golden"].as_table().expect("a golden text");
        let [prompt, text] = ["prompt", "text"].map(|key| golden[key].as_str().expect("a text"));
        let tokens = golden["tokens"].as_integer().expect("a number") as usize;
        for backend in Backend::available() {
            let model = Model::parse(&bytes).expect("a model").with_backend(backend);
            let options = model.options(256);
            let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
            let mut session = model.session(&mut arena, options).expect("the arena is large enough");
            let greedy = Sampling { temperature: 0.0, ..model.sampling().expect("within range") };
            let generation = session.generate(prompt, &greedy).expect("the prompt fits").max_tokens(tokens);
            let written: String = generation.map(|piece| piece.to_string()).collect();
            assert_eq!(written, text, "{} on {}", card["name"], backend.name());
        }
    }
}
