//! The cycle counter of the debug unit, which Cortex-M3 and later have: no interrupt, no time of the program. Emulators leave
//! it at zero.

use crate::Count;
use cortex_m::peripheral::{DCB, DWT};

/// Cycles since it was made, of a core with `HZ` of them in a second. It has 32 bits: what lies between two calls must not
/// be longer than 2³² cycles, ten seconds of a Cortex-M7, for their difference to be right.
#[derive(Debug)]
pub struct Counter<const HZ: u64> {
    cycles: u64,
}

impl<const HZ: u64> Counter<HZ> {
    /// Starts counting.
    pub fn new(mut dcb: DCB, mut dwt: DWT) -> Self {
        dcb.enable_trace();
        // A Cortex-M7 locks it.
        DWT::unlock();
        dwt.set_cycle_count(0);
        dwt.enable_cycle_counter();
        Self { cycles: 0 }
    }
}

impl<const HZ: u64> Count for Counter<HZ> {
    const UNIT: &'static str = "cycles";
    const PER_SECOND: u64 = HZ;

    fn count(&mut self) -> u64 {
        let passed = DWT::cycle_count().wrapping_sub(self.cycles as u32);
        self.cycles += u64::from(passed);
        self.cycles
    }
}
