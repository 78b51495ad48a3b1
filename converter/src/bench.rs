//! How fast a file runs on this machine, beside how fast its weights can be read and multiplied at all.
//!
//! Prefill feeds a prompt to an empty session, decode feeds single tokens from an empty session on and computes the
//! logits of each; drawing tokens and text are left out. Tokens are pseudo-random, from a stated seed. Each number is
//! the median of the runs, after one that is not counted; runs are repeated until they agree or time is up, and
//! [`stability`] says of every figure whether they did. Times per CPU second count every thread of the process,
//! spinning included.
//!
//! [`bench()`] measures in the process that calls it. Peak memory is the model's own if that did nothing before.

mod bandwidth;
pub mod compare;
mod depth;
mod energy;
mod limits;
mod opening;
pub(crate) mod origin;
pub mod plots;
mod probe;
pub mod report;
mod runs;
pub mod scaling;
pub mod stability;
mod start;
pub mod statistics;
mod subject;
mod turns;

pub use energy::{Asked, energy};
pub use report::Report;
pub use start::add_start;
pub use turns::turns;

use crate::machine::{Conditions, Machine, Root};
use crate::usage::peak_rss_bytes;
use limits::Limits;
use opening::Opening;
use scaling::BANDWIDTH_SHARE;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use subject::Subject;
use whit::CacheKind;
use whit::kernels::Backend;
use whit::threads::ThreadPool;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Workers.
    pub threads: usize,
    /// Tokens of the prompt; at most the model's context are used.
    pub prompt_tokens: usize,
    /// Tokens decoded; at most the model's context are used.
    pub decode_tokens: usize,
    /// Tokens in one pass over the weights, in prefill.
    pub batch: usize,
    /// How often each is measured at least.
    pub repeats: usize,
    /// How wide the 95 % interval of a median may be, as a share of the median, before runs are repeated and the
    /// figure is called unstable.
    pub spread: f64,
    /// How long prefill, decode and each context are repeated for that at most.
    pub time_limit: Duration,
    /// Positions in the cache at which decoding is measured as well; those beyond the model's context are left out.
    pub contexts: Vec<usize>,
    /// The backend; the fastest that this CPU has if `None`.
    pub backend: Option<Backend>,
    /// Kind of cache; the model's own if `None`.
    pub cache: Option<CacheKind>,
    /// Names the tokens.
    pub seed: u64,
}

impl Default for Options {
    /// One thread, 512 tokens of prompt, 128 decoded, five repeats and no more.
    fn default() -> Self {
        Self {
            threads: 1,
            prompt_tokens: 512,
            decode_tokens: 128,
            batch: 128,
            repeats: 5,
            spread: 0.05,
            time_limit: Duration::ZERO,
            contexts: vec![],
            backend: None,
            cache: None,
            seed: 1,
        }
    }
}

/// Steps that [`bench`] tells its progress of.
const STEPS: usize = 6;

/// Measures the file at `path`. `progress` is told how much of how much is done.
///
/// # Errors
/// A message: the file cannot be opened, or a session cannot be made.
pub fn bench(
    path: &Path,
    options: &Options,
    mut progress: impl FnMut(usize, usize),
) -> Result<Report, String> {
    let name = path.display().to_string();
    let about = |error: String| format!("{name}: {error}");
    let mut at = |step: usize, share: f64| progress(step * 100 + (share * 100.0) as usize, STEPS * 100);
    let root = Root::default();
    let (machine, before) = (Machine::read(&root), Conditions::read(&root));
    let rss_before_load_bytes = peak_rss_bytes();
    let pool = ThreadPool::new(options.threads).map_err(|error| format!("cannot start a thread: {error}"))?;
    let opening = Opening { path, options, pool: &pool };
    let mut figures = BTreeMap::from([("load_ms".to_owned(), opening.load_ms().map_err(about)?)]);
    let map = opening.map().map_err(about)?;
    let model = opening.model(&map).map_err(about)?;
    let subject = Subject::new(model, options, &pool).map_err(about)?;
    at(0, 1.0);
    let warm = subject.warm_up().map_err(about)?;
    let peak_rss_bytes = peak_rss_bytes();
    at(1, 1.0);
    // The limits before and after: what else the machine does changes from one second to the next.
    let limits = Limits::measure(&subject);
    at(2, 1.0);
    let runs = subject.runs(&warm, &mut at).map_err(about)?;
    figures.insert("first_token_ms".to_owned(), opening.first_token_ms(&subject.prompt).map_err(about)?);
    let shares = turns::bandwidth_shares(&subject.model, options, &pool).map_err(about)?;
    figures.extend((!shares.is_empty()).then(|| (BANDWIDTH_SHARE.to_owned(), shares)));
    let contexts = depth::depths(&subject, &mut figures, |share| at(5, share)).map_err(about)?;
    let limits = limits.best(Limits::measure(&subject));
    at(STEPS, 0.0);
    let mut report = subject.report(name, runs, figures, limits);
    (report.machine, report.before, report.after) = (machine, before, Conditions::read(&root));
    report.contexts = contexts;
    (report.peak_rss_bytes, report.rss_before_load_bytes) = (peak_rss_bytes, rss_before_load_bytes);
    report.judge(options.spread);
    Ok(report)
}

fn message(error: impl std::fmt::Display) -> String {
    error.to_string()
}
