//! Whether floats are IEEE 754's here, to the bit: those of the core, or of the functions that it runs in place of an FPU.

use crate::Board;
use whit_floats::check;

/// Random pairs of operands, each for every operation.
const PAIRS: u32 = 200_000;

/// Compares `+`, `−`, `×`, `÷`, comparisons and conversions with integers; says what it found.
pub fn floats<B: Board>(board: &mut B) -> bool {
    let difference = check::first_difference(PAIRS);
    let _ = match difference {
        None => writeln!(board, "ok      floats are those of IEEE 754"),
        Some(difference) => writeln!(board, "FAILED  floats: {difference}"),
    };
    difference.is_none()
}
