//! A recording as a picture: power over time, and the windows that were cut, each at its mean power.

use super::{Analysis, Recording};
use crate::plot::{Axis, Chart, Point, Series};

/// Places along the time axis: of the samples in each, the least and the most power are shown.
const PLACES: usize = 1000;

/// The picture as SVG.
pub fn svg(recording: &Recording, analysis: &Analysis) -> String {
    let idle = analysis.idle_watts.map_or_else(String::new, |watts| format!(", idle {}", milliwatts(watts)));
    let mut chart =
        Chart::new(format!("Power, {}", analysis.origin), Axis::linear("time, s"), Axis::linear("power, mW"))
            .subtitle(format!("{:.3} s, mean {}{idle}", analysis.seconds, milliwatts(analysis.watts)))
            .with(Series::line("power", envelope(recording)));
    for windows in &analysis.windows {
        let mean = windows.gross_joules.mean / windows.seconds.mean;
        let low = analysis.idle_watts.unwrap_or(0.0);
        let edges = windows.places.iter().flat_map(|&[from, to]| {
            [(from, low), (from, mean), (to, mean), (to, low)]
                .map(|(time, watts)| Point::new(time, watts * 1e3))
        });
        chart = chart.with(Series::line(format!("{} ({})", windows.kind, windows.pin), edges));
    }
    chart.svg()
}

/// The least and the most power of every place, in the order in which they come.
fn envelope(recording: &Recording) -> Vec<Point> {
    let size = recording.samples.len().div_ceil(PLACES).max(1);
    let places = recording.samples.chunks(size).flat_map(|samples| {
        let by_power = |i: &&super::Sample, j: &&super::Sample| i.watts.total_cmp(&j.watts);
        let ends = samples.iter().min_by(by_power).into_iter().chain(samples.iter().max_by(by_power));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by(|i, j| i.seconds.total_cmp(&j.seconds));
        ends.dedup();
        ends
    });
    places.map(|sample| Point::new(sample.seconds, f64::from(sample.watts) * 1e3)).collect()
}

fn milliwatts(watts: f64) -> String {
    format!("{:.4} mW", watts * 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;

    #[test]
    fn a_peak_of_one_sample_is_not_lost_among_a_million() {
        let sample = |i: u32| Sample {
            seconds: f64::from(i) * 1e-5,
            watts: if i == 123_456 { 9.0 } else { 1.0 },
            pins: 0,
        };
        let samples = (0..1_000_000).map(sample).collect();
        let recording = Recording { origin: String::new(), samples, pins: Vec::new(), lost: 0 };
        let points = envelope(&recording);
        assert!(points.len() <= 2 * PLACES, "{}", points.len());
        assert!(points.contains(&Point::new(1.23456, 9000.0)));
    }
}
