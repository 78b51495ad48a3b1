//! Keeps the debug port open. Chips from build code F on close it at every reset, unless both their configuration and the
//! program say otherwise; a probe would then have to erase them, and get no logs (product specification 1.7, "Access port
//! protection").
#![allow(unsafe_code, reason = "values and a register that the peripheral crate does not know")]

use cortex_m::peripheral::SCB;
use nrf52840_hal::pac;

/// Says "open" in both places; to older chips, in the first, "closed".
const OPEN: u32 = 0x5a;

/// What a word of the configuration is after a probe erased it.
const ERASED: u32 = !0;

/// The program's word in it, APPROTECT.DISABLE.
const DISABLE: usize = 0x4000_0558;

/// Opens it, with a reset where the configuration has to change. If somebody closed it there, it stays closed.
pub(crate) fn keep_open(chip: &pac::Peripherals) {
    // Four letters, as in AAF0.
    let build_code = (chip.FICR.info.variant.read().bits() >> 8) as u8;
    if build_code < b'F' {
        return;
    }
    if chip.UICR.approtect.read().bits() == ERASED {
        configure(chip);
        SCB::sys_reset();
    }
    // SAFETY: a register of chips with this build code, which changes no memory.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(DISABLE).write_volatile(OPEN) }
}

fn configure(chip: &pac::Peripherals) {
    let wait = || while chip.NVMC.ready.read().ready().is_busy() {};
    chip.NVMC.config.write(|w| w.wen().wen());
    wait();
    // SAFETY: a value that the register is specified for.
    chip.UICR.approtect.write(|w| unsafe { w.bits(OPEN) });
    wait();
    chip.NVMC.config.reset();
    wait();
}
