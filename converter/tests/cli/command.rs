//! Running the built command.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command, in `folder`, without what the environment could change.
pub(crate) fn whit(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whit"));
    command.current_dir(folder).args(args).stdin(Stdio::null());
    for variable in ["WHIT_BACKEND", "COLUMNS", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// Runs the command to its end.
pub(crate) fn say(folder: &Path, args: &[&str]) -> Said {
    whit(folder, args).output().expect("the command starts").into()
}

/// The stdout of a command that must succeed.
pub(crate) fn succeed(folder: &Path, args: &[&str]) -> String {
    let said = say(folder, args);
    assert_eq!(said.code, 0, "{args:?}: {}", said.stderr);
    said.stdout
}

/// The stderr of a command that must exit with `code` and print nothing, which must start with `error: `.
pub(crate) fn fail(folder: &Path, code: i32, args: &[&str]) -> String {
    let said = say(folder, args);
    assert_eq!(said.code, code, "{args:?}: {}", said.stderr);
    assert_eq!(said.stdout, "", "{args:?}");
    assert!(said.stderr.starts_with("error: "), "{args:?}: {}", said.stderr);
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    said.stderr
}

/// The JSON that a command prints.
pub(crate) fn json(folder: &Path, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&succeed(folder, args)).expect("JSON")
}

/// Names of the files in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
