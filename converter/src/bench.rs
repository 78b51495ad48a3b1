//! How fast a file runs on this machine, beside how fast its weights can be read at all.
//!
//! Prefill feeds a prompt to an empty session, decode feeds single tokens from an empty session on and computes the
//! logits of each; drawing tokens and text are left out. Tokens are pseudo-random, from a stated seed. Each number is
//! the median of the repeats, after one run that is not counted. Times per CPU second count every thread of the
//! process, spinning included.

mod bandwidth;

use crate::arena::Arena;
use crate::inspect::{cache_name, weight_bytes_per_token};
use crate::map::Map;
use crate::usage::{cpu_time, peak_rss_bytes};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use whit::kernels::Backend;
use whit::parallel::Workers;
use whit::sampler::Random;
use whit::threads::ThreadPool;
use whit::{CacheKind, Model, Session, SessionOptions, Token};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Workers.
    pub threads: usize,
    /// Tokens of the prompt; at most the model's context are used.
    pub prompt_tokens: usize,
    /// Tokens decoded; at most the model's context are used.
    pub decode_tokens: usize,
    /// Tokens in one pass over the weights, in prefill.
    pub batch: usize,
    /// How often each is measured.
    pub repeats: usize,
    /// The backend; the fastest that this CPU has if `None`.
    pub backend: Option<Backend>,
    /// Kind of cache; the model's own if `None`.
    pub cache: Option<CacheKind>,
    /// Names the tokens.
    pub seed: u64,
}

impl Default for Options {
    /// One thread, 512 tokens of prompt, 128 decoded, five repeats.
    fn default() -> Self {
        Self {
            threads: 1,
            prompt_tokens: 512,
            decode_tokens: 128,
            batch: 128,
            repeats: 5,
            backend: None,
            cache: None,
            seed: 1,
        }
    }
}

/// What was measured. The fields are the JSON keys of `whit bench --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Its size.
    pub file_bytes: u64,
    /// The backend that computed.
    pub backend: &'static str,
    /// Kind of cache: `f32` or `int8`.
    pub cache: &'static str,
    /// Workers.
    pub threads: usize,
    /// Names the tokens.
    pub seed: u64,
    /// How often each was measured.
    pub repeats: usize,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens decoded.
    pub decode_tokens: usize,
    /// Tokens in one pass over the weights, in prefill.
    pub batch: usize,
    /// From opening the file until the first token can be fed.
    pub load_ms: f64,
    /// Tokens of the prompt per second.
    pub prefill_tokens_per_s: f64,
    /// The same per second of CPU time; `null` where the system does not tell.
    pub prefill_tokens_per_cpu_s: Option<f64>,
    /// Tokens decoded per second.
    pub decode_tokens_per_s: f64,
    /// The same per second of CPU time.
    pub decode_tokens_per_cpu_s: Option<f64>,
    /// Weights that one decoded token reads.
    pub weight_bytes_per_token: u64,
    /// Weights read per second of decoding, in 10⁹ bytes.
    pub gb_per_s: f64,
    /// What the same threads reach when they only read these weights.
    pub read_bandwidth_gb_per_s: f64,
    /// The first as a share of the second.
    pub bandwidth_share: f64,
    /// Memory of the session.
    pub arena_bytes: usize,
    /// The most memory that the process has had resident so far, mapped files included.
    pub peak_rss_bytes: Option<u64>,
}

/// Tokens per second and per CPU second of one run.
#[derive(Clone, Copy, Debug)]
struct Speed {
    wall: f64,
    cpu: Option<f64>,
}

/// Measures the file at `path`. `progress` is told how many runs of how many are done.
///
/// # Errors
/// A message: the file cannot be opened, or a session cannot be made.
pub fn bench(path: &Path, options: &Options, progress: impl FnMut(usize, usize)) -> Result<Report, String> {
    let name = path.display().to_string();
    let about = |error: String| format!("{name}: {error}");
    let pool = ThreadPool::new(options.threads).map_err(|error| format!("cannot start a thread: {error}"))?;
    let load_ms = load_ms(path, &pool, options).map_err(about)?;
    let map = Map::open(path).map_err(|error| about(format!("cannot be read: {error}")))?;
    let model = model(&map, options).map_err(about)?;
    let session_options = session_options(&model, options, &pool);
    let arena_bytes = model.arena_size(&session_options).map_err(|error| about(error.to_string()))?;
    let tokens = tokens(&model, session_options.context, options.seed);
    let prompt = &tokens[..options.prompt_tokens.min(tokens.len())];
    let decoded = &tokens[..options.decode_tokens.min(tokens.len())];
    let weights = model.file().section(whit::format::Section::TensorData);
    // Before and after: what else the machine does changes from one second to the next.
    let read_before = bandwidth::read_gb_per_s(model.backend(), weights, &pool);
    let [prefill, decode] = {
        let mut arena = Arena::new(arena_bytes).map_err(about)?;
        let session = model.session_on(&pool, arena.bytes(), session_options);
        let mut session = session.map_err(|error| about(error.to_string()))?;
        speeds(&mut session, prompt, decoded, options.repeats, progress).map_err(about)?
    };
    let read = read_before.max(bandwidth::read_gb_per_s(model.backend(), weights, &pool));
    let weight_bytes = weight_bytes_per_token(model.file());
    let gb_per_s = weight_bytes as f64 * decode.wall / 1e9;
    Ok(Report {
        file: name,
        file_bytes: map.len() as u64,
        backend: model.backend().name(),
        cache: cache_name(session_options.cache),
        threads: pool.count(),
        seed: options.seed,
        repeats: options.repeats,
        prompt_tokens: prompt.len(),
        decode_tokens: decoded.len(),
        batch: session_options.batch,
        load_ms,
        prefill_tokens_per_s: prefill.wall,
        prefill_tokens_per_cpu_s: prefill.cpu,
        decode_tokens_per_s: decode.wall,
        decode_tokens_per_cpu_s: decode.cpu,
        weight_bytes_per_token: weight_bytes,
        gb_per_s,
        read_bandwidth_gb_per_s: read,
        bandwidth_share: gb_per_s / read,
        arena_bytes,
        peak_rss_bytes: peak_rss_bytes(),
    })
}

