//! The procedure: idle, windows of work, idle again.
//!
//! As in MLPerf Tiny's energy mode (Banbury et al., 2021), speed and energy are measured in separate windows: speed
//! first and without a source being read, then energy over windows of at least ten seconds, of which the median
//! counts. Idle draw is the mean power while nothing runs, before and after; it is stated, and what is left when it is
//! subtracted is the net energy. What is waited for is the program sleeping: on a machine that does other things, those
//! are in both.

use super::record::{Window, record};
use super::{EnergyError, Source};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The least that a window lasts.
    pub window: Duration,
    /// Windows of each work.
    pub repeats: usize,
    /// Idle time before, and again after.
    pub idle: Duration,
}

impl Default for Options {
    /// Five windows of ten seconds; five seconds idle.
    fn default() -> Self {
        Self { window: Duration::from_secs(10), repeats: 5, idle: Duration::from_secs(5) }
    }
}

/// Work whose energy is asked for.
pub struct Work<'a> {
    /// What is done: `prefill`, `decode`.
    pub name: &'static str,
    /// What is counted: `token`, `inference`.
    pub unit: &'static str,
    /// Does some of it, and says how many units that was.
    pub run: &'a mut dyn FnMut() -> Result<u64, String>,
}

/// What was measured. The fields are the JSON keys under `energy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The source's name.
    pub source: String,
    /// What it measures, and what not.
    pub describes: String,
    /// The least that a window lasted, in s; the method asks for 10.
    pub window_seconds: f64,
    /// Idle time before and after, each in s.
    pub idle_seconds: f64,
    /// Mean power meanwhile, in W: before.
    pub idle_watts_before: f64,
    /// After.
    pub idle_watts_after: f64,
    /// Each work.
    pub works: Vec<Figures>,
}

/// Energy of one kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// `prefill`, `decode`.
    pub name: String,
    /// `token`, `inference`.
    pub unit: String,
    /// The windows.
    pub windows: Vec<Window>,
    /// Units in each.
    pub units: Vec<u64>,
    /// Energy for a unit as it was drawn, in J: the median.
    pub gross_joules: f64,
    /// The same without idle draw.
    pub net_joules: f64,
    /// The least and the most net energy of the windows.
    pub net_joules_range: [f64; 2],
    /// Mean power of all windows, in W.
    pub watts: f64,
    /// Samples per second that were achieved.
    pub samples_per_s: f64,
}

impl Report {
    /// Idle draw that is subtracted: the mean of before and after.
    pub fn idle_watts(&self) -> f64 {
        (self.idle_watts_before + self.idle_watts_after) / 2.0
    }

    /// How far both are apart, as a share of the power under load: what the net energy may be off by.
    pub fn drift(&self) -> f64 {
        let load = self.works.iter().map(|work| work.watts).fold(0.0, f64::max);
        (self.idle_watts_after - self.idle_watts_before).abs() / load
    }
}

/// Why there is no report.
#[derive(Debug)]
pub enum Failed {
    /// The source failed.
    Source(EnergyError),
    /// The work failed.
    Work(String),
}

impl From<EnergyError> for Failed {
    fn from(error: EnergyError) -> Self {
        Self::Source(error)
    }
}

