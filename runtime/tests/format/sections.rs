//! Sampling, golden transcript and metadata: hostile counts, ids and text.

use crate::fixture::{Parts, parts};
use crate::header::assert_problem;
use whit::Error;
use whit::format::{File, Golden};

fn parse(change: impl FnOnce(&mut Parts)) -> Result<(), Error> {
    let mut parts = parts();
    change(&mut parts);
    File::parse(&parts.write()).map(|_| ())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A sampling section: the record, then `rest`.
fn sampling(rest: &[u8]) -> Vec<u8> {
    [&[0; 32], rest].concat()
}

fn golden(header: [u8; 16], ids: &[u32]) -> Vec<u8> {
    [&header[..], &words(ids)].concat()
}

#[test]
fn the_shortest_sections_parse() {
    parse(|parts| {
        parts.sampling = sampling(&words(&[0, 0]));
        parts.golden.clear();
        parts.metadata.clear();
        parts.tokenizer.clear();
    })
    .expect("a file without what may be absent");
}

#[test]
fn every_cut_of_the_sampling_section_is_an_error() {
    let whole = parts().sampling;
    for len in 0..whole.len() {
        let error = parse(|parts| parts.sampling.truncate(len)).expect_err("cut short");
        assert!(matches!(error, Error::Section { section: "sampling", .. }), "{len}: {error}");
    }
}

#[test]
fn hostile_sampling_sections_are_errors() {
    let attacks = [
        (words(&[u32::MAX]), "cut short"),
        (words(&[1 << 30, 0]), "cut short"),
        (words(&[1, 11, 0]), "not in the vocabulary"),
        (words(&[0, 1]), "stop string"),
        (words(&[0, u32::MAX]), "stop string"),
        (words(&[0, 1, u32::MAX]), "stop string"),
        ([&words(&[0, 1, 1])[..], &[0xff]].concat(), "not UTF-8"),
        (words(&[0, 0, 0]), "after the last stop string"),
    ];
    for (rest, problem) in attacks {
        assert_problem(parse(|parts| parts.sampling = sampling(&rest)), "sampling", problem);
    }
}

#[test]
fn hostile_golden_transcripts_are_errors() {
    let header = Golden::header;
    let mut kind = golden(header(false, 1, 1, 0), &[1, 1]);
    kind[0] = 2;
    let attacks = [
        (vec![0; 15], "cut short"),
        (golden(header(false, 1, 1, 0), &[1]), "does not follow from its counts"),
        (golden(header(false, 1, 1, 0), &[1, 1, 1]), "does not follow from its counts"),
        (golden(header(false, u32::MAX, u32::MAX, 0), &[]), "does not follow from its counts"),
        (kind, "KV cache"),
        (golden(header(false, 0, 1, 0), &[1]), "empty or longer"),
        (golden(header(false, 1, 0, 0), &[1]), "empty or longer"),
        (golden(header(false, 5, 5, 0), &[1; 10]), "empty or longer"),
        (golden(header(false, 1, 1, 0), &[11, 1]), "not in the vocabulary"),
        (golden(header(false, 1, 1, 0), &[1, u32::MAX]), "not in the vocabulary"),
    ];
    for (bytes, problem) in attacks {
        assert_problem(parse(|parts| parts.golden = bytes), "golden transcript", problem);
    }
}

#[test]
fn a_transcript_that_fills_the_context_parses() {
    parse(|parts| parts.golden = golden(Golden::header(false, 8, 1, 0), &[10; 9])).expect("context 9");
}

#[test]
fn hostile_metadata_is_an_error() {
    let attacks = [
        vec![0; 7],
        words(&[1, 0]),
        words(&[u32::MAX, u32::MAX]),
        [&words(&[1, 1])[..], &[b'k', 0xff]].concat(),
        [&words(&[1, 1])[..], &[0xc3, b'v']].concat(),
        [&words(&[1, 1])[..], b"kv", &[0]].concat(),
    ];
    for bytes in attacks {
        assert_problem(parse(|parts| parts.metadata = bytes), "metadata", "cut short or not UTF-8");
    }
}

#[test]
fn any_bytes_are_a_tokenizer_section() {
    parse(|parts| parts.tokenizer = (0..=255).cycle().take(1000).collect()).expect("read when it is used");
}
