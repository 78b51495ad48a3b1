//! Hostile files: whatever the bytes, a file is refused or runs; nothing panics, whoever computed the checksums.
//!
//! The test profile has overflow checks and debug assertions on, so that a wrapped index would be seen too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use whit::format::{
    Description, Encoding, File, HEADER_LEN, NormKind, Positions, Recurrent, Role, TABLE_SECTIONS, Tensors,
};
use whit::kernels::Backend;
use whit::tokenizer::{Tokenizer, TokenizerError};
use whit::{AlignedBytes, CacheKind, Error, Model};
use whit_converter::inspect::inspect;
use whit_converter::verify::{Status, verify};
use whit_tests::hostile::{Outcome, exercise, reseal, reseal_tables};
use whit_tests::synthetic::{Encodings, Random, awkward, recurrents};
use whit_tests::{synthetic, tokenizers, whole};

const SEED: u64 = 1;
const SECTION_ENTRY_LEN: usize = 24;

/// Runs a file; a panic names `case`.
fn survives(bytes: &[u8], case: &dyn Fn() -> String, backend: Backend, cache: CacheKind) -> Outcome {
    let run = || exercise(bytes, |model| (model.with_backend(backend), cache));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| panic!("{}", case()))
}

fn fastest() -> Backend {
    Backend::detect()
}

/// Backends, of which one after the other is taken.
fn backend(turn: usize) -> Backend {
    let all: Vec<Backend> = Backend::available().collect();
    all[turn % all.len()]
}

/// Bytes of header and tables.
fn tables_len(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[24..32].try_into().expect("eight bytes")) as usize
}

/// Offset and length of each section.
fn sections(bytes: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize;
    (0..7).map(|i| HEADER_LEN + i * SECTION_ENTRY_LEN).map(|at| (word(at + 8), word(at + 16))).collect()
}

#[test]
fn the_undamaged_file_runs_and_verifies() {
    let bytes = whole::tiny();
    assert!(whole::transcript_holds(&bytes));
    for cache in [CacheKind::F32, CacheKind::I8] {
        for backend in Backend::available() {
            assert_eq!(survives(&bytes, &|| "undamaged".into(), backend, cache), Outcome::Ran);
        }
    }
    let mut sealed = bytes.clone();
    reseal(&mut sealed);
    assert!(sealed[..] == bytes[..], "resealing computes what the writer computes");
}

#[test]
fn every_truncation_is_refused() {
    let bytes = whole::tiny();
    for len in 0..bytes.len() {
        let error = Model::parse(&bytes[..len]).expect_err("a part of the file is missing");
        assert!(matches!(error, Error::Truncated { .. }), "{len} bytes: {error}");
    }
}

