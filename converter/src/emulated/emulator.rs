//! Running a program in an emulator, line by line.

use super::core::{Board, Place};
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// A program that says nothing for so long hangs: one whose stack ran into its statics may.
const SILENCE: Duration = Duration::from_secs(300);

/// A board with `program` as all that is on it.
pub(super) fn board(board: Board, program: &Path) -> Command {
    let mut command = Command::new(Place::Board(board).emulator());
    if board.machine == "virt" {
        // Exactly RV32IMC; it has a counter of instructions.
        command.args(["-M", "virt", "-cpu", "rv32,a=false,f=false,d=false", "-bios", "none", "-icount", "0"]);
    } else {
        // Every instruction takes 2⁶ ns, so that timers count them.
        command.args(["-M", board.machine, "-icount", "6"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
    }
    command.args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel"]).arg(program);
    command
}

/// A Linux program on a core; `counter` writes the instructions between its calls of `sched_yield` to stderr.
pub(super) fn linux(cpu: &'static str, counter: &Path, program: &Path) -> Command {
    let mut command = Command::new(Place::Linux { cpu }.emulator());
    command.args(["-cpu", cpu, "-plugin"]).arg(counter).arg(program);
    command
}

/// Runs a command to its end and hands `each` its lines; what it said to stderr.
///
/// # Errors
/// If it cannot be started, fails, or hangs.
pub(super) fn run(mut command: Command, mut each: impl FnMut(&str)) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let fail = |problem: &dyn std::fmt::Display| format!("{name}: {problem}");
    let mut errors = tempfile::tempfile().map_err(|error| fail(&error))?;
    let own = errors.try_clone().map_err(|error| fail(&error))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(own);
    let mut child = command.spawn().map_err(|error| fail(&error))?;
    let Some(out) = child.stdout.take() else { unreachable!("it is piped") };
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // What a model writes need not be text.
        let lines = BufReader::new(out).split(b'\n').map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).count()
    });
    let hangs = loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => each(String::from_utf8_lossy(&line).trim_end_matches('\r')),
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if hangs {
        // It may have ended by itself meanwhile; then there is nothing to end.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| fail(&error))?;
    let mut said = String::new();
    errors.rewind().and_then(|()| errors.read_to_string(&mut said)).map_err(|error| fail(&error))?;
    match (hangs, status.success()) {
        (true, _) => Err(fail(&format_args!("the program said nothing for {} s", SILENCE.as_secs()))),
        (false, false) => Err(fail(&format_args!("{status}\n{said}"))),
        (false, true) => Ok(said),
    }
}

/// The emulator's own name for its version, if it tells.
pub(super) fn version(place: Place) -> Option<String> {
    let told = Command::new(place.emulator()).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&told.stdout).lines().next()?.trim().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Vec<String>, Result<String, String>) {
        let mut lines = vec![];
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let ran = run(command, |line| lines.push(line.to_owned()));
        (lines, ran)
    }

    #[test]
    fn lines_and_messages_are_told_apart() {
        let (lines, said) = shell(r"printf 'a\tb\r\n\377\n'; echo 12 >&2");
        assert_eq!(lines, ["a\tb", "\u{fffd}"]);
        assert_eq!(said.as_deref(), Ok("12\n"));
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let (lines, said) = shell("echo begun; echo no such board >&2; exit 3");
        assert_eq!(lines, ["begun"]);
        assert!(said.is_err_and(|said| said.contains("no such board") && said.contains('3')));
    }
}
