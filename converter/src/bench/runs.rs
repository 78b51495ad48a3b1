//! Timed runs, repeated until they agree or time is up.

use super::statistics::Summary;
use crate::usage::cpu_time;
use std::time::{Duration, Instant};
use whit::{Error, Session, Token};

/// A run of a small model repeats its tokens until it takes so long: one that takes no longer than a few ticks of the
/// system's clock measures those.
pub(super) const AT_LEAST: Duration = Duration::from_millis(20);

/// More runs than this say no more; the samples of all of them are kept.
const MOST: usize = 60;

/// What one run took.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    /// Tokens fed.
    pub(super) tokens: usize,
    /// Seconds by the clock on the wall.
    pub(super) wall: f64,
    /// Seconds of CPU time of all threads; `None` where the system does not tell or its clock did not move.
    pub(super) cpu: Option<f64>,
    /// Milliseconds of each token, where tokens were fed one by one.
    pub(super) token_ms: Vec<f64>,
}

impl Run {
    /// Tokens per second.
    pub(super) fn per_s(&self) -> f64 {
        self.tokens as f64 / self.wall.max(1e-9)
    }

    /// Tokens per second of CPU time.
    pub(super) fn per_cpu_s(&self) -> Option<f64> {
        self.cpu.map(|cpu| self.tokens as f64 / cpu)
    }

    /// How many passes over the same tokens make a run that is long enough, after this one of a single pass.
    pub(super) fn passes(&self) -> usize {
        (AT_LEAST.as_secs_f64() / self.wall.max(1e-6)).ceil().max(1.0) as usize
    }
}

/// Feeds `tokens` at once after the first `position` of the session, `passes` times.
pub(super) fn at_once(
    session: &mut Session<'_, '_>,
    position: usize,
    tokens: &[Token],
    passes: usize,
) -> Result<Run, Error> {
    timed(session, position, tokens, passes, |session, _| session.feed(tokens))
}

/// The same one by one, with the logits and the time of each.
pub(super) fn one_by_one(
    session: &mut Session<'_, '_>,
    position: usize,
    tokens: &[Token],
    passes: usize,
) -> Result<Run, Error> {
    timed(session, position, tokens, passes, |session, token_ms| {
        let mut before = Instant::now();
        for token in tokens {
            session.feed(core::slice::from_ref(token))?;
            let now = Instant::now();
            token_ms.push(now.duration_since(before).as_nanos() as f64 / 1e6);
            before = now;
        }
        Ok(())
    })
}

fn timed<'m, 's>(
    session: &mut Session<'m, 's>,
    position: usize,
    tokens: &[Token],
    passes: usize,
    work: impl Fn(&mut Session<'m, 's>, &mut Vec<f64>) -> Result<(), Error>,
) -> Result<Run, Error> {
    let mut run = Run { tokens: tokens.len() * passes, ..Run::default() };
    let cpu_start = cpu_time();
    for _ in 0..passes {
        session.truncate(position)?;
        let start = Instant::now();
        work(session, &mut run.token_ms)?;
        run.wall += start.elapsed().as_secs_f64();
    }
    let cpu = cpu_time().zip(cpu_start).map(|(end, start)| end.saturating_sub(start));
    run.cpu = cpu.filter(|cpu| !cpu.is_zero()).map(|cpu| cpu.as_secs_f64());
    Ok(run)
}

/// How often to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// At least so often.
    pub(super) repeats: usize,
    /// Until the interval of the median is at most so wide, as a share of the median.
    pub(super) spread: f64,
    /// Or until so much time has passed.
    pub(super) time_limit: Duration,
}

impl Rule {
    /// Repeats `run`. `progress` is told the share that is surely done.
    pub(super) fn repeat<E>(
        &self,
        mut run: impl FnMut() -> Result<Run, E>,
        mut progress: impl FnMut(f64),
    ) -> Result<Vec<Run>, E> {
        let start = Instant::now();
        let mut runs: Vec<Run> = vec![];
        loop {
            runs.push(run()?);
            let elapsed = start.elapsed();
            let by_time = elapsed.as_secs_f64() / self.time_limit.as_secs_f64().max(1e-9);
            progress((runs.len() as f64 / self.repeats as f64).min(by_time.max(0.5)).min(1.0));
            let speeds: Vec<_> = runs.iter().map(Run::per_s).collect();
            let enough = || {
                elapsed >= self.time_limit
                    || runs.len() >= MOST
                    || Summary::of(&speeds).spread() <= self.spread
            };
            if runs.len() >= self.repeats && enough() {
                return Ok(runs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wall: f64) -> Run {
        Run { tokens: 10, wall, cpu: Some(wall / 2.0), token_ms: vec![] }
    }

    fn repeat(rule: Rule, walls: impl Fn(usize) -> f64) -> usize {
        let mut count = 0;
        let next = || {
            count += 1;
            Ok::<_, ()>(run(walls(count)))
        };
        rule.repeat(next, |_| ()).expect("no run fails").len()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn speeds_are_tokens_over_time() {
        assert_eq!((run(2.0).per_s(), run(2.0).per_cpu_s()), (5.0, Some(10.0)));
        assert_eq!((run(0.001).passes(), run(0.02).passes(), run(5.0).passes()), (20, 1, 1));
    }

    #[test]
    fn runs_that_agree_are_not_repeated_more_than_asked() {
        assert_eq!(repeat(Rule { repeats: 5, spread: 0.05, time_limit: HOUR }, |_| 1.0), 5);
    }

    #[test]
    fn runs_that_disagree_are_repeated_until_their_median_is_sure() {
        // One slow run in four, spread evenly: the median's interval narrows as they become many.
        let rule = Rule { repeats: 5, spread: 0.05, time_limit: HOUR };
        let count = repeat(rule, |count| if count % 4 == 2 { 2.0 } else { 1.0 });
        assert!((6..MOST).contains(&count), "{count}");
    }

    #[test]
    fn runs_that_never_agree_end_with_the_most_or_with_the_time() {
        let rule = Rule { repeats: 5, spread: 0.05, time_limit: HOUR };
        let uneven = |count: usize| 1.0 + (count % 7) as f64;
        assert_eq!(repeat(rule, uneven), MOST);
        assert_eq!(repeat(Rule { time_limit: Duration::ZERO, ..rule }, uneven), 5);
        assert_eq!(repeat(Rule { repeats: 100, ..rule }, uneven), 100);
    }
}