#[test]
fn a_shorter_file_whose_header_agrees_is_refused() {
    let bytes = whole::tiny();
    for len in HEADER_LEN..bytes.len() {
        let mut cut = AlignedBytes::from(&bytes[..len]);
        cut[16..24].copy_from_slice(&(len as u64).to_le_bytes());
        reseal(&mut cut);
        assert!(Model::parse(&cut).is_err(), "{len} bytes");
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let bytes = whole::tiny();
    for more in [1, 63, 64, 1000] {
        let mut long = AlignedBytes::zeroed(bytes.len() + more);
        long[..bytes.len()].copy_from_slice(&bytes);
        assert!(Model::parse(&long).is_err());
        // And where the header owns them.
        let len = long.len() as u64;
        long[16..24].copy_from_slice(&len.to_le_bytes());
        reseal(&mut long);
        assert!(Model::parse(&long).is_err());
        let data_len = HEADER_LEN + 6 * SECTION_ENTRY_LEN + 16;
        let data = sections(&bytes)[6].1 + more;
        long[data_len..][..8].copy_from_slice(&(data as u64).to_le_bytes());
        reseal(&mut long);
        assert!(Model::parse(&long).is_err(), "the tensors do not cover their section");
    }
}

#[test]
fn bytes_at_an_odd_address_are_refused() {
    let bytes = whole::tiny();
    let mut room = AlignedBytes::zeroed(bytes.len() + 64);
    for excess in 1..64 {
        room[excess..][..bytes.len()].copy_from_slice(&bytes);
        let error = Model::parse(&room[excess..][..bytes.len()]).expect_err("misaligned");
        assert_eq!(error, Error::Misaligned { part: "the file's bytes", excess });
    }
}

/// All 255 other values of every byte.
#[test]
fn every_change_of_a_byte_in_header_and_tables_is_refused() {
    let mut bytes = whole::tiny();
    for at in 0..tables_len(&bytes) {
        let right = bytes[at];
        for change in 1..=255 {
            bytes[at] = right ^ change;
            assert!(Model::parse(&bytes).is_err(), "byte {at} ^ {change:#x}");
        }
        bytes[at] = right;
    }
}

/// Every bit alone, all bits, and the values 0, 1, 127, 128 and 255 of every byte, by someone who computes checksums.
#[test]
fn a_changed_byte_under_a_right_checksum_is_refused_or_runs() {
    let mut bytes = whole::tiny();
    let ran = AtomicUsize::new(0);
    for at in 0..tables_len(&bytes) {
        let right = bytes[at];
        let flips = (0..8).map(|bit| right ^ 1 << bit).chain([!right]);
        for value in flips.chain([0, 1, 127, 128, 255]) {
            bytes[at] = value;
            reseal_tables(&mut bytes);
            let outcome = survives(&bytes, &|| format!("byte {at} = {value}"), fastest(), CacheKind::I8);
            ran.fetch_add(usize::from(outcome == Outcome::Ran), Ordering::Relaxed);
        }
        bytes[at] = right;
    }
    // Text of the metadata, factors, settings: much may be changed.
    assert!(ran.into_inner() > 1000);
}

/// Words of the tables set to values at edges, one and two at a time.
#[test]
fn edge_values_under_a_right_checksum_are_refused_or_run() {
    let original = whole::tiny();
    let edges =
        [0, 1, 2, 3, 7, 16, 63, 64, 65, 127, 255, 256, 0x7fff, 0x8000, 0xffff, 1 << 16, 1 << 24, 131_071];
    let edges: Vec<u32> =
        edges.into_iter().chain([0x7fc0_0000, 0x7f80_0000, 0x7fff_ffff, 1 << 31, !0]).collect();
    let words = tables_len(&original) / 4;
    let mut random = Random(SEED);
    for round in 0..4000 {
        let mut bytes = original.clone();
        let places = [random.below(words), random.below(words)];
        let values = [edges[random.below(edges.len())], edges[random.below(edges.len())]];
        for i in 0..1 + round % 2 {
            bytes[4 * places[i]..][..4].copy_from_slice(&values[i].to_le_bytes());
        }
        reseal_tables(&mut bytes);
        let case = || format!("round {round}: words {places:?} = {values:x?}");
        survives(&bytes, &case, backend(round), CacheKind::F32);
    }
}

/// The description alone, where a change is most likely to keep the file in shape.
#[test]
fn every_edge_value_of_every_field_of_the_description_is_refused_or_runs() {
    for original in [whole::tiny(), whole::tiny_recurrent()] {
        every_edge_value_of_every_field_of(&original);
    }
}

fn every_edge_value_of_every_field_of(original: &AlignedBytes) {
    let start = sections(original)[0].0;
    let edges = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 63, 64, 131_071, 1 << 16, 1 << 24, 0x0101_0101];
    let floats = [0.0f32, -0.0, 1e-45, 1e-30, 1e30, f32::MAX, f32::INFINITY, f32::NAN, -1.0];
    for field in 0..Description::LEN / 4 {
        for value in edges.into_iter().chain([!0, 1 << 31]).chain(floats.map(f32::to_bits)) {
            let mut bytes = original.clone();
            bytes[start + 4 * field..][..4].copy_from_slice(&value.to_le_bytes());
            reseal_tables(&mut bytes);
            let case = || format!("field {field} = {value:#x} of a file of {} bytes", original.len());
            survives(&bytes, &case, backend(field), CacheKind::I8);
        }
    }
}