fn model<'a>(bytes: &'a [u8], options: &Options) -> Result<Model<'a>, String> {
    let model = Model::parse(bytes).map_err(|error| error.to_string())?;
    Ok(options.backend.map_or(model, |backend| model.with_backend(backend)))
}

fn session_options(model: &Model<'_>, options: &Options, workers: &dyn Workers) -> SessionOptions {
    let most = model.description().context as usize;
    let own = model.options(options.prompt_tokens.max(options.decode_tokens).clamp(1, most));
    SessionOptions {
        batch: options.batch,
        workers: workers.count(),
        cache: options.cache.unwrap_or(own.cache),
        ..own
    }
}

/// Milliseconds from opening the file until a session is there: the median of eleven.
fn load_ms(path: &Path, pool: &ThreadPool, options: &Options) -> Result<f64, String> {
    let once = || {
        let start = Instant::now();
        let map = Map::open(path).map_err(|error| format!("cannot be read: {error}"))?;
        let model = model(&map, options)?;
        let session_options = session_options(&model, options, pool);
        let mut arena = Arena::new(model.arena_size(&session_options).map_err(|error| error.to_string())?)?;
        let _session =
            model.session_on(pool, arena.bytes(), session_options).map_err(|error| error.to_string())?;
        Ok::<f64, String>(start.elapsed().as_secs_f64() * 1e3)
    };
    Ok(median((0..11).map(|_| once()).collect::<Result<_, _>>()?))
}

/// Prefill of `prompt` and decoding of `decoded`.
fn speeds(
    session: &mut Session<'_, '_>,
    prompt: &[Token],
    decoded: &[Token],
    repeats: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<[Speed; 2], String> {
    let runs = 2 * (repeats + 1);
    let prefill = measure(repeats, |run| {
        progress(run, runs);
        timed(session, prompt, |session| session.feed(prompt))
    })?;
    let decode = measure(repeats, |run| {
        progress(runs / 2 + run, runs);
        timed(session, decoded, |session| decoded.iter().try_for_each(|&token| session.feed(&[token])))
    })?;
    progress(runs, runs);
    Ok([prefill, decode])
}

fn tokens(model: &Model<'_>, count: usize, seed: u64) -> Vec<Token> {
    let mut random = Random::new(seed);
    let vocabulary = u64::from(model.description().vocabulary);
    (0..count).map(|_| Token(((u64::from(random.next_u32()) * vocabulary) >> 32) as u32)).collect()
}

/// The medians of `repeats` runs, after one that is not counted.
fn measure(repeats: usize, mut run: impl FnMut(usize) -> Result<Speed, String>) -> Result<Speed, String> {
    run(0)?;
    let speeds = (1..=repeats).map(run).collect::<Result<Vec<_>, _>>()?;
    let cpu: Option<Vec<f64>> = speeds.iter().map(|speed| speed.cpu).collect();
    Ok(Speed { wall: median(speeds.iter().map(|speed| speed.wall).collect()), cpu: cpu.map(median) })
}

fn timed<'m, 's>(
    session: &mut Session<'m, 's>,
    tokens: &[Token],
    work: impl FnOnce(&mut Session<'m, 's>) -> Result<(), whit::Error>,
) -> Result<Speed, String> {
    session.reset();
    let (start, cpu_start) = (Instant::now(), cpu_time());
    work(session).map_err(|error| error.to_string())?;
    let wall = start.elapsed();
    let cpu = cpu_time().zip(cpu_start).map(|(end, start)| end.saturating_sub(start));
    let per_second = |time: Duration| tokens.len() as f64 / time.as_secs_f64().max(1e-9);
    // A clock of CPU time that did not move says nothing.
    Ok(Speed { wall: per_second(wall), cpu: cpu.filter(|cpu| !cpu.is_zero()).map(per_second) })
}

/// The middle value; the lower of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_a_value_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.0);
        assert_eq!(median(vec![5.0]), 5.0);
        assert!(median(vec![]).is_nan());
    }
}
