//! What the fuzz targets start from: small valid inputs, made here or by the script that lies beside them.

use crate::checkpoints::{self, Dtype, Options, Shape};
use crate::hostile::Folder;
use crate::synthetic::{Encodings, awkward, recurrents, widths};
use crate::{onnx, synthetic, tokenizers, whole};
use std::fs;
use whit::format::{Description, Encoding, Recurrent};
use whit_converter::import::tflite;
use whit_converter::integer::to_bytes;

/// The seeds of every target, by its name.
///
/// # Panics
/// If the system has no room for temporary files.
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("file", files()),
        ("integer_file", vec![integer_file()]),
        ("import_tflite", vec![TFLITE.into()]),
        ("tokenizer", sections()),
        ("tokenizer_json", jsons()),
        ("tokenizer_llama2c", vec![llama2c_tokenizer()]),
        ("import_llama2c", vec![llama2c(false, true), llama2c(false, false), llama2c(true, true)]),
        ("import_onnx", onnx_files()),
        (
            "import_safetensors",
            SHAPES.iter().zip(0..).map(|(name, i)| behind(&[i], &written(name).1)).collect(),
        ),
        (
            "import_config",
            SHAPES.iter().zip(0..).map(|(name, i)| behind(&[i / 3], &written(name).0)).collect(),
        ),
    ]
}

/// A model that TensorFlow wrote, see `make.py` beside it.
const TFLITE: &[u8] = include_bytes!("../files/digits/int8.tflite");

/// The `.whit` file of that model.
fn integer_file() -> Vec<u8> {
    let checkpoint = tflite::read(TFLITE, "int8.tflite").expect("a whole file");
    to_bytes(&checkpoint).expect("its layers fit together")
}

/// Shapes of Hugging Face checkpoints: three with the names of Llama's tensors, then one with GPT-2's.
const SHAPES: [&str; 4] = ["awkward-llama", "awkward-llama-biased", "awkward-mistral", "awkward-gpt2"];

/// `config.json` of every shape.
///
/// # Panics
/// As [`seeds`].
pub fn configurations() -> Vec<Vec<u8>> {
    SHAPES.iter().map(|name| written(name).0).collect()
}

/// Tensors of a Llama and of a GPT-2.
///
/// # Panics
/// As [`seeds`].
pub fn tensors() -> [Vec<u8>; 2] {
    ["awkward-llama", "awkward-gpt2"].map(|name| written(name).1)
}

/// `config.json` and `model.safetensors` of a shape, made as small as its tokenizer allows.
fn written(name: &str) -> (Vec<u8>, Vec<u8>) {
    let shape = Shape::named(name).expect("a known shape");
    let kv_heads = if shape.kv_heads == shape.heads { 2 } else { 1 };
    let small = Shape { width: 4, hidden: 6, layers: 1, heads: 2, kv_heads, head_width: 2, ..shape };
    let shape = Shape { vocabulary: 257, context: 8, ..small };
    let folder = Folder::new();
    let options = Options { dtype: Dtype::Bf16, ..Options::default() };
    checkpoints::write(folder.path(), &shape, &options).expect("the folder can be written");
    let read = |file: &str| fs::read(folder.path().join(file)).expect("it was just written");
    (read("config.json"), read("model.safetensors"))
}

fn behind(first: &[u8], rest: &[u8]) -> Vec<u8> {
    [first, rest].concat()
}

/// Whole models, as they are and to be mended, for both kinds of cache and every backend.
fn files() -> Vec<Vec<u8>> {
    let small = Description { width: 8, layers: 1, heads: 2, kv_heads: 1, head_width: 4, ..awkward() };
    let small = Description { rotary_width: 4, hidden: 9, context: 24, ..small };
    let encodings =
        [Encoding::F32, Encoding::F16, Encoding::I8, Encoding::I4 { group: 16 }, Encoding::I4 { group: 0 }];
    let wide = [Encoding::I8, Encoding::I4 { group: 16 }].map(|encoding| Encodings::all(encoding).wide());
    let model = |(i, encodings): (u8, Encodings)| {
        let bytes = whole::whole(small, encodings, tokenizers::characters(), i.into());
        [i << 2, i << 2 | 1, i << 2 | 3].map(|choice| behind(&[choice], &bytes))
    };
    (0..)
        .zip(encodings.map(Encodings::all).into_iter().chain(wide))
        .flat_map(model)
        .chain(recurrent_files())
        .collect()
}

/// Recurrent models of every cell and input, likewise.
fn recurrent_files() -> impl Iterator<Item = Vec<u8>> {
    let smaller = |recurrent: Recurrent| Recurrent { layers: 1, hidden: widths(&[6]), ..recurrent };
    let plain = recurrents().into_iter().filter(|(_, recurrent)| !recurrent.projected && !recurrent.tied);
    let model = move |(i, (_, recurrent)): (usize, (&str, Recurrent))| {
        let encoding = [Encoding::I8, Encoding::I4 { group: 16 }][i % 2];
        let bytes = synthetic::model(smaller(recurrent), Encodings::all(encoding), 1);
        behind(&[(i % 4) as u8 * 4 + 1], &bytes)
    };
    plain.enumerate().map(model)
}

/// A section behind its length, and a text.
fn sections() -> Vec<Vec<u8>> {
    let seed = |(_, section): (_, Vec<u8>)| {
        let len = (section.len() as u16).to_le_bytes();
        [&len[..], &section, "the end €😀 'll <|end|></s> 12".as_bytes()].concat()
    };
    tokenizers::sections().into_iter().map(seed).collect()
}

