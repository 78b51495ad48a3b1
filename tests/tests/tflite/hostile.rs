//! Damaged files: an error, or a chain that runs; never a panic.

use crate::{file, vectors};
use whit::AlignedBytes;
use whit::integer::IntegerModel;
use whit_converter::import::tflite;
use whit_converter::integer::to_bytes;
use whit_converter::integer::verify::verify;
use whit_tests::hostile::{reseal, reseal_tables};

/// What a program would do with a `.tflite` file.
fn import_and_run(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = tflite::read(bytes, "damaged.tflite") else { return false };
    let Ok(file) = to_bytes(&checkpoint) else { return false };
    IntegerModel::parse(&AlignedBytes::from(&file[..])).expect("what is written can be read");
    true
}

/// What a program would do with a `.whit` file.
fn parse_and_run(bytes: &[u8]) -> bool {
    let file = AlignedBytes::from(bytes);
    let Ok(model) = IntegerModel::parse(&file) else { return false };
    if model.arena_size() < 1 << 20 {
        let width = model.file().chain.inputs();
        vectors(&model, &vec![-128; 3 * width]);
        verify(&file, |_| ());
    }
    true
}

#[test]
fn every_truncated_tflite_file_is_refused() {
    let bytes = file("int8.tflite");
    assert!(import_and_run(&bytes));
    for len in 0..bytes.len() {
        // The last buffers may be ones that no tensor needs.
        import_and_run(&bytes[..len]);
    }
    assert!((0..bytes.len() / 2).all(|len| !import_and_run(&bytes[..len])));
}

#[test]
fn no_flipped_byte_of_a_tflite_file_is_a_panic() {
    let bytes = file("int8.tflite");
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            import_and_run(&damaged);
        }
    }
}

/// A small file: the structure of the digits' in a few hundred bytes of tables.
fn whit() -> Vec<u8> {
    crate::imported(&file("int8.tflite")).to_vec()
}

fn tables_len(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[24..32].try_into().expect("eight bytes")) as usize
}

#[test]
fn every_truncated_whit_file_is_refused() {
    let bytes = whit();
    assert!(parse_and_run(&bytes));
    for len in 0..bytes.len() {
        let mut damaged = bytes[..len].to_vec();
        assert!(!parse_and_run(&damaged), "{len} bytes");
        reseal(&mut damaged);
        assert!(!parse_and_run(&damaged), "{len} bytes, resealed");
    }
}

#[test]
fn every_flipped_byte_of_the_tables_is_found() {
    let bytes = whit();
    for at in 0..tables_len(&bytes) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let found = IntegerModel::parse(&AlignedBytes::from(&damaged[..])).is_err();
        // The payload's checksum is compared by `verify` alone, but lies in the tables.
        assert!(found, "byte {at}");
    }
}

#[test]
fn tables_with_true_checksums_are_refused_or_run() {
    let bytes = whit();
    let mut refused = 0;
    for at in 0..tables_len(&bytes) {
        for flip in [1, 2, 0x40, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            reseal_tables(&mut damaged);
            refused += usize::from(!parse_and_run(&damaged));
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_damaged_payload_runs_and_does_not_verify() {
    let bytes = whit();
    for at in (tables_len(&bytes)..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x80;
        assert!(parse_and_run(&damaged));
        let mut failed = 0;
        verify(&AlignedBytes::from(&damaged[..]), |check| {
            failed += usize::from(check.status == whit_converter::verify::Status::Failed);
        });
        assert!(failed > 0, "byte {at}");
    }
}
