//! Time of one thread: a busy neighbour costs it cache but no time. For loops of microseconds to milliseconds; whole
//! models are timed by the converter.

use std::time::Instant;

/// The thread's CPU time, or wall time where that is not told.
#[derive(Debug)]
pub struct Clock {
    #[cfg_attr(unix, allow(dead_code))]
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    #[cfg(unix)]
    #[allow(unsafe_code, reason = "the system call")]
    fn seconds(&mut self) -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place for the result.
        let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        assert_eq!(status, 0, "every thread has a CPU clock");
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    }

    #[cfg(not(unix))]
    fn seconds(&mut self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds for one call of `work`: the least of five rounds of at least 10 ms.
    pub fn best(&mut self, mut work: impl FnMut()) -> f64 {
        let (mut times, mut best, mut rounds) = (1, f64::INFINITY, 0);
        while rounds < 5 {
            let start = self.seconds();
            for _ in 0..times {
                work();
            }
            let seconds = self.seconds() - start;
            if seconds < 0.01 {
                times *= 2;
                continue;
            }
            best = best.min(seconds / f64::from(times));
            rounds += 1;
        }
        best
    }
}