fn jsons() -> Vec<Vec<u8>> {
    let sources = [tokenizers::byte_level_json(&["th", "the"]), tokenizers::sentence_piece_json()];
    sources.iter().map(|json| json.to_string().into_bytes()).collect()
}

/// A `tokenizer.bin` behind its number of tokens.
fn llama2c_tokenizer() -> Vec<u8> {
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let texts: Vec<String> =
        ["<unk>", "\n<s>\n", "\n</s>\n"].into_iter().map(str::to_owned).chain(bytes).collect();
    let scored =
        [("t", -1.0f32), ("h", -2.0), ("e", -3.0), ("th", -4.0), ("the", -5.0), ("he", -6.0), (" ", -7.0)];
    let tokens = texts.iter().map(|text| (text.as_str(), 0.0)).chain(scored);
    let mut file = ((texts.len() + scored.len()) as u16).to_le_bytes().to_vec();
    file.extend(7u32.to_le_bytes());
    for (text, score) in tokens {
        file.extend(score.to_le_bytes());
        file.extend((text.len() as i32).to_le_bytes());
        file.extend(text.as_bytes());
    }
    file
}

/// A tagger over an embedding, and an unembedded GRU.
fn onnx_files() -> Vec<Vec<u8>> {
    vec![onnx::tagger(), onnx::gru()]
}

/// A checkpoint of one layer, in the legacy layout or version 1.
fn llama2c(version_1: bool, tied: bool) -> Vec<u8> {
    let (width, hidden, layers, heads, vocabulary, context) = (4i32, 6, 1, 2, 5, 8);
    let sizes = [
        width,
        hidden,
        layers,
        heads,
        heads,
        if tied || version_1 { vocabulary } else { -vocabulary },
        context,
    ];
    let mut file = if version_1 { [0x616b_3432i32, 1].map(i32::to_le_bytes).concat() } else { Vec::new() };
    file.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    if version_1 {
        file.push(u8::from(tied));
        file.resize(256, 0);
    }
    let layer = 4 * width * width + 3 * width * hidden + 2 * width;
    let angles = if version_1 { 0 } else { context * width / heads };
    let embeddings = if tied { 1 } else { 2 } * vocabulary * width;
    let numbers = embeddings + layer + width + angles;
    file.extend((0..numbers).flat_map(|i| ((i % 7) as f32 / 4.0 - 0.75).to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::{Outcome, exercise, export_all, mend, tokenize_valid};
    use whit::{AlignedBytes, CacheKind};
    use whit_converter::import::{huggingface, llama2c, onnx};
    use whit_converter::tokenizer::{llama2c as tokenizer_bin, tokenizer_json};

    fn of(target: &str) -> Vec<Vec<u8>> {
        seeds().into_iter().find(|(name, _)| *name == target).expect("a target").1
    }

    /// A seed that a target refuses at once would start it from nothing.
    #[test]
    fn seeds_of_files_and_tokenizers_are_taken() {
        for seed in of("file") {
            let file = if seed[0] & 1 == 0 { Some(AlignedBytes::from(&seed[1..])) } else { mend(&seed[1..]) };
            let file = file.expect("a description that can be mended");
            assert_eq!(exercise(&file, |model| (model, CacheKind::I8)), Outcome::Ran);
            assert!(file[..] == seed[1..], "there was nothing to mend");
        }
        for seed in of("tokenizer") {
            let len = usize::from(u16::from_le_bytes([seed[0], seed[1]]));
            tokenize_valid(&seed[2..2 + len], &seed[2 + len..]);
        }
        for seed in of("tokenizer_json") {
            let vocabulary = tokenizer_json::parse(&seed, "tokenizer.json".as_ref()).expect("taken");
            tokenize_valid(&vocabulary.to_section().expect("a section"), b"the end");
        }
        for seed in of("tokenizer_llama2c") {
            let count = usize::from(u16::from_le_bytes([seed[0], seed[1]]));
            let vocabulary =
                tokenizer_bin::parse(&seed[2..], count, "tokenizer.bin".as_ref()).expect("taken");
            tokenize_valid(&vocabulary.to_section().expect("a section"), b"the end");
        }
    }

    #[test]
    fn seeds_of_checkpoints_are_imported() {
        let folder = Folder::new();
        for seed in of("import_llama2c") {
            let path = folder.write("model.bin", &seed);
            export_all(&llama2c::import(&path, |_| Ok(Vec::new())).expect("taken"), folder.path());
        }
        for seed in of("import_onnx") {
            let path = folder.write("model.onnx", &seed);
            export_all(&onnx::import(&path, |_| Ok(Vec::new())).expect("taken"), folder.path());
        }
        let configurations = configurations();
        for (seed, config) in of("import_safetensors").iter().zip(&configurations) {
            folder.write("config.json", config);
            folder.write("model.safetensors", &seed[1..]);
            let checkpoint = huggingface::import(folder.path(), |_| Ok(Vec::new())).expect("taken");
            export_all(&checkpoint, folder.path());
        }
        // Biases and fewer key heads need other tensors; they start at an error that is not far.
        let fits: Vec<bool> = of("import_config")
            .iter()
            .map(|seed| {
                folder.write("config.json", &seed[1..]);
                folder.write("model.safetensors", &tensors()[usize::from(seed[0]) % 2]);
                huggingface::import(folder.path(), |_| Ok(Vec::new())).is_ok()
            })
            .collect();
        assert!(fits[0] && fits[3], "{fits:?}");
    }
}
