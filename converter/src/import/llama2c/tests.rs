//! Made-up files in both layouts, and what is wrong with damaged ones.

use super::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len.
const SIZES: [i32; 7] = [12, 10, 2, 3, 1, 5, 7];

fn bytes(parts: &[Part], header: Vec<u8>, tied: bool) -> Vec<u8> {
    let [width, hidden, layers, heads, kv_heads, vocabulary, context] = SIZES.map(i32::unsigned_abs);
    let layout = header::Layout::Legacy;
    let header_fields = Header { layout, width, hidden, layers, heads, kv_heads, vocabulary, context, tied };
    let model = description(&header_fields);
    let mut bytes = header;
    for &part in parts {
        let ([rows, cols], count) = part.shape(&model);
        for layer in 0..count {
            for i in 0..rows * cols {
                bytes.extend(weight(part, layer, i).to_le_bytes());
            }
        }
    }
    bytes
}

/// Number `i` of a tensor: its place in words.
fn weight(part: Part, layer: usize, i: usize) -> f32 {
    (part as usize * 100_000 + layer * 10_000 + i) as f32
}

fn legacy(tied: bool) -> Vec<u8> {
    let mut sizes = SIZES;
    if !tied {
        sizes[5] = -sizes[5];
    }
    bytes(&Part::LEGACY, sizes.into_iter().flat_map(i32::to_le_bytes).collect(), tied)
}

fn version_1(tied: bool) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(0x616b_3432u32.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    header.extend(SIZES.into_iter().flat_map(i32::to_le_bytes));
    header.push(u8::from(tied));
    header.resize(256, 0);
    bytes(&Part::VERSION_1, header, tied)
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.bin");
    fs::write(&path, bytes).expect("written");
    (folder, path)
}

fn import_bytes(bytes: &[u8]) -> Result<Checkpoint<'static>, ImportError> {
    let (_folder, path) = file(bytes);
    import(&path, |vocabulary| Ok(vocabulary.to_le_bytes().to_vec()))
}

fn all(rows: &dyn Rows) -> Vec<f32> {
    let mut weights = vec![0.0; rows.rows() * rows.cols()];
    rows.read_block(0, &mut weights);
    weights
}

/// The numbers of some parts of one layer, one part after the other.
fn expected(parts: &[(Part, usize)], layer: u16) -> Vec<f32> {
    let numbers = |&(part, len): &(Part, usize)| (0..len).map(move |i| weight(part, usize::from(layer), i));
    parts.iter().flat_map(numbers).collect()
}

#[test]
fn every_tensor_is_found_in_both_layouts() {
    use Part::{AttentionNorm, Down, Embedding, FfnNorm, FinalNorm, Gate, Head, Key, Out, Query, Up, Value};
    for (bytes, tied) in
        [(legacy(true), true), (legacy(false), false), (version_1(true), true), (version_1(false), false)]
    {
        let checkpoint = import_bytes(&bytes).expect("imported");
        assert_eq!(checkpoint.architecture.tied(), tied);
        assert_eq!(checkpoint.tensors.len(), Slots::new(&checkpoint.architecture).total());
        for tensor in &checkpoint.tensors {
            let parts: &[(Part, usize)] = match tensor.role {
                Role::Embedding => &[(Embedding, 60)],
                Role::AttentionNorm => &[(AttentionNorm, 12)],
                Role::Qkv => &[(Query, 144), (Key, 48), (Value, 48)],
                Role::AttentionOut => &[(Out, 144)],
                Role::FfnNorm => &[(FfnNorm, 12)],
                Role::FfnUp => &[(Gate, 120), (Up, 120)],
                Role::FfnDown => &[(Down, 120)],
                Role::FinalNorm => &[(FinalNorm, 12)],
                Role::Head => &[(Head, 60)],
                Role::RotaryFrequencies => {
                    assert_eq!(all(&*tensor.rows), [1.0, 0.01]);
                    continue;
                }
                role => panic!("{role:?}"),
            };
            assert_eq!(all(&*tensor.rows), expected(parts, tensor.layer), "{}", tensor.source);
        }
    }
}