/// Models that between them have every encoding, tokenizer and kind of block.
fn models() -> Vec<(String, AlignedBytes)> {
    let small = Description {
        width: 20,
        heads: 4,
        kv_heads: 2,
        head_width: 6,
        rotary_width: 6,
        hidden: 35,
        context: 48,
        ..awkward()
    };
    let layer_norm = Description {
        norm: NormKind::Layer,
        positions: Positions::Learned,
        rotary_width: 0,
        window: 9,
        norm_bias: true,
        qkv_bias: true,
        down_bias: true,
        gated: false,
        ..small
    };
    let encodings = [
        Encoding::F32,
        Encoding::F16,
        Encoding::I8,
        Encoding::I4 { group: 16 },
        Encoding::I4 { group: 32 },
        Encoding::I4 { group: 0 },
    ];
    let tokenizers = tokenizers::sections();
    let wide = [Encoding::I8, Encoding::I4 { group: 32 }].map(|encoding| Encodings::all(encoding).wide());
    let model = |(i, encodings): (usize, Encodings)| {
        let description = if i % 2 == 0 { small } else { layer_norm };
        let (tokenizer, section) = tokenizers[i % tokenizers.len()].clone();
        let bytes = whole::whole(description, encodings, section, SEED + i as u64);
        (format!("{i}: {:?}, {tokenizer}", encodings.weights), bytes)
    };
    let recurrent = |(i, (name, recurrent)): (usize, (&str, Recurrent))| {
        let encoding = encodings[i % encodings.len()];
        (format!("{name}, {encoding:?}"), synthetic::model(recurrent, Encodings::all(encoding), SEED))
    };
    let recurrents = recurrents().into_iter().enumerate().map(recurrent);
    encodings.map(Encodings::all).into_iter().chain(wide).enumerate().map(model).chain(recurrents).collect()
}

/// Bytes in stretches of up to 40, anywhere in tokenizer and tensors.
fn random_damage(bytes: &mut [u8], random: &mut Random) {
    let start = tables_len(bytes);
    for _ in 0..1 + random.below(8) {
        let at = start + random.below(bytes.len() - start);
        let len = (1 + random.below(40)).min(bytes.len() - at);
        let (all, value) = (random.below(3), random.next_u64() as u8);
        for byte in &mut bytes[at..at + len] {
            *byte = [value, random.next_u64() as u8, 0xff][all];
        }
    }
}

#[test]
fn random_damage_of_the_payload_is_found_and_harmless() {
    let mut random = Random(SEED);
    for (name, original) in models() {
        for seed in 0..24 {
            let mut bytes = original.clone();
            random_damage(&mut bytes, &mut random);
            if bytes[..] == original[..] {
                continue;
            }
            match File::parse(&bytes) {
                Ok(file) => assert!(matches!(file.verify_payload(), Err(Error::Checksum { .. }))),
                // The zeros between tokenizer and tensors are part of the structure.
                Err(error) => assert!(matches!(error, Error::Section { .. }), "{error}"),
            }
            for cache in [CacheKind::F32, CacheKind::I8] {
                for backend in Backend::available() {
                    let case = || format!("{name}, damage {seed}, {cache:?}, {}", backend.name());
                    survives(&bytes, &case, backend, cache);
                }
            }
        }
    }
}

/// Every 32-bit word, or byte, of one part of all tensors replaced by the worst there is.
#[test]
fn the_worst_numbers_are_harmless() {
    let floats = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, -0.0];
    for (name, original) in models() {
        let data = sections(&original)[6].0;
        for (turn, worst) in floats.into_iter().enumerate() {
            for matrices in [true, false] {
                let mut bytes = original.clone();
                spoil(&mut bytes, data, matrices, worst, [0x80, 0x7f, 0xff, 0x00][turn % 4]);
                reseal(&mut bytes);
                for cache in [CacheKind::F32, CacheKind::I8] {
                    let backend = backend(turn);
                    let case =
                        || format!("{name}, {worst} in matrices: {matrices}, {cache:?}, {}", backend.name());
                    assert_eq!(survives(&bytes, &case, backend, cache), Outcome::Ran, "{}", case());
                }
            }
        }
    }
}

