//! The tensors of a Hugging Face directory, under a configuration that the first byte chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use whit_converter::import::huggingface;
use whit_tests::hostile::{Folder, export_all};
use whit_tests::seeds::configurations;

thread_local! {
    static FOLDER: RefCell<(Folder, Vec<Vec<u8>>)> = RefCell::new((Folder::new(), configurations()));
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, tensors)) = input.split_first() else { return };
    FOLDER.with_borrow_mut(|(folder, configurations)| {
        folder.write("config.json", &configurations[usize::from(choice) % configurations.len()]);
        folder.write("model.safetensors", tensors);
        if let Ok(checkpoint) = huggingface::import(folder.path(), |_| Ok(Vec::new())) {
            export_all(&checkpoint, folder.path());
        }
    });
});
