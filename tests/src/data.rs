//! Real data for tests: where it lies, and what happens where it does not.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The file or directory `relative` under `WHIT_DATA` (by default `../shared/data` beside the workspace).
///
/// Where it is absent, prints `SKIP name: reason` for the test that asks and returns `None`.
///
/// # Panics
/// If it is absent and `CI` is `true`: there, a test that cannot run has failed.
pub fn data(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WHIT_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("test");
    let reason = format!("SKIP {name}: {relative} is not in the data directory (set WHIT_DATA)");
    let required = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!required, "{reason}");
    // Past the test harness, which would keep quiet about a test that passes.
    let _ = writeln!(std::io::stderr(), "{reason}");
    None
}
