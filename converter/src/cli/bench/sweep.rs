//! Each measurement in a process of its own: what one leaves in memory and caches does not meet the next, and the peak
//! memory is the model's.

use super::{Measure, Report};
use crate::bench::add_start;
use crate::bench::report::Variant;
use crate::cli::failure::Failure;
use std::path::Path;
use std::process::{Command, Stdio};
use whit::kernels::Backend;

/// Measures the file: in full with the first number of threads and the first backend, then the speed with the others.
pub(super) fn measure(file: &Path, measure: &Measure) -> Result<Report, Failure> {
    let backends = measure.backends()?;
    // Wrong options are said before anything is started.
    measure.options(measure.threads[0], backends[0])?;
    let mut report = child(file, measure, measure.threads[0], backends[0], true)?;
    start(file, &mut report, measure)?;
    let variant =
        |threads, backend| child(file, measure, threads, backend, false).map(|other| Variant::from(&other));
    if let [_, others @ ..] = &measure.threads[..]
        && !others.is_empty()
    {
        report.thread_sweep.push(Variant::from(&report));
        for &threads in others {
            report.thread_sweep.push(variant(threads, backends[0])?);
        }
    }
    if let [_, others @ ..] = &backends[..]
        && !others.is_empty()
    {
        report.backend_sweep.push(Variant::from(&report));
        for &backend in others {
            report.backend_sweep.push(variant(measure.threads[0], backend)?);
        }
    }
    Ok(report)
}

fn own_program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::Failed(format!("this program cannot be found to be started again: {error}"))
    })
}

/// The whole process from its start; a file without a tokenizer cannot be run, which is noted.
fn start(file: &Path, report: &mut Report, measure: &Measure) -> Result<(), Failure> {
    if let Err(why) = add_start(report, &own_program()?, file) {
        report.notes.push(format!("the start of `whit run` is not measured: {why}"));
    }
    report.judge(measure.spread);
    Ok(())
}

/// The report of a process of its own, which says itself why it failed.
fn child(
    file: &Path,
    measure: &Measure,
    threads: u16,
    backend: Option<Backend>,
    full: bool,
) -> Result<Report, Failure> {
    let mut command = Command::new(own_program()?);
    command.args(["bench", "--in-process"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let mut option = |name: &str, value: String| {
        command.arg(format!("--{name}={value}"));
    };
    option("threads", threads.to_string());
    option("prompt-tokens", measure.prompt_tokens.to_string());
    option("decode-tokens", measure.decode_tokens.to_string());
    option("batch", measure.batch.to_string());
    option("repeats", measure.repeats.to_string());
    option("spread", measure.spread.to_string());
    option("max-time", measure.max_time.to_string());
    option("seed", measure.seed.to_string());
    if let Some(cache) = measure.cache {
        option("cache", crate::inspect::cache_name(cache.into()).to_owned());
    }
    if let Some(backend) = backend {
        option("backend", backend.name().to_owned());
    }
    for depth in measure.context.iter().filter(|_| full) {
        option("context", depth.to_string());
    }
    let output = command.arg("--").arg(file).output();
    let output = output.map_err(|error| Failure::Failed(format!("a process cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(Failure::Reported);
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::Failed(format!("{}: its report cannot be read: {error}", file.display())))
}
