//! SysTick as a counter that does not wrap: every Cortex-M has it, the M0 too, and emulators run it.

use crate::Count;
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Ticks from one wrap to the next.
const PERIOD: u32 = 1 << 24;

static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Cycles since it was made, of a core with `HZ` of them in a second. The board's `SysTick` exception must call [`wrapped`].
#[derive(Debug)]
pub struct Counter<const HZ: u64>(());

impl<const HZ: u64> Counter<HZ> {
    /// Starts counting.
    pub fn new(mut syst: SYST) -> Self {
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(PERIOD - 1);
        syst.clear_current();
        syst.enable_counter();
        syst.enable_interrupt();
        Self(())
    }
}

impl<const HZ: u64> Count for Counter<HZ> {
    const UNIT: &'static str = "cycles";
    const PER_SECOND: u64 = HZ;

    fn count(&mut self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let ticks = PERIOD - 1 - SYST::get_current();
            // Had it wrapped in between, the ticks might belong to either period.
            if WRAPS.load(Ordering::Relaxed) == wraps {
                return u64::from(wraps) * u64::from(PERIOD) + u64::from(ticks);
            }
        }
    }
}

/// To be called by the exception, and by nobody else.
pub fn wrapped() {
    // Not one operation on an M0, but nobody else writes.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
