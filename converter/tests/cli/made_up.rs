//! A small llama2.c checkpoint with random weights and its tokenizer, so that the command is tested without data.

use std::io::Write;
use std::path::Path;

/// Names of the files that [`write`] makes.
pub(crate) const CHECKPOINT: &str = "made.up.bin";
pub(crate) const TOKENIZER: &str = "made-up-tokenizer.bin";

/// Width, hidden width, layers, heads, key/value heads, vocabulary, context.
pub(crate) const SIZES: [u32; 7] = [24, 40, 2, 4, 2, 320, 48];

/// Numbers in a checkpoint of these sizes with a tied output head, as `llama2.c/export.py` lays them out.
fn numbers([width, hidden, layers, heads, kv_heads, vocabulary, context]: [u32; 7]) -> u64 {
    let head = width / heads;
    let block = 2 * width + 2 * width * width + 2 * width * kv_heads * head + 3 * width * hidden;
    u64::from(vocabulary) * u64::from(width)
        + u64::from(layers) * u64::from(block)
        + u64::from(width + context * head)
}

/// The checkpoint's bytes; `weight(i)` is its number `i`.
pub(crate) fn checkpoint(weight: impl Fn(u64) -> f32) -> Vec<u8> {
    let header = SIZES.iter().flat_map(|size| size.to_le_bytes());
    header.chain((0..numbers(SIZES)).flat_map(|i| weight(i).to_le_bytes())).collect()
}

/// A number within ±0.25 that looks random.
pub(crate) fn weight(i: u64) -> f32 {
    let mixed = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1 << 25) as f32 - 0.25
}

/// Puts checkpoint and tokenizer into `folder`.
pub(crate) fn write(folder: &Path) {
    std::fs::write(folder.join(CHECKPOINT), checkpoint(weight)).expect("written");
    std::fs::write(folder.join(TOKENIZER), tokenizer()).expect("written");
}

/// A checkpoint of about 100 million zeros that takes no room on the disk, for what takes time.
pub(crate) fn write_large(folder: &Path) {
    let sizes = [512, 2048, 24, 8, 8, 320, 64];
    let mut file = std::fs::File::create(folder.join(CHECKPOINT)).expect("created");
    file.write_all(&sizes.map(u32::to_le_bytes).concat()).expect("written");
    file.set_len(28 + 4 * numbers(sizes)).expect("room");
    std::fs::write(folder.join(TOKENIZER), tokenizer()).expect("written");
}

/// Three special tokens, 256 bytes, the printable characters, and some that are never used.
fn tokenizer() -> Vec<u8> {
    let special = ["<unk>", "\n<s>\n", "\n</s>\n"].map(String::from);
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let characters = (' '..).take(SIZES[5] as usize - 259).map(String::from);
    let mut section = 8u32.to_le_bytes().to_vec();
    for (id, text) in special.into_iter().chain(bytes).chain(characters).enumerate() {
        section.extend((-(id as f32)).to_le_bytes());
        section.extend((text.len() as u32).to_le_bytes());
        section.extend(text.as_bytes());
    }
    section
}

/// A folder with a checkpoint, its tokenizer and the import of both, `m.whit`, in the encoding asked for.
pub(crate) fn imported(weights: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let args = ["import", CHECKPOINT, "--tokenizer", TOKENIZER, "-o", "m.whit", "--weights", weights];
    crate::command::succeed(folder.path(), &args);
    folder
}
