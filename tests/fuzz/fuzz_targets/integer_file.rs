//! A `.whit` file with a chain of integer layers, whose checksums are made right before it is run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whit::AlignedBytes;
use whit_tests::hostile::{exercise_integer, reseal};

fuzz_target!(|input: &[u8]| {
    let mut file = AlignedBytes::from(input);
    reseal(&mut file);
    exercise_integer(&file);
});
