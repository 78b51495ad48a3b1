//! How a training run shows where it is: a bar on a terminal, lines elsewhere.

use crate::cli::output::note;
use crate::train::{Best, Event};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two lines where stderr is not a terminal.
const INTERVAL: Duration = Duration::from_secs(5);

/// The progress of a run, on stderr.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    steps: u64,
    /// Tokens of a step.
    tokens: usize,
    last: Option<Instant>,
}

impl Display {
    /// A run of `steps` steps of `tokens` tokens, of which `done` are done.
    pub(super) fn new(done: u64, steps: u64, tokens: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("step {pos} of {len}  {wide_bar} {msg}");
            let bar = ProgressBar::new(steps).with_position(done);
            if let Ok(style) = style { bar.with_style(style) } else { bar }
        });
        Self { bar, steps, tokens, last: None }
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, event: &Event) {
        match *event {
            Event::Step { step, loss, tokens_per_s } => self.step(step, loss, tokens_per_s),
            Event::Validation { found, best } => self.line(&validation(found, best)),
            Event::Rounding { step } => {
                self.line(&format!("step {step}: from here on weights and activations are rounded"));
            }
        }
    }

    fn step(&mut self, step: u64, loss: f64, tokens_per_s: f64) {
        let left = (self.steps - step) as f64 * self.tokens as f64 / tokens_per_s.max(1e-9);
        let left = duration(left);
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            bar.set_message(format!("loss {loss:.3}, {tokens_per_s:.0} tokens/s, {left} left"));
        } else if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            let steps = self.steps;
            note(format_args!(
                "step {step} of {steps}: loss {loss:.3}, {tokens_per_s:.0} tokens/s, {left} left"
            ));
        }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note(line),
        }
    }
}

fn validation(found: Best, best: bool) -> String {
    let Best { step, loss, bits_per_byte } = found;
    let best = if best { ", the best so far" } else { "" };
    format!("step {step}: validation {loss:.4} nats per token, {bits_per_byte:.4} bits per byte{best}")
}

/// `1:02:03`, or `2:03` below an hour.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_hours_only_where_there_are_some() {
        for (seconds, expected) in [(0.4, "0:00"), (59.6, "1:00"), (3599.0, "59:59"), (3661.0, "1:01:01")] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
