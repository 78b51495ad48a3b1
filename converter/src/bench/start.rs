//! The whole process: from the start of `whit run` to its end after so many tokens, everything included.

use super::report::{Report, Start};
use super::statistics::median;
use crate::usage::children_cpu_time;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Tokens of the longer run.
const TOKENS: usize = 64;

/// Starts to the first token: they are short.
const STARTS: usize = 11;

/// Starts `program`, which is `whit`, with `file` and the settings of its `report`, and adds what that takes.
///
/// # Errors
/// What the program says if it fails.
pub fn add_start(report: &mut Report, program: &Path, file: &Path) -> Result<(), String> {
    // The token that begins the text has a place in the context too.
    let longest = TOKENS.min(report.model_context.map_or(TOKENS, |context| context.saturating_sub(1))).max(1);
    let run = Run { program, file, report };
    let first = run.launches(1, STARTS)?;
    let last = run.launches(longest, report.repeats)?;
    report.start = Some(Start {
        first_token_ms: median(&first.wall_ms),
        first_token_cpu_ms: first.cpu_ms.as_deref().map(median),
        tokens: last.tokens,
        last_token_ms: median(&last.wall_ms),
        last_token_cpu_ms: last.cpu_ms.as_deref().map(median),
    });
    for (name, launches) in [("first", first), ("last", last)] {
        let figures = &mut report.samples.figures;
        figures.insert(format!("start_{name}_token_ms"), launches.wall_ms);
        figures.extend(launches.cpu_ms.map(|samples| (format!("start_{name}_token_cpu_ms"), samples)));
    }
    Ok(())
}

/// The same process, started again and again.
#[derive(Debug)]
struct Launches {
    tokens: usize,
    wall_ms: Vec<f64>,
    cpu_ms: Option<Vec<f64>>,
}

#[derive(Debug)]
struct Launch {
    tokens: usize,
    wall_ms: f64,
    cpu_ms: Option<f64>,
}

/// What is started.
struct Run<'a> {
    program: &'a Path,
    file: &'a Path,
    report: &'a Report,
}

impl Run<'_> {
    fn launches(&self, tokens: usize, count: usize) -> Result<Launches, String> {
        let all = (0..count).map(|_| self.launch(tokens)).collect::<Result<Vec<_>, _>>()?;
        Ok(Launches {
            tokens: all.first().map_or(0, |launch| launch.tokens),
            wall_ms: all.iter().map(|launch| launch.wall_ms).collect(),
            cpu_ms: all.iter().map(|launch| launch.cpu_ms).collect(),
        })
    }

    fn launch(&self, tokens: usize) -> Result<Launch, String> {
        let Self { program, file, report } = self;
        let mut command = Command::new(program);
        command.args(["run", "--json", "--temperature", "0", "--max-tokens", &tokens.to_string()]);
        command.args(["--threads", &report.threads.to_string(), "--backend", &report.backend]);
        command.args(["--cache", &report.cache, "--"]).arg(file).stdin(Stdio::null());
        let (start, cpu_start) = (Instant::now(), children_cpu_time());
        let output = command.output().map_err(|error| format!("it cannot be started: {error}"))?;
        let wall_ms = start.elapsed().as_secs_f64() * 1e3;
        let cpu = children_cpu_time().zip(cpu_start).map(|(end, start)| end.saturating_sub(start));
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let reason = said.trim().trim_start_matches("error: ");
            return Err(if reason.is_empty() { output.status.to_string() } else { reason.to_owned() });
        }
        let said: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        let tokens = said["generated_tokens"].as_u64().unwrap_or_default() as usize;
        Ok(Launch { tokens, wall_ms, cpu_ms: cpu.map(|cpu| cpu.as_secs_f64() * 1e3) })
    }
}
