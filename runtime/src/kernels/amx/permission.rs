//! Whether tiles may be used: CPU, operating system and this process.
#![allow(unsafe_code, reason = "a system call, and the register that names what the system saves")]

/// Whether the CPU multiplies tiles of bytes and the system saves them. AVX-512 must have been seen, and with it leaf
/// 7 of CPUID and `xgetbv`.
#[cfg(target_os = "linux")]
pub(super) fn granted() -> bool {
    /// CPUID leaf 7, EDX: AMX-TILE and AMX-INT8.
    const FEATURES: u32 = 1 << 24 | 1 << 25;
    core::arch::x86_64::__cpuid_count(7, 0).edx & FEATURES == FEATURES && saved() && permit()
}

/// On other systems nobody has tried.
#[cfg(not(target_os = "linux"))]
pub(super) fn granted() -> bool {
    false
}

/// Number of the tiles' contents among the states that the system saves.
#[cfg(target_os = "linux")]
const TILE_DATA: u32 = 18;

/// Whether the system saves the tiles and their configuration (state 17).
#[cfg(target_os = "linux")]
fn saved() -> bool {
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: register 0 is there where `xgetbv` is.
        unsafe { core::arch::x86_64::_xgetbv(0) }
    }
    const NEEDED: u64 = 1 << TILE_DATA | 1 << 17;
    // SAFETY: a system that enables AVX-512 has enabled `xgetbv`.
    unsafe { states() & NEEDED == NEEDED }
}

/// Asks Linux (5.16 and later) to let this process, and the threads it starts from now on, use tiles: their 8 KiB are
/// kept for those only that ask. Asking again is harmless.
#[cfg(target_os = "linux")]
fn permit() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    let status: i64;
    // SAFETY: this call changes only what the process may do; the kernel overwrites the three registers named.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => status,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") i64::from(TILE_DATA),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    status == 0
}
