//! The runtime's conformance suite, on the device.

use crate::Board;
use whit::kernels::{Backend, Kernels, WithKernels, conformance};

/// Compares every backend with the scalar definition, in as much memory as there is; says what it found.
/// [`whit::kernels::conformance::ROOM`] bytes are room for every case.
pub fn conformance<B: Board>(board: &mut B, room: &mut [u64]) -> bool {
    let mut all = true;
    for backend in Backend::available() {
        let mut left_out = 0;
        let result = backend.run(Suite { room, left_out: &mut left_out });
        all &= result.is_ok();
        let _ = match result {
            Ok(()) => writeln!(board, "ok      {} computes the bits of scalar", backend.name()),
            Err(mismatch) => writeln!(board, "FAILED  {}: {mismatch}", backend.name()),
        };
        if left_out > 0 {
            let _ = writeln!(
                board,
                "        {left_out} cases left out: {} bytes are not room for them",
                room.len() * 8
            );
        }
    }
    all
}

struct Suite<'r> {
    room: &'r mut [u64],
    left_out: &'r mut usize,
}

impl WithKernels for Suite<'_> {
    type Output = Result<(), conformance::Mismatch>;

    fn call<K: Kernels>(self, kernels: K) -> Self::Output {
        conformance::run(kernels, self.room, |_| *self.left_out += 1)
    }
}
