//! Which instructions run beside the products.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What [`products_leave_some`] says, or [`UNKNOWN`]. Virtual machines take `cpuid` from the guest, for tens of microseconds.
static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);

const UNKNOWN: u8 = 2;

/// Whether the multipliers leave ports to other vector instructions. On AMD's cores two of four ports have one: weights are best
/// unpacked for every tile, beside the products. On Intel's both ports have one: best once for all tokens (as `llvm-mca` has it for
/// Ice Lake, a group of int4 in 85 cycles or in 60).
pub(super) fn products_leave_some() -> bool {
    match KNOWN.load(Relaxed) {
        UNKNOWN => {
            let vendor = __cpuid(0);
            let is_amd =
                [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD";
            KNOWN.store(is_amd.into(), Relaxed);
            is_amd
        }
        known => known == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Avx512;
    use crate::kernels::conformance;
    use std::vec;

    #[test]
    fn weights_unpacked_once_or_for_every_tile_give_the_bits_of_scalar() {
        let Some(kernels) = Avx512::new() else { return };
        for choice in [0, 1] {
            KNOWN.store(choice, Relaxed);
            let mut room = vec![0; conformance::ROOM / 8];
            conformance::run(kernels, &mut room, |_| {}).unwrap_or_else(|m| panic!("{choice}: {m}"));
        }
        KNOWN.store(UNKNOWN, Relaxed);
        products_leave_some();
        assert_ne!(KNOWN.load(Relaxed), UNKNOWN);
    }
}
