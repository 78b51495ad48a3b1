//! What this process has used: CPU time and peak memory, where the system tells.

use std::time::Duration;

/// CPU time of all threads of the process, user and system together; `None` where the system does not tell.
pub fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        use nix::sys::time::TimeValLike;
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).ok()?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        u64::try_from(micros).ok().map(Duration::from_micros)
    }
    #[cfg(not(unix))]
    None
}

/// The most memory that the process has had resident, mapped files included; `None` where the system does not tell.
pub fn peak_rss_bytes() -> Option<u64> {
    #[cfg(unix)]
    {
        // Apple's systems count bytes, all others kibibytes.
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).ok()?;
        u64::try_from(usage.max_rss()).ok().map(|rss| rss * unit)
    }
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_never_goes_back_and_memory_is_not_nothing() {
        let before = cpu_time().expect("unix tells");
        let mut sum = 0u64;
        for i in 0..1_000_000u64 {
            sum = std::hint::black_box(sum.wrapping_add(i));
        }
        assert!(cpu_time().expect("unix tells") >= before);
        assert!(peak_rss_bytes().expect("unix tells") > 100_000, "{sum}");
    }
}