/// Puts `float` in place of f32, the like of it in place of f16, and `byte` in place of integers.
fn spoil(bytes: &mut [u8], data: usize, matrices: bool, float: f32, byte: u8) {
    let (entries, half) = {
        let file = File::parse(bytes).expect("undamaged so far");
        (file.tensors.entries().collect::<Vec<_>>(), (float.to_bits() >> 16) as u16)
    };
    for entry in entries.iter().filter(|entry| entry.role.is_matrix() == matrices) {
        let layout = entry.encoding.layout(entry.rows as usize, entry.cols as usize);
        let tensor = &mut bytes[data + entry.offset as usize..][..layout.len() as usize];
        let (scales, numbers) = tensor.split_at_mut(layout.numbers_at() as usize);
        match entry.encoding {
            Encoding::F32 => numbers.as_chunks_mut().0.fill(float.to_le_bytes()),
            // All exponent bits of f32 in the place of those of f16: NaN or infinity stay that.
            Encoding::F16 => numbers.as_chunks_mut().0.fill((half | 0x7c00).to_le_bytes()),
            Encoding::I8 | Encoding::I4 { .. } => {
                numbers.fill(byte);
                let (rows, groups) = scales.split_at_mut(layout.group_scales_at() as usize);
                rows.as_chunks_mut().0.fill(float.to_le_bytes());
                groups.fill(0x80);
            }
        }
    }
}

/// The tokenizer section is payload; whoever writes it may write anything.
#[test]
fn every_byte_of_a_tokenizer_header_can_be_changed() {
    for (name, section) in tokenizers::sections() {
        let description = Description { width: 4, layers: 1, heads: 1, kv_heads: 1, hidden: 4, ..awkward() };
        let original = whole::whole(description, Encodings::all(Encoding::I8), section, SEED);
        let start = sections(&original)[TABLE_SECTIONS].0;
        for at in start..start + 64 {
            for value in [0, 1, 2, 3, 127, 128, 254, 255] {
                let mut bytes = original.clone();
                bytes[at] = value;
                survives(
                    &bytes,
                    &|| format!("{name}: byte {} = {value}", at - start),
                    fastest(),
                    CacheKind::I8,
                );
            }
        }
    }
}

/// What fuzzing found: a token of a byte base was longer than the longest token that the header states.
#[test]
fn a_byte_base_with_tokens_of_no_length_is_refused() {
    let (_, mut section) = tokenizers::sections().swap_remove(1);
    section[28..32].fill(0);
    let error = Tokenizer::parse(&section).expect_err("its tokens have one byte");
    assert_eq!(error, TokenizerError::Field { field: "max_token_len", found: 0 });
}

/// The commands that look at files do more with them than the runtime.
#[test]
fn verifying_and_inspecting_a_hostile_file_is_harmless() {
    let mut random = Random(SEED);
    for round in 0..300 {
        let original = whole::tiny();
        let mut bytes = original.clone();
        if round % 2 == 0 {
            random_damage(&mut bytes, &mut random);
        } else {
            let at = random.below(tables_len(&bytes));
            bytes[at] ^= 1 << random.below(8);
            reseal_tables(&mut bytes);
        }
        let look = || {
            let mut failed = false;
            verify(&bytes, |check| failed |= check.status == Status::Failed);
            assert!(failed || round % 2 == 1 || bytes[..] == original[..], "damage of the payload is found");
            Model::parse(&bytes).map(|model| inspect(&model, &model.options(8)).map(drop)).ok();
        };
        catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| panic!("round {round}"));
    }
}

#[test]
fn a_description_out_of_range_has_no_tensors() {
    let description = Description { layers: u32::MAX, ..awkward() };
    let error = Tensors::parse(&description.into(), &[], &[]).expect_err("no such model");
    assert!(matches!(error, Error::Description { field: "layers", .. }), "{error}");
}

#[test]
fn every_role_is_named_in_an_error_about_its_entry() {
    let original = whole::tiny();
    let (table, len) = sections(&original)[1];
    let roles: Vec<(Role, u16)> = File::parse(&original).expect("valid").tensors.slots().iter().collect();
    assert_eq!(roles.len() * 32, len);
    for (i, (role, layer)) in roles.into_iter().enumerate() {
        // Role, layer, encoding, group, rows, columns, offset, length.
        for at in [0, 2, 4, 6, 8, 12, 16, 24] {
            let mut bytes = original.clone();
            bytes[table + 32 * i + at] ^= 0x41;
            reseal_tables(&mut bytes);
            match Model::parse(&bytes).expect_err("the entry follows from the description") {
                Error::Tensor { role: found, layer: at, .. } => assert_eq!((found, at), (role, layer)),
                error => panic!("{error}"),
            }
        }
    }
}
