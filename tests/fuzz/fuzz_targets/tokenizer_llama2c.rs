//! A llama2.c `tokenizer.bin` behind two bytes that say how many tokens it has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use whit_converter::tokenizer::llama2c;
use whit_tests::hostile::tokenize_valid;

fuzz_target!(|input: &[u8]| {
    let Some((count, bytes)) = input.split_first_chunk() else { return };
    let count = usize::from(u16::from_le_bytes(*count));
    if let Ok(vocabulary) = llama2c::parse(bytes, count, Path::new("tokenizer.bin"))
        && let Ok(section) = vocabulary.to_section()
    {
        tokenize_valid(&section, input);
    }
});
