//! From a Hugging Face directory through importer, file and runtime: the logits are those that the independent f64
//! reference computes from the same directory.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use whit::format::Encoding;
use whit::{AlignedBytes, CacheKind, Model, SessionOptions, Token};
use whit_converter::export::{ExportOptions, export};
use whit_converter::import::huggingface;
use whit_converter::tokenizer;
use whit_tests::checkpoints::{self, Dtype, Options, Shape};
use whit_tests::reference::Reference;
use whit_tests::{data::data, npz};

/// The directory's model as a `.whit` file with f32 weights.
fn file(directory: &Path, with_tokenizer: bool) -> AlignedBytes {
    let checkpoint = huggingface::import(directory, |request| {
        let section = |directory| tokenizer::from_directory(directory)?.to_section();
        Ok(if with_tokenizer { section(request.directory).expect("a tokenizer") } else { Vec::new() })
    });
    let options = ExportOptions { weights: Encoding::F32, ..ExportOptions::default() };
    let out = directory.join("model.whit");
    let pending = export(&checkpoint.expect("imported"), &options, &out, |_| ControlFlow::Continue(()))
        .expect("exported");
    let len = usize::try_from(pending.report().bytes).expect("fits in memory");
    let mut bytes = AlignedBytes::zeroed(len);
    File::open(pending.path()).and_then(|mut file| file.read_exact(&mut bytes)).expect("read");
    bytes
}

/// Logits after each token, by the runtime with an f32 cache.
fn logits(bytes: &[u8], tokens: &[u32]) -> Vec<Vec<f32>> {
    let model = Model::parse(bytes).expect("the writer's files parse");
    model.file().verify_payload().expect("the payload's checksum");
    let options = SessionOptions { cache: CacheKind::F32, batch: 16, ..model.options(tokens.len()) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let tokens: Vec<Token> = tokens.iter().copied().map(Token).collect();
    let mut all = Vec::new();
    session.feed_each(&tokens, |_, logits| all.push(logits.to_vec())).expect("fits");
    all
}

/// Root mean square of the differences, relative to that of the expected logits.
fn deviation(found: &[Vec<f32>], expected: &[Vec<f64>]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    assert_eq!(found.len() * found[0].len(), expected.len() * expected[0].len());
    let difference = square(&mut pairs.map(|(found, expected)| f64::from(*found) - expected));
    (difference / square(&mut expected.iter().flatten().copied())).sqrt()
}

fn tokens(count: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * i * 31 + 7 * i + 5) % vocabulary) as u32).collect()
}

/// Relative deviation of a random model of the shape `name` over `count` tokens.
fn random_deviation(name: &str, dtype: Dtype, count: usize) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let shape = Shape::named(name).expect("a known name");
    let options = Options { dtype, shards: 2, ..Options::default() };
    checkpoints::write(directory.path(), &shape, &options).expect("written");
    let tokens = tokens(count, shape.vocabulary);
    let expected = Reference::open(directory.path()).logits(&tokens);
    deviation(&logits(&file(directory.path(), true), &tokens), &expected)
}

// f32 keeps 2^-24 = 6e-8 of each operation; the errors of a few layers add up to a few 1e-7.
const BOUND: f64 = 2e-6;

#[test]
fn awkward_models_have_the_logits_of_the_reference() {
    for name in ["awkward-llama", "awkward-llama-biased", "awkward-mistral", "awkward-gpt2"] {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
            let off = random_deviation(name, dtype, 33);
            assert!(off < BOUND, "{name} {dtype:?}: off by {off:e}");
        }
    }
}

#[test]
fn gpt2_small_has_the_logits_of_the_reference() {
    let off = random_deviation("gpt2-small", Dtype::Bf16, 5);
    assert!(off < BOUND, "off by {off:e}");
}

#[test]
fn smollm2_135m_has_the_logits_of_the_reference() {
    let off = random_deviation("smollm2-135m", Dtype::Bf16, 5);
    assert!(off < BOUND, "off by {off:e}");
}

#[test]
fn a_published_gpt2_of_width_two_has_the_logits_of_the_reference() {
    let Some(source) = data("models/tiny_gpt2_lmbuddy") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(source.join(name), directory.path().join(name)).expect("copied");
    }
    let tokens = tokens(40, 21);
    let expected = Reference::open(directory.path()).logits(&tokens);
    let off = deviation(&logits(&file(directory.path(), false), &tokens), &expected);
    // Its layer norms see two elements, whose difference may cancel: a few digits are lost.
    assert!(off < 1e-4, "off by {off:e}");
}

#[test]
fn stories260k_by_way_of_hugging_face_has_its_recorded_logits() {
    let Some(bin) = data("llama2c/stories260K.bin") else { return };
    let Some(golden) = data("goldens/stories260K/greedy.npz") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    checkpoints::write_llama2c(&bin, directory.path()).expect("written");
    let ids = npz::read(&golden, "token_ids").expect("token ids").values;
    let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
    let golden = npz::read(&golden, "logits").expect("logits").values;
    let found = logits(&file(directory.path(), false), &ids);
    let differences = found.iter().flatten().zip(&golden).map(|(a, b)| (f64::from(*a) - b).abs());
    let largest = differences.fold(0.0, f64::max);
    assert!(largest < 1e-3, "logits differ by up to {largest}");
}
