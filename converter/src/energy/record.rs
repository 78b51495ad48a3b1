//! Reading a source while work is done.

use super::{EnergyError, Sample, Source};
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

/// What a source told of one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Energy: of counters the difference, of power the trapezoids between samples.
    pub joules: f64,
    /// From the first sample to the last.
    pub seconds: f64,
    /// Samples, the first and the last included.
    pub samples: u64,
}

impl Window {
    /// Mean power.
    pub fn watts(&self) -> f64 {
        self.joules / self.seconds
    }

    /// Samples per second that were achieved.
    pub fn rate(&self) -> f64 {
        self.samples.saturating_sub(1) as f64 / self.seconds
    }
}

/// A window that grows sample by sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct Integral {
    window: Window,
    last: Option<(f64, Sample)>,
    start: f64,
}

impl Integral {
    /// Takes the sample of the time `seconds`, which never goes back.
    pub fn push(&mut self, seconds: f64, sample: Sample) {
        match (self.last, sample) {
            (Some((before, Sample::Watts(last))), Sample::Watts(now)) => {
                self.window.joules += (last + now) / 2.0 * (seconds - before);
            }
            (Some((_, Sample::Joules(last))), Sample::Joules(now)) => self.window.joules += now - last,
            _ => self.start = seconds,
        }
        self.last = Some((seconds, sample));
        self.window.seconds = seconds - self.start;
        self.window.samples += 1;
    }

    /// What it is so far.
    pub fn window(&self) -> Window {
        self.window
    }
}

/// Does `work` while a thread of its own reads `source`, at least before and after.
///
/// # Errors
/// The source could not be read; the work was done nevertheless.
pub fn record<R>(source: &mut dyn Source, work: impl FnOnce() -> R) -> Result<(Window, R), EnergyError> {
    let start = Instant::now();
    let mut integral = Integral::default();
    sample(source, start, &mut integral)?;
    let (stop, stopped) = channel::<()>();
    std::thread::scope(|scope| {
        // Dropped when the work is done, even by a panic: the thread then takes the last sample.
        let stop = stop;
        let poller = scope.spawn(move || {
            loop {
                let done = stopped.recv_timeout(source.interval()) != Err(RecvTimeoutError::Timeout);
                sample(source, start, &mut integral)?;
                if done {
                    return Ok(integral.window());
                }
            }
        });
        let result = work();
        drop(stop);
        let window = poller.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((window, result))
    })
}

/// Takes a sample, at the middle of the time that reading it takes.
fn sample(source: &mut dyn Source, start: Instant, integral: &mut Integral) -> Result<(), EnergyError> {
    let before = start.elapsed();
    let sample = source.read()?;
    integral.push((before + start.elapsed()).as_secs_f64() / 2.0, sample);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn power_is_integrated_by_trapezoids() {
        let mut integral = Integral::default();
        for (seconds, watts) in [(1.0, 2.0), (2.0, 4.0), (2.5, 0.0), (4.5, 0.0)] {
            integral.push(seconds, Sample::Watts(watts));
        }
        let window = integral.window();
        assert_eq!(window, Window { joules: 3.0 + 1.0, seconds: 3.5, samples: 4 });
        assert_eq!(window.rate(), 3.0 / 3.5);
        assert_eq!(window.watts(), 4.0 / 3.5);
    }

    #[test]
    fn counters_are_subtracted() {
        let mut integral = Integral::default();
        for (seconds, joules) in [(0.0, 100.0), (1.0, 103.0), (4.0, 110.0)] {
            integral.push(seconds, Sample::Joules(joules));
        }
        assert_eq!(integral.window(), Window { joules: 10.0, seconds: 4.0, samples: 3 });
    }

    /// Counts how often it is read, and fails from then on.
    struct Scripted {
        reads: u32,
        fails_at: u32,
    }

    impl Source for Scripted {
        fn name(&self) -> &str {
            "scripted"
        }
        fn describe(&self) -> String {
            String::new()
        }
        fn interval(&self) -> Duration {
            Duration::from_secs(3600)
        }
        fn read(&mut self) -> Result<Sample, EnergyError> {
            self.reads += 1;
            if self.reads < self.fails_at {
                Ok(Sample::Joules(self.reads.into()))
            } else {
                Err(EnergyError::Absent("unplugged".into()))
            }
        }
    }

    #[test]
    fn a_window_begins_before_the_work_and_ends_after_it() {
        let mut source = Scripted { reads: 0, fails_at: 10 };
        let (window, result) = record(&mut source, || "done").expect("read twice");
        assert_eq!((window.joules, window.samples, result), (1.0, 2, "done"));
    }

    #[test]
    fn a_source_that_fails_is_an_error_at_either_end() {
        for fails_at in [1, 2] {
            let mut source = Scripted { reads: 0, fails_at };
            assert!(record(&mut source, || ()).expect_err("unplugged").to_string().contains("unplugged"));
        }
    }
}
