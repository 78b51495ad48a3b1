//! Axes: from values to places, and the ticks that a reader can count by.

/// A decade and its ticks fit above this many pixels, or fewer ticks are labelled.
const PIXELS_PER_LABEL: f64 = 46.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

/// One of the two axes of a chart. Its ends follow from what is shown unless they are given.
#[derive(Clone, Debug)]
pub struct Axis {
    pub(super) label: String,
    scale: Scale,
    low: Option<f64>,
    high: Option<f64>,
}

impl Axis {
    /// Equal steps. `label` says what is shown and in which unit.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, low: None, high: None }
    }

    /// Equal ratios; values that are not above zero are left out.
    pub fn log(label: impl Into<String>) -> Self {
        Self { scale: Scale::Log, ..Self::linear(label) }
    }

    /// Begins at `low`.
    pub fn from(self, low: f64) -> Self {
        Self { low: Some(low), ..self }
    }

    /// Ends at `high`.
    pub fn to(self, high: f64) -> Self {
        Self { high: Some(high), ..self }
    }

    /// Whether `value` has a place on the axis.
    pub(super) fn takes(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// The axis over `values`, from pixel `start` to pixel `end`.
    pub(super) fn span(&self, values: impl Iterator<Item = f64>, start: f64, end: f64) -> Span {
        let (mut low, mut high) = values
            .filter(|&value| self.takes(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let place = Span { scale: self.scale, low: 0.0, high: 0.0, start, end };
        let (mut low, mut high) = (place.along(low), place.along(high));
        let margin =
            if high > low { 0.06 * (high - low) } else { 0.5 * if low == 0.0 { 1.0 } else { low.abs() } };
        (low, high) = (low - margin, high + margin);
        let given =
            |value: Option<f64>| value.filter(|&value| self.takes(value)).map(|value| place.along(value));
        let low = given(self.low).unwrap_or(low);
        let high = given(self.high).unwrap_or(high);
        Span { low, high: if high > low { high } else { low + 1.0 }, ..place }
    }
}

/// An axis with ends and pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    scale: Scale,
    /// The ends: values, or their decimal logarithms.
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    /// What stands beside it; minor ticks have nothing.
    pub(super) label: Option<String>,
}

impl Span {
    fn along(&self, value: f64) -> f64 {
        if self.scale == Scale::Log { value.log10() } else { value }
    }

    /// The pixel of `value`.
    pub(super) fn pixel(&self, value: f64) -> f64 {
        self.start + (self.along(value) - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// Ticks within the axis, in order.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let room = ((self.end - self.start).abs() / PIXELS_PER_LABEL).max(2.0);
        match self.scale {
            Scale::Linear => self.linear_ticks(room),
            Scale::Log => self.log_ticks(room),
        }
    }

    fn linear_ticks(&self, room: f64) -> Vec<Tick> {
        let step = round_step((self.high - self.low) / room);
        let (first, last) =
            ((self.low / step - 1e-9).ceil() as i64, (self.high / step + 1e-9).floor() as i64);
        let tick = |count: i64| {
            let value = count as f64 * step;
            Tick { at: self.pixel(value), label: Some(with_unit(value, step)) }
        };
        (first..=last).map(tick).collect()
    }

    fn log_ticks(&self, room: f64) -> Vec<Tick> {
        let decades = self.high - self.low;
        // Which multiples of a power of ten are labelled, and of which powers.
        let (labelled, every): (&[i64], i32) = if decades * 9.0 <= room {
            (&[1, 2, 3, 4, 5, 6, 7, 8, 9], 1)
        } else if decades * 3.0 <= room {
            (&[1, 2, 5], 1)
        } else {
            (&[1], (decades / room).ceil().max(1.0) as i32)
        };
        let powers = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = powers.flat_map(|power| (1..10).map(move |multiple| (power, multiple)));
        all.filter_map(|(power, multiple)| {
            let value = multiple as f64 * 10f64.powi(power);
            let inside = (self.low - 1e-9..=self.high + 1e-9).contains(&value.log10());
            let label = labelled.contains(&multiple) && power.rem_euclid(every) == 0;
            inside.then(|| Tick {
                at: self.pixel(value),
                label: label.then(|| with_unit(value, 10f64.powi(power))),
            })
        })
        .collect()
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let multiple = [1.0, 2.0, 5.0].into_iter().find(|multiple| multiple * power >= step * (1.0 - 1e-9));
    multiple.unwrap_or(10.0) * power
}

/// `value` as short as neighbours `step` away allow: 0.05, 20, 1.5k, 3M.
pub(super) fn with_unit(value: f64, step: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (unit, name) =
        units.into_iter().find(|&(unit, _)| value.abs() >= unit * (1.0 - 1e-9)).unwrap_or((1.0, ""));
    let digits = (-(step / unit).log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{:.digits$}", value / unit);
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}{name}", if short == "-0" { "0" } else { short })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(span: &Span) -> Vec<String> {
        span.ticks().into_iter().filter_map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let span = Axis::linear("").from(0.0).to(1.0).span([0.0, 1.0].into_iter(), 0.0, 300.0);
        assert_eq!(labels(&span), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let span = Axis::linear("").from(0.0).to(2400.0).span([].into_iter(), 300.0, 0.0);
        assert_eq!(labels(&span), ["0", "500", "1k", "1.5k", "2k"]);
        assert_eq!(span.pixel(0.0), 300.0);
        assert_eq!(span.pixel(2400.0), 0.0);
    }

    #[test]
    fn negative_values_have_ticks_too() {
        let span = Axis::linear("").from(-1.0).to(1.0).span([].into_iter(), 0.0, 200.0);
        assert_eq!(labels(&span), ["-1", "-0.5", "0", "0.5", "1"]);
    }

    #[test]
    fn a_decade_of_a_logarithmic_axis_takes_equal_room() {
        let span = Axis::log("").from(0.1).to(1000.0).span([].into_iter(), 0.0, 400.0);
        assert_eq!(labels(&span), ["0.1", "1", "10", "100", "1k"]);
        assert!((span.pixel(1.0) - 100.0).abs() < 1e-9 && (span.pixel(10.0) - 200.0).abs() < 1e-9);
        // Nine ticks a decade, the last end included.
        assert_eq!(span.ticks().len(), 4 * 9 + 1);
    }

    #[test]
    fn a_short_logarithmic_axis_labels_more_than_powers() {
        let span = Axis::log("").from(1.0).to(20.0).span([].into_iter(), 0.0, 300.0);
        assert_eq!(labels(&span), ["1", "2", "5", "10", "20"]);
    }

    #[test]
    fn ends_follow_from_the_values_and_leave_a_margin() {
        let span = Axis::linear("").span([10.0, 20.0].into_iter(), 0.0, 112.0);
        assert!((span.pixel(10.0) - 6.0).abs() < 1e-9 && (span.pixel(20.0) - 106.0).abs() < 1e-9);
        let one = Axis::log("").span([5.0].into_iter(), 0.0, 100.0);
        assert!((one.pixel(5.0) - 50.0).abs() < 1e-9);
        // Nothing to show is no reason to fail.
        assert!(!Axis::log("").span([-1.0, 0.0, f64::NAN].into_iter(), 0.0, 100.0).ticks().is_empty());
    }
}
