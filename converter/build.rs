//! Tells the program which commit it is built from: every measurement carries it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rustc-env=WHIT_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
    // What the program is made of; and the log that grows with every commit and checkout.
    for path in ["build.rs", "src", "Cargo.toml", "../runtime/src", "../runtime/Cargo.toml", "../Cargo.lock"]
    {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// The commit, and whether files that it holds were changed since.
fn commit() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).filter(|commit| !commit.is_empty())?;
    let dirty =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    Some(commit + if dirty { "-dirty" } else { "" })
}

/// What git says; `None` without git or outside of a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
