//! What these threads reach when they do nothing else: the roofs over decode and prefill.

use super::bandwidth::read_gb_per_s;
use super::subject::Subject;
use std::time::{Duration, Instant};
use whit::format::Section;
use whit::kernels::Backend;
use whit::kernels::peak::RegisterProducts;
use whit::parallel::Workers;

/// The roofs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Weights read, in 10⁹ bytes per second.
    pub(super) read_gb_per_s: f64,
    /// Instructions, and products of bytes on registers alone, in 10⁹ per second.
    pub(super) integer_peak: Option<(&'static str, f64)>,
}

impl Limits {
    pub(super) fn measure(subject: &Subject<'_>) -> Self {
        let weights = subject.model.file().section(Section::TensorData);
        Self {
            read_gb_per_s: read_gb_per_s(subject.model.backend(), weights, subject.pool),
            integer_peak: integer_peak(subject.pool),
        }
    }

    /// A neighbour can only lower them.
    pub(super) fn best(self, other: Self) -> Self {
        let peaks = self.integer_peak.into_iter().chain(other.integer_peak);
        Self {
            read_gb_per_s: self.read_gb_per_s.max(other.read_gb_per_s),
            integer_peak: peaks.max_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }
}

/// Long enough to meet a moment in which nobody disturbs.
const AT_LEAST: Duration = Duration::from_millis(50);

/// Calls between two looks at the clock: some hundred microseconds.
const CALLS: u64 = 16;

/// The instructions that make most, and the 10⁹ products per second of all `workers` together; `None` where no backend
/// has such instructions.
fn integer_peak(workers: &dyn Workers) -> Option<(&'static str, f64)> {
    let peaks = Backend::available().filter_map(RegisterProducts::of);
    let peaks = peaks.map(|products| (products.instructions, gmac_per_s(&products, workers)));
    peaks.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The best of many short stretches counts: what the machine can do, not what disturbed it.
fn gmac_per_s(products: &RegisterProducts, workers: &dyn Workers) -> f64 {
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < AT_LEAST {
        let begin = Instant::now();
        workers.run(&|_| (0..CALLS).for_each(|_| products.run()));
        best = best.min(begin.elapsed().as_secs_f64());
    }
    (products.products * CALLS * workers.count() as u64) as f64 / best / 1e9
}
