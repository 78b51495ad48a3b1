//! The header and the section table: what comes back, every truncation, every byte, one attack per error.

use crate::fixture::{ENTRIES, ENTRY, parse_changed, parts, put_u32, put_u64, section_at, u64_at};
use whit::Error;
use whit::format::{File, Section, TABLE_SECTIONS};

#[test]
fn what_is_written_is_read() {
    let parts = parts();
    let bytes = parts.write();
    let file = File::parse(&bytes).expect("parses");
    file.verify_payload().expect("the payload's checksum");
    assert_eq!(file.bytes(), &bytes[..]);
    assert_eq!(file.architecture, parts.description.into());
    assert_eq!(File::architecture(&bytes), Ok(parts.description.into()));
    assert_eq!(file.tokenizer, parts.tokenizer);
    assert_eq!(file.metadata.iter().collect::<Vec<_>>(), [("licence", "MIT"), ("name", "ü")]);
    assert_eq!((file.metadata.find("name"), file.metadata.find("nam")), (Some("ü"), None));
    assert_eq!(file.sampling.record(), &[0; 32]);
    assert_eq!(file.sampling.stop_tokens().map(|token| token.0).collect::<Vec<_>>(), [0, 10]);
    assert_eq!(file.sampling.stop_strings().collect::<Vec<_>>(), ["end"]);
    assert_eq!(file.golden.prompt().map(|token| token.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(file.golden.output().map(|token| token.0).collect::<Vec<_>>(), [10]);
    assert_eq!((file.golden.int8_cache(), file.golden.logits_crc()), (true, 77));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = parts().write();
    for len in 0..bytes.len() {
        let error = File::parse(&bytes[..len]).expect_err("cut short");
        assert!(matches!(error, Error::Truncated { found, .. } if found == len as u64), "{len}: {error}");
    }
}

#[test]
fn every_changed_bit_of_the_tables_is_an_error() {
    let mut bytes = parts().write();
    for at in 0..section_at(&bytes, TABLE_SECTIONS) {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            // The payload's checksum stands in the tables too.
            assert!(File::parse(&bytes).is_err(), "byte {at}, bit {bit}");
            bytes[at] ^= 1 << bit;
        }
    }
    File::parse(&bytes).expect("all bits are back");
}

#[test]
fn every_changed_byte_of_the_payload_is_found_by_verify_and_breaks_nothing_else() {
    let mut bytes = parts().write();
    // A prime step: every residue of the alignments is met.
    for at in (section_at(&bytes, TABLE_SECTIONS)..bytes.len()).step_by(37) {
        bytes[at] ^= 0x55;
        let file = match File::parse(&bytes) {
            Ok(file) => file,
            // The gap between tokenizer and tensors must be zeros.
            Err(error) => {
                assert!(matches!(error, Error::Section { section: "tensor data", .. }), "{at}: {error}");
                bytes[at] ^= 0x55;
                continue;
            }
        };
        let error = file.verify_payload().expect_err("damaged");
        assert!(matches!(error, Error::Checksum { part: "tokenizer and weights", .. }), "{at}");
        bytes[at] ^= 0x55;
    }
}

#[test]
fn a_start_that_is_no_multiple_of_64_is_an_error() {
    let bytes = parts().write();
    for excess in [1, 4, 32, 63] {
        let error = File::parse(&bytes[excess..]).expect_err("misaligned");
        assert!(matches!(error, Error::Misaligned { excess: found, .. } if found == excess), "{error}");
    }
}

#[test]
fn a_file_that_is_no_whit_file_is_told_from_one_that_is_cut_short() {
    let mut bytes = parts().write();
    bytes[0] = b'G';
    assert_eq!(File::parse(&bytes).err(), Some(Error::NotWhit));
    assert_eq!(File::parse(&bytes[..8]).err(), Some(Error::NotWhit));
    assert!(matches!(File::parse(&bytes[..7]), Err(Error::Truncated { found: 7, .. })));
}

#[test]
fn another_version_is_named() {
    let error = parse_changed(|bytes| bytes[8] = 2).expect_err("version 2");
    assert_eq!(error, Error::Version { found: 2 });
}

#[test]
fn a_wrong_checksum_of_the_tables_is_an_error() {
    let mut bytes = parts().write();
    bytes[32] ^= 1;
    assert!(matches!(File::parse(&bytes), Err(Error::Checksum { part: "header and tables", .. })));
}

/// Attacks on the header itself: a checksum that is right does not make it right.
#[test]
fn every_contradiction_in_the_header_is_an_error() {
    let len = parts().write().len() as u64;
    type Attack = (usize, u64, &'static str);
    let attacks: [Attack; 7] = [
        (16, len - 1, "bytes after the end"),
        (24, 0, "tables end"),
        (24, 231, "tables end"),
        (24, len + 1, "tables end"),
        (24, u64::MAX, "tables end"),
        (40, 1, "reserved"),
        (56, 1 << 63, "reserved"),
    ];
    for (at, value, problem) in attacks {
        assert_problem(parse_changed(|bytes| put_u64(bytes, at, value)), "header", problem);
    }
    assert_problem(parse_changed(|bytes| bytes[10] = 65), "header", "header's length");
    for sections in [0, 6, 8, u32::MAX] {
        assert_problem(parse_changed(|bytes| put_u32(bytes, 12, sections)), "header", "number of sections");
    }
    let longer = parse_changed(|bytes| put_u64(bytes, 16, u64::MAX)).expect_err("longer than it is");
    assert_eq!(longer, Error::Truncated { needed: u64::MAX, found: len });
}

#[test]
fn every_contradiction_in_the_section_table_is_an_error() {
    for (i, section) in Section::ALL.into_iter().enumerate() {
        let (entry, name) = (ENTRIES + i * ENTRY, section.name());
        assert_problem(parse_changed(|bytes| put_u32(bytes, entry, 99)), name, "another section");
        assert_problem(parse_changed(|bytes| put_u32(bytes, entry + 4, 1)), name, "another section");
        for offset in [0, 1, u64::MAX, u64::MAX - 63] {
            assert_problem(parse_changed(|bytes| put_u64(bytes, entry + 8, offset)), name, "multiple of 64");
        }
        let ends = |len: u64| parse_changed(|bytes| put_u64(bytes, entry + 16, len)).expect_err("too long");
        for len in [u64::MAX, 1 << 63, parts().write().len() as u64] {
            assert_problem(Err(ends(len)), name, "ends beyond the file");
        }
    }
}

#[test]
fn gaps_that_are_not_zeros_are_errors() {
    // Behind the metadata (44 bytes) and the tokenizer (9 bytes) there are gaps.
    for (before, name) in [(4, "tokenizer"), (5, "tensor data")] {
        let gap =
            |bytes: &[u8]| section_at(bytes, before) + u64_at(bytes, ENTRIES + before * ENTRY + 16) as usize;
        let error = parse_changed(|bytes| {
            let at = gap(bytes);
            bytes[at] = 1;
        });
        assert_problem(error, name, "not zero");
    }
}

#[test]
fn tables_that_end_elsewhere_are_an_error() {
    let moved = |by: i64| {
        parse_changed(|bytes| {
            let end = u64_at(bytes, 24).wrapping_add_signed(by);
            put_u64(bytes, 24, end);
        })
    };
    for by in [-64, 64] {
        assert_problem(moved(by), "tokenizer", "where the tables end");
    }
}

#[test]
fn a_last_section_that_ends_early_is_an_error() {
    let error = parse_changed(|bytes| {
        let len = ENTRIES + 6 * ENTRY + 16;
        let shorter = u64_at(bytes, len) - 1;
        put_u64(bytes, len, shorter);
    });
    assert_problem(error, "header", "after the last section");
}

#[test]
fn the_description_is_found_without_the_rest() {
    let bytes = parts().write();
    let end = section_at(&bytes, 0) + 128;
    assert_eq!(File::architecture(&bytes[..end]), Ok(parts().description.into()));
    assert!(File::architecture(&bytes[..end - 1]).is_err());
    assert!(matches!(File::architecture(&bytes[..231]), Err(Error::Truncated { .. })));
    let mut hostile = bytes.clone();
    put_u64(&mut hostile, ENTRIES + 8, u64::MAX);
    assert!(matches!(File::architecture(&hostile), Err(Error::Section { section: "description", .. })));
}

#[test]
fn the_fingerprint_differs_where_a_weight_does() {
    let mut other = parts();
    other.data[0] ^= 1;
    let (bytes, other) = (parts().write(), other.write());
    let fingerprint = |bytes| File::parse(bytes).expect("parses").fingerprint();
    assert_ne!(fingerprint(&bytes), fingerprint(&other));
}

/// Whether the error is one about `section` whose text contains `problem`.
pub(crate) fn assert_problem(result: Result<(), Error>, section: &str, problem: &str) {
    let error = result.expect_err(problem);
    let Error::Section { section: found, problem: text } = error else { panic!("{section}: {error}") };
    assert!(found == section && text.contains(problem), "{section}, {problem}: {error}");
}
