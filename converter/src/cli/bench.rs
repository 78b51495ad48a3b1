//! `whit bench`: how fast files run here.

mod compare;
pub(super) mod markdown;
mod on;
mod scaling;
mod sweep;
mod text;

use super::compute::{BATCH, Cache};
use super::energy_args::{self, EnergyArgs};
use super::failure::Failure;
use super::output::{note, print, print_json};
use super::progress::Progress;
use crate::bench::scaling::Turns;
use crate::bench::{Options, Report, bench, plots, turns};
use crate::emulated::Tokens;
use clap::value_parser;
use std::path::{Path, PathBuf};
use std::time::Duration;
use whit::kernels::Backend;

/// Measure how fast files run on this machine, and how much of what it can do they use
///
/// Each file is measured in a process of its own. Prefill reads a prompt; decode computes single tokens from an empty
/// context on, with the logits of each. Tokens are pseudo-random. Every figure is the median of runs, after one that is
/// not counted; they are repeated until the 95 % bootstrap interval of the median is narrower than --spread, or for
/// --max-time. A figure is marked with ~ and a reason is given if its interval is wider, if the threads did not have the
/// CPU, or if clock, temperature or load say that the machine did not stay as it was.
///
/// With several numbers of threads, scaling is measured turn by turn as well: in one process, each number does a short
/// burst of the same work, beside a probe as long of what the machine gives as many threads. Ratios are taken within a
/// turn, so they stand where neighbours share the cores and single figures do not.
///
/// JSON: an array with an object for each file; keys: file, file_bytes, fingerprint, model_context, backend, cache, threads, seed,
/// repeats, prompt_tokens, decode_tokens, batch, load_ms, first_token_ms (load, prompt, and the first token drawn),
/// prefill_tokens_per_s, prefill_tokens_per_cpu_s, decode_tokens_per_s, decode_tokens_per_cpu_s, latency_ms (of single
/// tokens), weight_bytes_per_token, gb_per_s, read_bandwidth_gb_per_s, bandwidth_share, prefill_macs_per_token,
/// decode_macs_per_token, prefill_gmac_per_s, integer_peak_gmac_per_s, integer_peak_instructions, integer_peak_share,
/// arena_bytes, weights_mapped_bytes, peak_rss_bytes (of this model alone), rss_before_load_bytes (what
/// the program had before), cpu_share, start (whole processes of `whit
/// run`), contexts, thread_sweep, scaling (phase, threads, than_threads, burst_tokens, speed_up, probe,
/// machine_speed_up, machine_share, burst_ms, probe_ms), backend_sweep, summaries (median, low and high end of the interval, cv, runs),
/// stability, machine, before and after (its state), version, commit, date, notes, samples (every single
/// measurement), energy (source, describes, window_seconds, idle_seconds, idle_watts_before, idle_watts_after, works: name,
/// unit, windows, units, gross_joules, net_joules, net_joules_range, watts, samples_per_s), estimate (never measured).
///
/// JSON with --on: an array with an object for each file and core; keys: file, file_bytes, fingerprint, core, board, emulator,
/// target, backend, batch, prompt_tokens, decode_tokens, prompt_instructions_per_token, decode_instructions_per_token,
/// decode_macs_per_token, product_share, products (backend, weights, activation_bits, rows, cols, matrices, macs, instructions,
/// instructions_per_mac), arena_bytes, memory (of a board: code_bytes, flash_bytes, statics_bytes, stack_bytes, ram_bytes),
/// clock_hz, tokens_per_s_at_an_instruction_a_cycle (with --clock), version, commit, date.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit files
    #[arg(required_unless_present_any = ["compare", "energy"], value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Compare two measurements that --json printed: ratios, their 95 % intervals, and whether they are more than noise
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with = "files")]
    compare: Option<Vec<PathBuf>>,
    /// Compare measurements of different models or settings all the same
    #[arg(long, requires = "compare")]
    allow_different: bool,
    #[command(flatten)]
    measure: Measure,
    #[command(flatten)]
    on: on::OnArgs,
    #[command(flatten)]
    energy: EnergyArgs,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Report as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Also draw roofline.svg, latency.svg and, with --context, context.svg into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "compare")]
    plot: Option<PathBuf>,
    /// Exit with code 1 if any figure is unstable
    #[arg(long, conflicts_with = "compare")]
    require_stable: bool,
    /// Measure in this process: what `whit bench` starts itself for each file
    #[arg(long, hide = true)]
    in_process: bool,
}

/// How many tokens, of a prompt and decoded, unless that is said.
const TOKENS: [usize; 2] = [512, 128];

/// What to measure, and how.
#[derive(Clone, Debug, clap::Args)]
struct Measure {
    /// Threads that share the work; several numbers are measured one after the other, the first in full, then turn by turn
    #[arg(long, value_name = "N,…", default_value = "1", value_delimiter = ',', value_parser = value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Also decode with so many positions in the context
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = value_parser!(u32).range(1..=131_070))]
    context: Vec<u32>,
    /// Length of the prompt, 512 or with --on 16 if it is not said; at most the model's context is used
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=131_071))]
    prompt_tokens: Option<u32>,
    /// Tokens to decode, 128 or with --on 16 if it is not said; at most the model's context is used
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=131_071))]
    decode_tokens: Option<u32>,
    /// Tokens in one pass over the weights, in prefill
    #[arg(long, value_name = "N", default_value_t = BATCH as u16, value_parser = value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// How often each is measured at least
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// How wide the 95 % interval of a median may be, as a share of the median
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    spread: f64,
    /// Seconds for which prefill, decode and each context are repeated at most to reach that
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    max_time: f64,
    /// Kind of key and value cache; by default the file's own
    #[arg(long, value_name = "KIND")]
    cache: Option<Cache>,
    /// Names the pseudo-random tokens
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Compute with this backend instead of the fastest, or with several or `all`, one after the other, the first in full
    #[arg(long, env = "WHIT_BACKEND", hide_env_values = true, value_name = "NAME,…", value_delimiter = ',')]
    backend: Vec<String>,
}

