//! An ONNX file, imported and, if that is possible, exported.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use whit_converter::import::onnx;
use whit_tests::hostile::{Folder, export_all};

thread_local! {
    static FOLDER: RefCell<Folder> = RefCell::new(Folder::new());
}

fuzz_target!(|input: &[u8]| {
    FOLDER.with_borrow_mut(|folder| {
        let path = folder.write("model.onnx", input);
        if let Ok(checkpoint) = onnx::import(&path, |_| Ok(Vec::new())) {
            export_all(&checkpoint, folder.path());
        }
    });
});
