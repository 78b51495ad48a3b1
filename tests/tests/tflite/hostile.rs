//! Damaged files: an error, or a chain that runs; never a panic.

use crate::file;
use whit::integer::IntegerModel;
use whit::{AlignedBytes, Model};
use whit_converter::integer::verify::verify;
use whit_converter::verify::Status;
use whit_tests::hostile::{exercise_integer, import_tflite, reseal, reseal_tables};

#[test]
fn every_truncated_tflite_file_is_refused() {
    let bytes = file("int8.tflite");
    assert!(import_tflite(&bytes));
    for len in 0..bytes.len() {
        // The last buffers may be ones that no tensor needs.
        import_tflite(&bytes[..len]);
    }
    assert!((0..bytes.len() / 2).all(|len| !import_tflite(&bytes[..len])));
}

#[test]
fn no_flipped_byte_of_a_tflite_file_is_a_panic() {
    let bytes = file("int8.tflite");
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            import_tflite(&damaged);
        }
    }
}

/// The digits' model as a `.whit` file.
fn whit() -> Vec<u8> {
    crate::imported(&file("int8.tflite")).to_vec()
}

fn tables_len(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[24..32].try_into().expect("eight bytes")) as usize
}

#[test]
fn every_truncated_whit_file_is_refused() {
    let bytes = whit();
    assert!(exercise_integer(&bytes));
    for len in 0..bytes.len() {
        let mut damaged = bytes[..len].to_vec();
        assert!(!exercise_integer(&damaged), "{len} bytes");
        reseal(&mut damaged);
        assert!(!exercise_integer(&damaged), "{len} bytes, resealed");
    }
}

#[test]
fn every_flipped_byte_of_the_tables_is_found() {
    let bytes = whit();
    for at in 0..tables_len(&bytes) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let found = IntegerModel::parse(&AlignedBytes::from(&damaged[..])).is_err();
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
            refused += usize::from(!exercise_integer(&damaged));
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
        assert!(exercise_integer(&damaged));
        let mut failed = 0;
        verify(&AlignedBytes::from(&damaged[..]), |check| {
            failed += usize::from(check.status == Status::Failed);
        });
        assert!(failed > 0, "byte {at}");
    }
}

#[test]
fn each_kind_of_file_says_how_the_other_is_opened() {
    let (integer, language) = (AlignedBytes::from(&whit()[..]), whit_tests::whole::tiny());
    for (error, remedy) in [
        (Model::parse(&integer).expect_err("no language model"), "as an IntegerModel"),
        (IntegerModel::parse(&language).expect_err("no integer layers"), "as a Model"),
    ] {
        assert!(error.to_string().contains(remedy), "{error}");
    }
}
