//! Energy of prefill and decode: the same work as in the measurement of speed, repeated for as long as the method asks.

use super::opening::Opening;
use super::subject::Subject;
use super::{Options, message};
use crate::energy::Source;
use crate::energy::method::{self, Failed, Work, measure};
use crate::energy::model::{self, Class, Estimate, Memory};
use std::cell::RefCell;
use std::path::Path;
use whit::threads::ThreadPool;

/// What is asked about energy.
pub struct Asked<'a> {
    /// What measures, and how long.
    pub measure: Option<(&'a mut dyn Source, method::Options)>,
    /// What is to be estimated.
    pub estimate: Option<(Class, Memory)>,
}

/// Energy of the model in the file at `path`, as it was asked for. `progress` is told how many windows of how many are
/// done.
///
/// # Errors
/// The source could not be read, the file cannot be run, or there is nothing published to estimate with.
pub fn energy(
    path: &Path,
    options: &Options,
    asked: Asked<'_>,
    progress: impl FnMut(usize, usize),
) -> Result<(Option<method::Report>, Option<Estimate>), Failed> {
    let about = |error: String| Failed::Work(format!("{}: {error}", path.display()));
    let pool =
        ThreadPool::new(options.threads).map_err(|error| about(format!("cannot start a thread: {error}")))?;
    let opening = Opening { path, options, pool: &pool };
    let map = opening.map().map_err(about)?;
    let model = opening.model(&map).map_err(about)?;
    let estimate =
        asked.estimate.map(|(class, memory)| model::estimate(class, memory, model::Work::of(model.file())));
    let estimate = estimate.transpose().map_err(about)?;
    let Some((source, method)) = asked.measure else { return Ok((None, estimate)) };
    let subject = Subject::new(model, options, &pool).map_err(about)?;
    let (prompt, decoded) = (&subject.prompt, &subject.decoded);
    let measured = subject.with_session(subject.session_options, |session| {
        let session = RefCell::new(session);
        let mut prefill = || {
            session.borrow_mut().reset();
            session.borrow_mut().feed(prompt).map_err(message)?;
            Ok(prompt.len() as u64)
        };
        let mut decode = || {
            session.borrow_mut().reset();
            decoded.iter().try_for_each(|&token| session.borrow_mut().feed(&[token])).map_err(message)?;
            Ok(decoded.len() as u64)
        };
        let mut works = [
            Work { name: "prefill", unit: "token", run: &mut prefill },
            Work { name: "decode", unit: "token", run: &mut decode },
        ];
        Ok(measure(source, &method, &mut works, progress))
    });
    Ok((Some(measured.map_err(about)??), estimate))
}
