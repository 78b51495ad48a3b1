//! Each measurement in a process of its own: what one leaves in memory and caches does not meet the next, and the peak
//! memory is the model's. Where the system cannot start this program again, in this one.

use super::{Measure, Report, TOKENS, measured, turn_by_turn};
use crate::bench::add_start;
use crate::bench::report::Variant;
use crate::bench::scaling::Turns;
use crate::cli::failure::Failure;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use whit::kernels::Backend;

/// Measures the file: in full with the first number of threads and the first backend, then the speed with the others, and
/// how it grows with threads.
pub(super) fn measure(file: &Path, measure: &Measure) -> Result<Report, Failure> {
    let backends = measure.backends()?;
    // Wrong options are said before anything is started.
    measure.options(measure.threads[0], backends[0])?;
    let first = measure.threads[0];
    let mut report = one(file, measure, first, backends[0], true)?;
    start(file, &mut report, measure)?;
    let variant =
        |threads, backend| one(file, measure, threads, backend, false).map(|other| Variant::from(&other));
    if let [_, others @ ..] = &measure.threads[..]
        && !others.is_empty()
    {
        report.thread_sweep.push(Variant::from(&report));
        for &threads in others {
            report.thread_sweep.push(variant(threads, backends[0])?);
        }
        scale(file, &mut report, measure, backends[0])?;
    }
    if let [_, others @ ..] = &backends[..]
        && !others.is_empty()
    {
        report.backend_sweep.push(Variant::from(&report));
        for &backend in others {
            report.backend_sweep.push(variant(first, backend)?);
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

/// The report with one number of threads and one backend.
fn one(
    file: &Path,
    measure: &Measure,
    threads: u16,
    backend: Option<Backend>,
    full: bool,
) -> Result<Report, Failure> {
    let report = child(file, measure, &[threads], backend, full)?;
    report.map_or_else(|| in_this_process(file, measure, threads, backend, full), Ok)
}

/// Adds how much faster more threads are, turn by turn.
fn scale(
    file: &Path,
    report: &mut Report,
    measure: &Measure,
    backend: Option<Backend>,
) -> Result<(), Failure> {
    let threads = &measure.threads[..];
    let here = || turn_by_turn(file, &measure.options(threads[0], backend)?, threads);
    let Turns { scaling, figures } = child(file, measure, threads, backend, false)?.map_or_else(here, Ok)?;
    report.scaling = scaling;
    report.samples.figures.extend(figures);
    report.judge(measure.spread);
    Ok(())
}

/// What a process of its own measured, which says itself why it failed; `None` where it cannot be started.
fn child<T: DeserializeOwned>(
    file: &Path,
    measure: &Measure,
    threads: &[u16],
    backend: Option<Backend>,
    full: bool,
) -> Result<Option<T>, Failure> {
    let mut command = Command::new(own_program()?);
    command.args(["bench", "--in-process"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let mut option = |name: &str, value: String| {
        command.arg(format!("--{name}={value}"));
    };
    option("threads", threads.iter().map(u16::to_string).collect::<Vec<_>>().join(","));
    let tokens = measure.tokens(TOKENS);
    option("prompt-tokens", tokens.prompt.to_string());
    option("decode-tokens", tokens.decode.to_string());
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
    let started = command.arg("--").arg(file).output();
    if is_foreign(&started) {
        return Ok(None);
    }
    let output = started.map_err(|error| Failure::Failed(format!("a process cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(Failure::Reported);
    }
    serde_json::from_slice(&output.stdout)
        .map(Some)
        .map_err(|error| Failure::Failed(format!("{}: its report cannot be read: {error}", file.display())))
}

/// Whether the system does not know how to start a program that runs all the same: an emulator runs it.
fn is_foreign(started: &io::Result<Output>) -> bool {
    #[cfg(unix)]
    match started {
        Err(error) => error.raw_os_error() == Some(nix::errno::Errno::ENOEXEC as i32),
        // What `posix_spawn` may say instead (POSIX.1-2017), and does where an emulator copies memory that parent and child share.
        Ok(output) => output.status.code() == Some(127),
    }
    #[cfg(not(unix))]
    {
        let _ = started;
        false
    }
}

/// The same report, without what only a process of its own can tell.
fn in_this_process(
    file: &Path,
    measure: &Measure,
    threads: u16,
    backend: Option<Backend>,
    full: bool,
) -> Result<Report, Failure> {
    let mut options = measure.options(threads, backend)?;
    if !full {
        options.contexts.clear();
    }
    let mut report = measured(file, &options)?;
    (report.peak_rss_bytes, report.rss_before_load_bytes) = (None, None);
    report.notes.push(
        "the system cannot start this program again, as under an emulator: measured in one process, whose peak memory is \
         not the model's, and of which earlier measurements may have warmed caches"
            .to_owned(),
    );
    Ok(report)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_of_another_machine_is_foreign_and_a_missing_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("program");
        // The identification of an ELF file for a machine that does not exist.
        let header =
            [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0, 0xff, 0xff, 1, 0, 0, 0], &[0; 40]].concat();
        std::fs::write(&program, header).expect("written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("made a program");
        let start = |program: &Path| Command::new(program).output();
        assert!(is_foreign(&start(&program)));
        assert!(!is_foreign(&start(&folder.path().join("none"))));
        let exits = |status: &str| Command::new("sh").args(["-c", status]).output();
        assert!(is_foreign(&exits("exit 127")));
        assert!(!is_foreign(&exits("exit 1")));
    }
}
