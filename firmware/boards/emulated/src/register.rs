//! Reading and writing registers of the boards' devices.
#![allow(unsafe_code, reason = "registers are no variables")]

use core::marker::PhantomData;

/// A register of a device of the board that this program is built for, as wide as `T`.
#[derive(Debug)]
pub(crate) struct Register<T = u32> {
    address: usize,
    width: PhantomData<T>,
}

impl<T> Register<T> {
    /// # Safety
    /// - There is a register of this width at `address`, and what is written to it changes no memory that the compiler knows of.
    pub(crate) const unsafe fn new(address: usize) -> Self {
        Self { address, width: PhantomData }
    }

    pub(crate) fn read(&self) -> T {
        // SAFETY: a register (`new`).
        unsafe { core::ptr::with_exposed_provenance::<T>(self.address).read_volatile() }
    }

    pub(crate) fn write(&self, value: T) {
        // SAFETY: a register (`new`).
        unsafe { core::ptr::with_exposed_provenance_mut::<T>(self.address).write_volatile(value) }
    }
}
