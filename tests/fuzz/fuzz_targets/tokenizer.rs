//! A tokenizer section of the length that its header asks for, and a text: the bytes after the section.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whit_tests::hostile::tokenize;

fuzz_target!(|input: &[u8]| {
    let Some((len, input)) = input.split_first_chunk() else { return };
    let (section, text) = input.split_at(usize::from(u16::from_le_bytes(*len)).min(input.len()));
    tokenize(section, text);
});
