//! Pictures of training runs: loss and learning rate over the steps.

use super::metrics::Record;
use crate::plot::{Axis, Chart, Point, Series};

/// The weight of older records halves every so many parts of the run.
const HALF_LIVES: f64 = 60.0;

/// A run: its name and what it recorded.
pub type Run = (String, Vec<Record>);

/// File names and SVG documents.
pub fn pictures(runs: &[Run]) -> Vec<(&'static str, String)> {
    vec![("loss.svg", loss(runs)), ("learning-rate.svg", learning_rate(runs))]
}

fn loss(runs: &[Run]) -> String {
    let mut chart = Chart::new("Training", Axis::linear("steps"), Axis::linear("loss, nats per token"));
    for (name, records) in runs {
        if let Some(best) = best(records) {
            chart =
                chart.subtitle(format!("{name}: best validation {:.4} after {:.0} steps", best.y, best.x));
        }
    }
    for (color, (name, records)) in runs.iter().enumerate() {
        // Of one run, the two lines have colours of their own; of several, each run has one.
        let (training, validation) = if runs.len() == 1 { (0, 1) } else { (color, color) };
        let line = Series::line(label(runs, name, "training, smoothed"), smoothed(&training_losses(records)));
        let line = if runs.len() == 1 { line } else { line.dashed() };
        chart = chart.with(line.color(training));
        let points = validation_losses(records);
        let line = Series::line(label(runs, name, "validation"), points).with_dots();
        chart = chart.with(line.color(validation));
    }
    chart.svg()
}

fn learning_rate(runs: &[Run]) -> String {
    let y = Axis::linear("learning rate").from(0.0);
    let mut chart = Chart::new("Learning rate", Axis::linear("steps"), y);
    for (color, (name, records)) in runs.iter().enumerate() {
        let points = records.iter().filter_map(|record| match *record {
            Record::Training { step, learning_rate, .. } => Some(Point::new(step as f64, learning_rate)),
            _ => None,
        });
        chart = chart.with(Series::line(label(runs, name, ""), points).color(color));
    }
    chart.svg()
}

fn label(runs: &[Run], name: &str, what: &str) -> String {
    match (runs.len(), what) {
        (1, what) => what.to_owned(),
        (_, "") => name.to_owned(),
        _ => format!("{name}, {what}"),
    }
}

fn training_losses(records: &[Record]) -> Vec<Point> {
    let points = records.iter().filter_map(|record| match *record {
        Record::Training { step, loss, .. } => Some(Point::new(step as f64, loss)),
        _ => None,
    });
    points.collect()
}

fn validation_losses(records: &[Record]) -> Vec<Point> {
    let points = records.iter().filter_map(|record| match *record {
        Record::Validation { step, loss, .. } => Some(Point::new(step as f64, loss)),
        _ => None,
    });
    points.collect()
}

fn best(records: &[Record]) -> Option<Point> {
    validation_losses(records).into_iter().min_by(|a, b| a.y.total_cmp(&b.y))
}

/// The running mean of the points so far, older ones fading.
fn smoothed(points: &[Point]) -> Vec<Point> {
    let kept = 0.5f64.powf(HALF_LIVES / points.len().max(1) as f64);
    let (mut sum, mut weight) = (0.0, 0.0);
    let each = points.iter().map(|point| {
        (sum, weight) = (kept * sum + point.y, kept * weight + 1.0);
        Point::new(point.x, sum / weight)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let training = |step: u64| Record::Training {
            step,
            tokens: step * 100,
            loss: 4.0 / (step as f64).sqrt(),
            learning_rate: 1e-3,
            gradient_norm: 1.0,
            tokens_per_s: 1e3,
            seconds: 1.0,
        };
        let validation = |step, loss| Record::Validation { step, loss, bits_per_byte: loss, best: true };
        vec![
            training(1),
            training(2),
            validation(2, 3.0),
            training(3),
            validation(3, 2.5),
            validation(4, 2.75),
        ]
    }

    #[test]
    fn both_pictures_name_what_they_show() {
        let one = pictures(&[("poems".into(), records())]);
        assert_eq!([one[0].0, one[1].0], ["loss.svg", "learning-rate.svg"]);
        for text in ["training, smoothed", "validation", "poems: best validation 2.5000 after 3 steps"] {
            assert!(one[0].1.contains(text), "{text}");
        }
        let two = pictures(&[("poems".into(), records()), ("prose".into(), records())]);
        assert!(two[0].1.contains("prose, validation") && two[1].1.contains("poems"));
    }

    #[test]
    fn smoothing_starts_at_the_first_point_and_keeps_constants() {
        let points: Vec<Point> = (0..9).map(|step| Point::new(f64::from(step), 2.0)).collect();
        assert_eq!(smoothed(&points), points);
        let falling: Vec<Point> =
            (0..600).map(|step| Point::new(f64::from(step), f64::from(-step))).collect();
        let last = smoothed(&falling).pop().expect("a point");
        assert!((-595.0..-580.0).contains(&last.y), "{last:?}");
    }
}