/// Measures `works` one after the other; `progress` is told how many windows of how many are done.
///
/// # Errors
/// The source could not be read, or the work failed.
pub fn measure(
    source: &mut dyn Source,
    options: &Options,
    works: &mut [Work<'_>],
    mut progress: impl FnMut(usize, usize),
) -> Result<Report, Failed> {
    let total = 2 + works.len() * options.repeats;
    progress(0, total);
    let (before, ()) = record(source, || std::thread::sleep(options.idle))?;
    let mut measured = Vec::new();
    for (work, number) in works.iter_mut().zip(0..) {
        let mut windows = Vec::new();
        for repeat in 0..options.repeats {
            progress(1 + number * options.repeats + repeat, total);
            let (window, units) = record(source, || units_in(options.window, &mut *work.run))?;
            windows.push((window, units.map_err(Failed::Work)?));
        }
        measured.push((work.name, work.unit, windows));
    }
    progress(total - 1, total);
    let (after, ()) = record(source, || std::thread::sleep(options.idle))?;
    progress(total, total);
    let idle = (before.watts() + after.watts()) / 2.0;
    Ok(Report {
        source: source.name().to_owned(),
        describes: source.describe(),
        window_seconds: options.window.as_secs_f64(),
        idle_seconds: options.idle.as_secs_f64(),
        idle_watts_before: before.watts(),
        idle_watts_after: after.watts(),
        works: measured.iter().map(|(name, unit, windows)| Figures::of(name, unit, windows, idle)).collect(),
    })
}

/// Repeats `run` until `window` is over.
fn units_in(window: Duration, run: &mut dyn FnMut() -> Result<u64, String>) -> Result<u64, String> {
    let start = Instant::now();
    let mut units = run()?;
    while start.elapsed() < window {
        units += run()?;
    }
    Ok(units)
}

impl Figures {
    /// Units per second while energy was measured.
    pub fn units_per_s(&self) -> f64 {
        let seconds: f64 = self.windows.iter().map(|window| window.seconds).sum();
        self.units.iter().sum::<u64>() as f64 / seconds
    }

    /// From windows and the units in each, with `idle` W subtracted.
    pub fn of(name: &str, unit: &str, windows: &[(Window, u64)], idle: f64) -> Self {
        let per_unit = |joules: &dyn Fn(&Window) -> f64| {
            let mut values: Vec<f64> =
                windows.iter().map(|(window, units)| joules(window) / *units as f64).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let net = per_unit(&|window| window.joules - idle * window.seconds);
        let sum =
            |value: &dyn Fn(&Window) -> f64| windows.iter().map(|(window, _)| value(window)).sum::<f64>();
        let seconds = sum(&|window| window.seconds);
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            gross_joules: median(&per_unit(&|window| window.joules)),
            net_joules: median(&net),
            net_joules_range: [net.first(), net.last()].map(|value| value.copied().unwrap_or(f64::NAN)),
            watts: sum(&|window| window.joules) / seconds,
            samples_per_s: sum(&|window| window.rate() * window.seconds) / seconds,
            units: windows.iter().map(|&(_, units)| units).collect(),
            windows: windows.iter().map(|&(window, _)| window).collect(),
        }
    }
}

/// The middle of sorted values; the lower of two.
fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(joules: f64, seconds: f64) -> Window {
        Window { joules, seconds, samples: 11 }
    }

    #[test]
    fn idle_draw_is_subtracted_for_as_long_as_each_window_lasts() {
        // 3 W idle; 5 W, 7 W and 6 W under load.
        let windows = [(window(50.0, 10.0), 10), (window(77.0, 11.0), 11), (window(60.0, 10.0), 20)];
        let figures = Figures::of("decode", "token", &windows, 3.0);
        assert_eq!(figures.gross_joules, 5.0);
        assert_eq!(figures.net_joules, 2.0);
        assert_eq!(figures.net_joules_range, [1.5, 4.0]);
        assert_eq!(figures.watts, 187.0 / 31.0);
        assert_eq!(figures.samples_per_s, 30.0 / 31.0);
        assert_eq!(figures.units, [10, 11, 20]);
    }

    #[test]
    fn drift_of_the_idle_draw_is_a_share_of_the_load() {
        let report = Report {
            source: String::new(),
            describes: String::new(),
            window_seconds: 10.0,
            idle_seconds: 5.0,
            idle_watts_before: 3.0,
            idle_watts_after: 4.0,
            works: vec![Figures::of("decode", "token", &[(window(80.0, 10.0), 1)], 3.5)],
        };
        assert_eq!((report.idle_watts(), report.drift()), (3.5, 0.125));
    }
}