impl Measure {
    /// The backends asked for, the fastest first if all are; `None` is the fastest.
    fn backends(&self) -> Result<Vec<Option<Backend>>, Failure> {
        let names: Vec<_> = self.backend.iter().filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Ok(vec![None]);
        }
        if names.iter().any(|name| *name == "all") {
            let mut all: Vec<_> = Backend::available().map(Some).collect();
            all.reverse();
            return Ok(all);
        }
        names.into_iter().map(|name| super::compute::backend_named(name).map(Some)).collect()
    }

    /// Tokens of the prompt, and those decoded.
    fn tokens(&self, [prompt, decode]: [usize; 2]) -> Tokens {
        let asked = |tokens: Option<u32>, otherwise| tokens.map_or(otherwise, |tokens| tokens as usize);
        Tokens { prompt: asked(self.prompt_tokens, prompt), decode: asked(self.decode_tokens, decode) }
    }

    /// What the library measures, with one number of threads and one backend.
    fn options(&self, threads: u16, backend: Option<Backend>) -> Result<Options, Failure> {
        let tokens = self.tokens(TOKENS);
        let positive = |name: &str, value: f64| {
            let message = || Failure::Usage(format!("--{name} {value}: expected a number of at least 0"));
            if (0.0..=1e6).contains(&value) { Ok(value) } else { Err(message()) }
        };
        Ok(Options {
            threads: usize::from(threads),
            prompt_tokens: tokens.prompt,
            decode_tokens: tokens.decode,
            batch: usize::from(self.batch),
            repeats: usize::from(self.repeats),
            spread: positive("spread", self.spread)?,
            time_limit: Duration::from_secs_f64(positive("max-time", self.max_time)?),
            contexts: self.context.iter().map(|&depth| depth as usize).collect(),
            backend,
            cache: self.cache.map(whit::CacheKind::from),
            seed: self.seed,
        })
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    if let Some([before, after]) = args.compare.as_deref() {
        return compare::run(before, after, &args);
    }
    if args.in_process {
        return measure_here(&args);
    }
    if !args.on.cores.is_empty() {
        return on::run(&args.files, &args.on, args.measure.tokens(on::TOKENS), args.form());
    }
    if args.energy.list(args.json)? {
        return Ok(());
    }
    if args.files.is_empty() {
        return Err(Failure::Usage("expected a FILE to measure the energy of".to_owned()));
    }
    let mut energy = args.energy.open()?;
    let options = args.measure.options(args.measure.threads[0], args.measure.backends()?[0])?;
    let mut reports = Vec::new();
    for file in &args.files {
        let mut report = sweep::measure(file, &args.measure)?;
        energy.add(&mut report, file, &options)?;
        if !args.json && !args.markdown {
            print(format_args!("{}{}", text::report(&report), energy_args::text(&report)))?;
        }
        reports.push(report);
    }
    if args.json {
        print_json(&reports)?;
    } else if args.markdown {
        print(format_args!("{}{}", markdown::reports(&reports), energy_args::markdown(&reports)))?;
    } else {
        print(text::machine(&reports))?;
    }
    if let Some(folder) = &args.plot {
        draw(folder, &reports)?;
    }
    let unstable = reports.iter().any(|report| !report.stability.stable);
    if args.require_stable && unstable { Err(Failure::Reported) } else { Ok(()) }
}

impl Args {
    fn form(&self) -> on::Form {
        match (self.json, self.markdown) {
            (true, _) => on::Form::Json,
            (_, true) => on::Form::Markdown,
            _ => on::Form::Text,
        }
    }
}

/// The child's part: one file, one backend, and one number of threads, or several turn by turn.
fn measure_here(args: &Args) -> Result<(), Failure> {
    let (file, threads) = (&args.files[0], &args.measure.threads);
    let options = args.measure.options(threads[0], args.measure.backends()?[0])?;
    match threads[..] {
        [_] => print_json(&measured(file, &options)?),
        _ => print_json(&turn_by_turn(file, &options, threads)?),
    }
}

/// The report of one file, measured in this process.
fn measured(file: &Path, options: &Options) -> Result<Report, Failure> {
    let mut progress = Progress::new("bench");
    Ok(bench(file, options, |done, total| progress.set(done as u64, total as u64))?)
}

/// The scaling of one file, measured in this process.
fn turn_by_turn(file: &Path, options: &Options, threads: &[u16]) -> Result<Turns, Failure> {
    let mut progress = Progress::new("bench");
    let threads: Vec<_> = threads.iter().copied().map(usize::from).collect();
    Ok(turns(file, options, &threads, |done, total| progress.set(done as u64, total as u64))?)
}

fn draw(folder: &Path, reports: &[Report]) -> Result<(), Failure> {
    let fail = |error| Failure::about(folder)(&format_args!("cannot be written: {error}"));
    std::fs::create_dir_all(folder).map_err(fail)?;
    for (name, picture) in plots::pictures(reports) {
        let path = folder.join(name);
        std::fs::write(&path, picture).map_err(fail)?;
        note(format_args!("{} written", path.display()));
    }
    Ok(())
}