#[test]
fn the_description_is_that_of_a_llama() {
    let checkpoint = import_bytes(&legacy(true)).expect("imported");
    let model = *checkpoint.architecture.transformer().expect("one");
    assert_eq!((model.vocabulary, model.width, model.layers, model.hidden), (5, 12, 2, 10));
    assert_eq!((model.heads, model.kv_heads, model.head_width, model.context), (3, 1, 4, 7));
    assert_eq!((model.rotary_width, model.attention_scale, model.epsilon), (4, 0.5, 1e-5));
    assert_eq!(model.positions, Positions::Rotary(Pairing::Interleaved));
    assert_eq!(checkpoint.tokenizer, 5u32.to_le_bytes());
    assert_eq!(checkpoint.stop_tokens, [1, 2]);
    let metadata = [("name", "tiny"), ("source", "llama2.c checkpoint (legacy)")];
    assert_eq!(checkpoint.metadata, metadata.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn every_other_length_is_an_error() {
    for bytes in [legacy(true), legacy(false), version_1(true), version_1(false)] {
        let longer = import_bytes(&[&bytes[..], &[0]].concat()).err().expect("an error").to_string();
        assert!(longer.contains(&format!("expected {} bytes", bytes.len())), "{longer}");
        let (_folder, path) = file(&bytes);
        let open = fs::OpenOptions::new().write(true).open(&path).expect("opened");
        for len in (0..bytes.len() as u64).rev() {
            open.set_len(len).expect("cut");
            let error = import(&path, |_| Ok(Vec::new())).err().expect("an error");
            assert!(matches!(error, ImportError::Problems(_)), "{len}: {error}");
            assert!(error.to_string().contains(&format!("found {len} bytes")), "{len}: {error}");
        }
    }
}

#[test]
fn every_absurd_size_is_an_error_that_names_its_field() {
    let names = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len"];
    for (i, name) in names.into_iter().enumerate() {
        for value in [0, -1, i32::MIN, i32::MAX, 1 << 25] {
            // A negative vocabulary of the legacy layout is a size and a flag.
            let at = [4 * i, 8 + 4 * i];
            for (mut bytes, at) in [legacy(true), version_1(true)].into_iter().zip(at) {
                let is_flag = at == 20 && value == -1;
                bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
                let error = import_bytes(&bytes).err().expect("an error").to_string();
                assert!(error.contains(&format!("`{name}`")) || is_flag, "{name} {value}: {error}");
            }
        }
    }
}

#[test]
fn all_problems_of_a_header_are_named() {
    let header = [-12, 0, 2, 5, 3, 5, 1 << 20].map(i32::to_le_bytes).concat();
    let error = import_bytes(&header).err().expect("an error");
    let ImportError::Problems(problems) = error else { panic!("{error}") };
    let fields: Vec<_> = problems.iter().map(|problem| problem.subject.as_str()).collect();
    let expected = ["dim", "hidden_dim", "max_seq_len", "n_kv_heads", "dim"];
    assert_eq!(fields, expected.map(|field| format!("header field `{field}`")));
}

#[test]
fn a_head_wider_than_the_format_allows_is_an_error() {
    let header = [2052, 10, 1, 1, 1, 5, 7].map(i32::to_le_bytes).concat();
    let error = import_bytes(&header).err().expect("an error").to_string();
    assert!(error.contains("head width"), "{error}");
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let header = [1 << 16, 131_071, 1 << 10, 1 << 10, 1 << 10, -(1 << 24), 131_071].map(i32::to_le_bytes);
    let error = import_bytes(&header.concat()).err().expect("an error").to_string();
    assert!(error.contains("found 28 bytes"), "{error}");
}

#[test]
fn other_versions_are_errors_that_say_what_to_do() {
    for (version, word) in [(2u32, "--version 1"), (0, "found 0"), (3, "found 3"), (u32::MAX, "found -1")] {
        let mut bytes = version_1(true);
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        let error = import_bytes(&bytes).err().expect("an error").to_string();
        assert!(error.contains("`version`") && error.contains(word), "{error}");
    }
}

#[test]
fn a_tokenizer_that_fails_is_an_error() {
    let (_folder, path) = file(&legacy(true));
    let problem = Problem {
        file: "tokenizer.bin".into(),
        subject: "length".into(),
        expected: "5".into(),
        found: "4".into(),
        remedy: "",
    };
    let error = import(&path, |_| Err(problem.into())).err().expect("an error");
    assert_eq!(error.to_string(), "tokenizer.bin: length: expected 5, found 4");
}
