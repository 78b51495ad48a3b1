//! Decoding at depths of the context: attention reads more of the cache the more positions there are.

use super::report::{Depth, Latency};
use super::runs::{self, Run};
use super::statistics::median;
use super::subject::{Subject, tokens};
use std::collections::BTreeMap;
use whit::{Session, SessionOptions, Token};

/// Tokens decoded in one pass: few, so that the depth is nearly one.
const TOKENS: usize = 16;

/// Decodes at each depth that was asked for and that the model's context holds, with at least one token to go, and adds
/// the samples to `figures`.
pub(super) fn depths(
    subject: &Subject<'_>,
    figures: &mut BTreeMap<String, Vec<f64>>,
    mut progress: impl FnMut(f64),
) -> Result<Vec<Depth>, String> {
    // Without attention a token costs the same at every depth.
    let Some(most) = subject.model.architecture().context() else { return Ok(vec![]) };
    let most = most as usize;
    let mut asked: Vec<_> = subject.options.contexts.iter().copied().filter(|&depth| depth < most).collect();
    asked.sort_unstable();
    asked.dedup();
    let Some(&deepest) = asked.last() else { return Ok(vec![]) };
    let context = (deepest + TOKENS).min(most);
    let all = tokens(&subject.model, context, subject.options.seed);
    let options = SessionOptions { context, ..subject.session_options };
    subject.with_session(options, |session| {
        let mut found = vec![];
        for &depth in &asked {
            found.push(at_depth(subject, session, figures, &all, depth)?);
            progress(found.len() as f64 / asked.len() as f64);
        }
        Ok(found)
    })
}

fn at_depth(
    subject: &Subject<'_>,
    session: &mut Session<'_, '_>,
    figures: &mut BTreeMap<String, Vec<f64>>,
    all: &[Token],
    depth: usize,
) -> Result<Depth, whit::Error> {
    session.reset();
    session.feed(&all[..depth])?;
    let next = &all[depth..all.len().min(depth + TOKENS)];
    let passes = runs::one_by_one(session, depth, next, 1)?.passes();
    let runs = subject.rule().repeat(|| runs::one_by_one(session, depth, next, passes), |_| ())?;
    let speeds: Vec<_> = runs.iter().map(Run::per_s).collect();
    let per_cpu_s: Option<Vec<_>> = runs.iter().map(Run::per_cpu_s).collect();
    let token_ms: Vec<_> = runs.iter().flat_map(|run| run.token_ms.iter().copied()).collect();
    let found = Depth {
        context: depth,
        tokens: next.len(),
        decode_tokens_per_s: median(&speeds),
        decode_tokens_per_cpu_s: per_cpu_s.as_deref().map(median),
        latency_ms: Latency::of(&token_ms),
    };
    figures.insert(found.key(), speeds);
    figures.extend(per_cpu_s.map(|speeds| (found.cpu_key(), speeds)));
    Ok(found)
}
