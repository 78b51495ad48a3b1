//! The configuration of a Hugging Face directory, over tensors that fit the seeds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use whit_converter::import::huggingface;
use whit_tests::hostile::{Folder, export_all};
use whit_tests::seeds::tensors;

thread_local! {
    static FOLDER: RefCell<(Folder, [Vec<u8>; 2])> = RefCell::new((Folder::new(), tensors()));
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, config)) = input.split_first() else { return };
    FOLDER.with_borrow_mut(|(folder, tensors)| {
        folder.write("config.json", config);
        folder.write("model.safetensors", &tensors[usize::from(choice) % 2]);
        if let Ok(checkpoint) = huggingface::import(folder.path(), |_| Ok(Vec::new())) {
            export_all(&checkpoint, folder.path());
        }
    });
});
