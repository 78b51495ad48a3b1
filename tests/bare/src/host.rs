//! What the core asks of its emulator: writing to standard error, and ending.
//!
//! On Arm and RISC-V these are two system calls of Linux, which user-mode emulation answers; in WebAssembly two
//! imported functions. The only unsafe code of this program.

use core::fmt;

/// Standard error of the emulator.
pub struct Host;

impl fmt::Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
mod linux {
    const STANDARD_ERROR: usize = 2;
    #[cfg(target_arch = "arm")]
    const WRITE_AND_EXIT: [usize; 2] = [4, 1];
    #[cfg(target_arch = "riscv32")]
    const WRITE_AND_EXIT: [usize; 2] = [64, 93];

    pub(crate) fn write(text: &[u8]) {
        call(WRITE_AND_EXIT[0], STANDARD_ERROR, text.as_ptr() as usize, text.len());
    }

    pub(crate) fn exit(code: i32) {
        call(WRITE_AND_EXIT[1], code as usize, 0, 0);
    }

    #[cfg(target_arch = "arm")]
    fn call(number: usize, a: usize, b: usize, c: usize) {
        // SAFETY: the two calls above read valid memory or end the program. r7 names the call, but is the frame
        // pointer, which the compiler does not lend: it is saved around.
        unsafe {
            core::arch::asm!("push {{r7}}", "mov r7, {number}", "svc 0", "pop {{r7}}",
                number = in(reg) number, inlateout("r0") a => _, in("r1") b, in("r2") c);
        }
    }

    #[cfg(target_arch = "riscv32")]
    fn call(number: usize, a: usize, b: usize, c: usize) {
        // SAFETY: the two calls above read valid memory or end the program.
        unsafe {
            core::arch::asm!("ecall", in("a7") number, inlateout("a0") a => _, in("a1") b, in("a2") c);
        }
    }
}
#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
pub(crate) use linux::{exit, write};

#[cfg(target_arch = "wasm32")]
mod imported {
    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        #[link_name = "write"]
        fn host_write(text: *const u8, len: usize);
        #[link_name = "exit"]
        fn host_exit(code: i32);
    }

    pub(crate) fn write(text: &[u8]) {
        // SAFETY: the host reads these bytes and nothing else.
        unsafe { host_write(text.as_ptr(), text.len()) }
    }

    pub(crate) fn exit(code: i32) {
        // SAFETY: no memory is passed.
        unsafe { host_exit(code) }
    }
}
#[cfg(target_arch = "wasm32")]
pub(crate) use imported::{exit, write};
