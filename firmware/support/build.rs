//! Lists the models that programs include: those in `models` of the repository with the texts on their cards, or of them those
//! that the environment variable `WHIT_MODELS` names, apart by commas; and the file that `generate` runs, which
//! `WHIT_MODEL` may name.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let models = root.join("models");
    let named = env::var("WHIT_MODELS").ok();
    let mut list = String::new();
    for folder in folders(&models)? {
        let name = folder.file_name().unwrap_or_default();
        if named.as_ref().is_none_or(|named| named.split(',').any(|named| named == name)) {
            list += &entry(&folder)?;
        }
    }
    let built_in = models.join("shakespeare-lstm/model.whit");
    let model = env::var_os("WHIT_MODEL").map_or(built_in, PathBuf::from).canonicalize()?;
    let mut source = format!("/// Every model in `models`.\npub const MODELS: &[Included] = &[{list}];\n");
    writeln!(source, "/// The model that `generate` runs.")?;
    writeln!(source, "pub const MODEL: &[u8] = whit::include_model!({model:?});")?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("models.rs"), source)?;
    println!("cargo::rerun-if-env-changed=WHIT_MODEL");
    println!("cargo::rerun-if-env-changed=WHIT_MODELS");
    println!("cargo::rerun-if-changed={}", models.display());
    Ok(())
}

/// The folders in `models`, in order of their names.
fn folders(models: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Result<Vec<_>, _> =
        fs::read_dir(models)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut folders: Vec<_> = entries?.into_iter().filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

/// What a program knows of the model in `folder`.
fn entry(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let card: toml::Table = fs::read_to_string(folder.join("card.toml"))?.parse()?;
    let golden = card["golden"].as_table().ok_or("a card has a golden text")?;
    Ok(format!(
        "Included {{ name: {}, bytes: whit::include_model!({:?}), \
         golden: Golden {{ prompt: {}, tokens: {}, text: {:?} }} }},",
        card["name"],
        folder.join("model.whit"),
        golden["prompt"],
        golden["tokens"],
        golden["text"].as_str().ok_or("the golden text is a text")?,
    ))
}
