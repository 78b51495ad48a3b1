//! What this process and its children have used: CPU time and peak memory, where the system tells.

use std::time::Duration;

/// CPU time of all threads of the process, user and system together; `None` where the system does not tell.
pub fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        total(nix::sys::resource::UsageWho::RUSAGE_SELF)
    }
    #[cfg(not(unix))]
    None
}

/// CPU time of all children of the process that have ended and been waited for.
pub fn children_cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        total(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
    }
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn total(who: nix::sys::resource::UsageWho) -> Option<Duration> {
    use nix::sys::time::TimeValLike;
    let usage = nix::sys::resource::getrusage(who).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// The most memory that the process has had resident, mapped files included; `None` where the system does not tell.
///
/// Linux counts it anew for each program. Its `getrusage` does not: what the parent had resident when it started this
/// process counts there too, so that is asked only where `/proc` is missing.
pub fn peak_rss_bytes() -> Option<u64> {
    #[cfg(unix)]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        high_water_mark(&status).or_else(|| {
            // Apple's systems count bytes, all others kibibytes.
            let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
            let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).ok()?;
            u64::try_from(usage.max_rss()).ok().map(|rss| rss * unit)
        })
    }
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn high_water_mark(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
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
        assert!(children_cpu_time().is_some());
        assert!(peak_rss_bytes().expect("unix tells") > 100_000, "{sum}");
    }

    #[test]
    fn the_high_water_mark_is_that_of_the_program() {
        let status = "Name:\twhit\nVmPeak:\t  230000 kB\nVmHWM:\t    4096 kB\nVmRSS:\t    4000 kB\n";
        assert_eq!(high_water_mark(status), Some(4096 * 1024));
        assert_eq!(high_water_mark("Name:\twhit\n"), None);
    }
}
