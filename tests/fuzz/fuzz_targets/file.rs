//! A `.whit` file whose checksums, and if the first byte says so whose tables too, are made right before it is run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whit::kernels::Backend;
use whit::{AlignedBytes, CacheKind};
use whit_tests::hostile::{exercise, mend, reseal};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let mut file = AlignedBytes::from(bytes);
    if choice & 1 == 0 {
        reseal(&mut file);
    } else if let Some(mended) = mend(bytes) {
        file = mended;
    }
    let backends: Vec<Backend> = Backend::available().collect();
    let backend = backends[usize::from(choice >> 2) % backends.len()];
    let cache = if choice & 2 == 0 { CacheKind::F32 } else { CacheKind::I8 };
    exercise(&file, |model| (model.with_backend(backend), cache));
});
