//! How far a long step is: a bar on a terminal, a line now and then elsewhere.

use super::output::note;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between lines where stderr is not a terminal; short steps stay silent.
const INTERVAL: Duration = Duration::from_secs(5);

/// The progress of one step, on stderr.
#[derive(Debug)]
pub(super) struct Progress {
    label: &'static str,
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Progress {
    /// A step that does what `label` says.
    pub(super) fn new(label: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:10} {wide_bar} {percent:>3} %  {eta}");
            let bar = ProgressBar::new(0).with_prefix(label);
            if let Ok(style) = style { bar.with_style(style) } else { bar }
        });
        Self { label, bar, last: Instant::now() }
    }

    /// `done` of `total` are done.
    pub(super) fn set(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        } else if self.last.elapsed() >= INTERVAL {
            self.last = Instant::now();
            note(format_args!("{}: {} %", self.label, done * 100 / total.max(1)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
