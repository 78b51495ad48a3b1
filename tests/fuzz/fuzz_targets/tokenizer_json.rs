//! A `tokenizer.json` to a section, which must then be a valid one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use whit_converter::tokenizer::tokenizer_json;
use whit_tests::hostile::tokenize_valid;

fuzz_target!(|input: &[u8]| {
    if let Ok(vocabulary) = tokenizer_json::parse(input, Path::new("tokenizer.json"))
        && let Ok(section) = vocabulary.to_section()
    {
        tokenize_valid(&section, input);
    }
});
