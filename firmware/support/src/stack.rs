//! How much stack a program used: what it will not use is painted before, and looked at afterwards.
//!
//! The stack grows down from the symbol `_stack_start` of the linker script; `_stack_end` is where statics end, which it
//! must never reach.
#![allow(unsafe_code, reason = "memory below the stack, which no variable owns")]

#[cfg(target_os = "none")]
mod painted {
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// An unlikely value: the complement of an address in no memory of these boards.
    const PAINT: u32 = 0x5eed_c0de;

    /// Least distance from what is painted to a variable of the painter.
    const MARGIN: usize = 512;

    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }

    /// The lowest address that was painted.
    static LOWEST: AtomicUsize = AtomicUsize::new(0);

    /// Paints at most `most` bytes of what is left of the stack; as early as possible.
    #[inline(never)]
    pub fn paint(most: usize) {
        let here = 0u32;
        let top = ((&raw const here).addr() - MARGIN) & !3;
        let lowest = (&raw const _stack_end).addr().next_multiple_of(4).max(top.saturating_sub(most));
        for address in (lowest..top).step_by(4) {
            // SAFETY: between the end of statics and the stack in use nothing lives, and it is memory.
            unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
        }
        LOWEST.store(lowest, Ordering::Relaxed);
    }

    /// Bytes that were painted and not used since; none is left of a stack that was too small.
    pub fn left() -> usize {
        let (start, lowest) = ((&raw const _stack_start).addr(), LOWEST.load(Ordering::Relaxed));
        // SAFETY: as in `paint`; memory that lives by now is read as numbers only.
        let painted = |&address: &usize| unsafe {
            core::ptr::with_exposed_provenance::<u32>(address).read_volatile() == PAINT
        };
        (lowest..start).step_by(4).take_while(painted).count() * 4
    }

    /// Bytes of stack used at most since [`paint`].
    pub fn used() -> usize {
        (&raw const _stack_start).addr() - LOWEST.load(Ordering::Relaxed) - left()
    }
}
#[cfg(target_os = "none")]
pub use painted::{left, paint, used};

/// Of a host's stack nothing is painted.
#[cfg(not(target_os = "none"))]
mod unpainted {
    /// Paints nothing.
    pub fn paint(_: usize) {}

    /// Not known.
    pub fn used() -> usize {
        0
    }

    /// Not known; enough.
    pub fn left() -> usize {
        usize::MAX
    }
}
#[cfg(not(target_os = "none"))]
pub use unpainted::{left, paint, used};
