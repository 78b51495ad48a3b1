//! A model in a process, and the runs over it.

use super::limits::Limits;
use super::report::{Latency, Report, Samples};
use super::runs::{self, Rule, Run};
use super::scaling::BANDWIDTH_SHARE;
use super::stability::Stability;
use super::statistics::median;
use super::{Options, message, origin};
use crate::arena::Arena;
use crate::inspect::{cache_name, decode_macs_per_token, prefill_macs_per_token, weight_bytes_per_token};
use crate::machine::{Conditions, Machine};
use std::collections::BTreeMap;
use whit::format::Section;
use whit::parallel::Workers;
use whit::sampler::Random;
use whit::threads::ThreadPool;
use whit::{Model, Session, SessionOptions, Token};

/// A model and what is fed to it.
pub(super) struct Subject<'a> {
    pub(super) model: Model<'a>,
    pub(super) options: &'a Options,
    pub(super) session_options: SessionOptions,
    arena_bytes: usize,
    pub(super) pool: &'a ThreadPool,
    pub(super) prompt: Vec<Token>,
    pub(super) decoded: Vec<Token>,
}

/// Passes that make a run of prefill and one of decode.
pub(super) struct Warm {
    prefill: usize,
    decode: usize,
}

impl<'a> Subject<'a> {
    pub(super) fn new(model: Model<'a>, options: &'a Options, pool: &'a ThreadPool) -> Result<Self, String> {
        let session_options = session_options(&model, options, pool);
        let arena_bytes = model.arena_size(&session_options).map_err(message)?;
        let all = tokens(&model, session_options.context, options.seed);
        let first = |count: usize| all[..count.min(all.len())].to_vec();
        let (prompt, decoded) = (first(options.prompt_tokens), first(options.decode_tokens));
        Ok(Self { model, options, session_options, arena_bytes, pool, prompt, decoded })
    }

    /// Does `work` with a session of its own.
    pub(super) fn with_session<T>(
        &self,
        options: SessionOptions,
        work: impl FnOnce(&mut Session<'_, '_>) -> Result<T, whit::Error>,
    ) -> Result<T, String> {
        let mut arena = Arena::new(self.model.arena_size(&options).map_err(message)?)?;
        let mut session = self.model.session_on(self.pool, arena.bytes(), options).map_err(message)?;
        work(&mut session).map_err(message)
    }

    /// Reads prompt and tokens once, and finds how often they must be read to be timed well.
    pub(super) fn warm_up(&self) -> Result<Warm, String> {
        self.with_session(self.session_options, |session| {
            let prefill = runs::at_once(session, 0, &self.prompt, 1)?.passes();
            let decode = runs::one_by_one(session, 0, &self.decoded, 1)?.passes();
            Ok(Warm { prefill, decode })
        })
    }

    /// Prefill and decode.
    pub(super) fn runs(&self, warm: &Warm, at: &mut impl FnMut(usize, f64)) -> Result<[Vec<Run>; 2], String> {
        let rule = self.rule();
        self.with_session(self.session_options, |session| {
            let once = || runs::at_once(session, 0, &self.prompt, warm.prefill);
            let prefill = rule.repeat(once, |share| at(3, share))?;
            let once = || runs::one_by_one(session, 0, &self.decoded, warm.decode);
            Ok([prefill, rule.repeat(once, |share| at(4, share))?])
        })
    }

    pub(super) fn rule(&self) -> Rule {
        let Options { repeats, spread, time_limit, .. } = *self.options;
        Rule { repeats, spread, time_limit }
    }

