//! A `.tflite` file, imported and, if that is possible, written and run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whit_tests::hostile::import_tflite;

fuzz_target!(|input: &[u8]| {
    import_tflite(input);
});
