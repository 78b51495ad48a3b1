//! Everything that a program does with `.tflite` files and with chains of integer layers.

use whit::AlignedBytes;
use whit::integer::IntegerModel;
use whit_converter::import::tflite;
use whit_converter::integer::to_bytes;
use whit_converter::integer::verify::verify;

/// Arenas beyond this are not tried: a run is meant to be short.
const MOST_ARENA: usize = 1 << 20;

/// Imports a file that may be damaged; whether it is taken.
///
/// # Panics
/// If what is written of it cannot be read.
pub fn import_tflite(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = tflite::read(bytes, "hostile.tflite") else { return false };
    let Ok(file) = to_bytes(&checkpoint) else { return false };
    IntegerModel::parse(&AlignedBytes::from(&file[..])).expect("what is written can be read");
    true
}

/// Runs and verifies a `.whit` file with a chain of integer layers, if it is one; whether it is.
///
/// # Panics
/// If a promise is broken that does not depend on the file's contents.
pub fn exercise_integer(bytes: &[u8]) -> bool {
    let file = AlignedBytes::from(bytes);
    let Ok(model) = IntegerModel::parse(&file) else { return false };
    let chain = model.file().chain;
    if model.arena_size() > MOST_ARENA {
        return true;
    }
    let mut arena = AlignedBytes::zeroed(model.arena_size());
    arena.fill(0xa5);
    let mut session = model.session(&mut arena).expect("the arena has the size asked for");
    let frames = vec![-128; 3 * chain.inputs()];
    let each = |vector: &[i8]| assert_eq!(vector.len(), chain.outputs());
    session.feed(&frames, each).expect("whole frames");
    // Any bytes of the right length are a state.
    let state = vec![0xa5; session.state().len()];
    session.load(&state).expect("the length is right");
    session.feed(&frames, each).expect("whole frames");
    verify(&file, |_| ());
    true
}