    /// The report, but for the state of the machine.
    pub(super) fn report(
        &self,
        file: String,
        [prefill, decode]: [Vec<Run>; 2],
        mut figures: BTreeMap<String, Vec<f64>>,
        limits: Limits,
    ) -> Report {
        let of_model = self.model.file();
        for (phase, runs) in [("prefill", &prefill), ("decode", &decode)] {
            figures.insert(format!("{phase}_tokens_per_s"), runs.iter().map(Run::per_s).collect());
            let per_cpu_s: Option<Vec<f64>> = runs.iter().map(Run::per_cpu_s).collect();
            figures.extend(per_cpu_s.map(|speeds| (format!("{phase}_tokens_per_cpu_s"), speeds)));
        }
        let told = |key: &str| figures.get(key).map(|samples| median(samples));
        let [prefill_speed, decode_speed] =
            ["prefill_tokens_per_s", "decode_tokens_per_s"].map(|key| told(key).unwrap_or(f64::NAN));
        let weight_bytes = weight_bytes_per_token(of_model);
        let macs = prefill_macs_per_token(of_model);
        let gb_per_s = weight_bytes as f64 * decode_speed / 1e9;
        let prefill_gmac_per_s = macs as f64 * prefill_speed / 1e9;
        let token_ms: Vec<_> = decode.iter().map(|run| run.token_ms.clone()).collect();
        Report {
            file,
            file_bytes: of_model.bytes().len() as u64,
            fingerprint: format!("{:016x}", of_model.fingerprint()),
            model_context: of_model.architecture.context().map(|context| context as usize),
            backend: self.model.backend().name().to_owned(),
            cache: cache_name(self.session_options.cache).to_owned(),
            threads: self.pool.count(),
            seed: self.options.seed,
            repeats: self.options.repeats,
            prompt_tokens: self.prompt.len(),
            decode_tokens: self.decoded.len(),
            batch: self.session_options.batch,
            load_ms: told("load_ms").unwrap_or(f64::NAN),
            first_token_ms: told("first_token_ms").unwrap_or(f64::NAN),
            prefill_tokens_per_s: prefill_speed,
            prefill_tokens_per_cpu_s: told("prefill_tokens_per_cpu_s"),
            decode_tokens_per_s: decode_speed,
            decode_tokens_per_cpu_s: told("decode_tokens_per_cpu_s"),
            latency_ms: Latency::of(&token_ms.concat()),
            weight_bytes_per_token: weight_bytes,
            gb_per_s,
            read_bandwidth_gb_per_s: limits.read_gb_per_s,
            bandwidth_share: told(BANDWIDTH_SHARE).unwrap_or(gb_per_s / limits.read_gb_per_s),
            prefill_macs_per_token: macs,
            decode_macs_per_token: decode_macs_per_token(of_model),
            prefill_gmac_per_s,
            integer_peak_gmac_per_s: limits.integer_peak.map(|(_, peak)| peak),
            integer_peak_instructions: limits.integer_peak.map(|(instructions, _)| instructions.to_owned()),
            integer_peak_share: limits.integer_peak.map(|(_, peak)| prefill_gmac_per_s / peak),
            arena_bytes: self.arena_bytes,
            weights_mapped_bytes: of_model.section(Section::TensorData).len() as u64,
            peak_rss_bytes: None,
            rss_before_load_bytes: None,
            cpu_share: cpu_share(prefill.iter().chain(&decode), self.pool.count()),
            start: None,
            contexts: vec![],
            thread_sweep: vec![],
            scaling: vec![],
            backend_sweep: vec![],
            summaries: BTreeMap::new(),
            stability: Stability::default(),
            machine: Machine::default(),
            before: Conditions::default(),
            after: Conditions::default(),
            version: origin::VERSION.to_owned(),
            commit: origin::COMMIT.to_owned(),
            date: origin::now(),
            notes: vec![],
            samples: Samples { figures, token_ms },
            energy: None,
            estimate: None,
        }
    }
}

/// How much of the time the threads had a CPU.
fn cpu_share<'r>(runs: impl Iterator<Item = &'r Run> + Clone, threads: usize) -> Option<f64> {
    let wall: f64 = runs.clone().map(|run| run.wall).sum();
    let cpu: Option<f64> = runs.map(|run| run.cpu).sum();
    cpu.map(|cpu| cpu / (wall * threads as f64))
}

pub(super) fn session_options(model: &Model<'_>, options: &Options, workers: &dyn Workers) -> SessionOptions {
    let most = model.architecture().context().map_or(usize::MAX, |context| context as usize);
    let own = model.options(options.prompt_tokens.max(options.decode_tokens).clamp(1, most));
    SessionOptions {
        batch: options.batch,
        workers: workers.count(),
        cache: options.cache.unwrap_or(own.cache),
        ..own
    }
}

pub(super) fn tokens(model: &Model<'_>, count: usize, seed: u64) -> Vec<Token> {
    let mut random = Random::new(seed);
    let vocabulary = u64::from(model.architecture().vocabulary());
    (0..count).map(|_| Token(((u64::from(random.next_u32()) * vocabulary) >> 32) as u32)).collect()
}
