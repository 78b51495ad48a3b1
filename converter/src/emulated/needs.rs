//! What must be there: sources of the programs that count, and the tools that build and run them.

use super::core::{Core, Place};
use super::error::{EmulatedError, Missing};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rust's target for 64-bit Linux; its linker and libc come with it.
pub(super) const LINUX: &str = "aarch64-unknown-linux-musl";

impl Place {
    /// Rust's target.
    pub(super) fn target(&self) -> &'static str {
        match self {
            Self::Board(board) => board.target,
            Self::Linux { .. } => LINUX,
        }
    }

    /// The emulator's program.
    pub(super) fn emulator(&self) -> &'static str {
        match self {
            Self::Board(board) if board.machine == "virt" => "qemu-system-riscv32",
            Self::Board(_) => "qemu-system-arm",
            Self::Linux { .. } => "qemu-aarch64",
        }
    }
}

/// The checkout that holds the sources, if everything is there.
pub(super) fn check(core: Core, firmware: Option<&Path>) -> Result<PathBuf, EmulatedError> {
    let place = core.place();
    let mut missing = vec![];
    let package = match place.emulator() {
        "qemu-aarch64" => "qemu-user",
        "qemu-system-riscv32" => "qemu-system-misc",
        other => other,
    };
    let mut program = |name: &str, remedy: String| {
        let found = in_path(name, &std::env::var_os("PATH").unwrap_or_default());
        if !found {
            missing.push(Missing::new(name, remedy));
        }
        found
    };
    program(place.emulator(), format!("apt-get install {package}"));
    if matches!(place, Place::Linux { .. }) {
        program("cc", "apt-get install gcc libc6-dev".to_owned());
    }
    let has_rust = program("cargo", "see https://rustup.rs".to_owned());
    let checkout = match firmware {
        Some(folder) => of(folder),
        None => places().iter().find_map(|start| start.ancestors().find_map(of)),
    };
    if checkout.is_none() {
        let remedy = match firmware {
            Some(folder) => format!("there is no boards/emulated in {}", folder.display()),
            None => {
                "run this in a checkout of them, or name its folder `firmware` with --firmware DIR".to_owned()
            }
        };
        missing.push(Missing::new("the source of whit", remedy));
    }
    if has_rust && !has_target(place.target(), checkout.as_deref()) {
        let remedy = format!("rustup target add {}", place.target());
        missing.push(Missing::new(format!("Rust's library for {}", place.target()), remedy));
    }
    match checkout {
        Some(checkout) if missing.is_empty() => Ok(checkout),
        _ => Err(EmulatedError::Missing { core: core.name(), missing }),
    }
}

/// Where sources may be: around the user, or around this program, which cargo leaves below them.
fn places() -> Vec<PathBuf> {
    [std::env::current_dir(), std::env::current_exe()].into_iter().flatten().collect()
}

/// The checkout that `folder` is the root of, or whose `firmware` it is.
fn of(folder: &Path) -> Option<PathBuf> {
    let root = if folder.join("boards/emulated").is_dir() { folder.join("..") } else { folder.to_owned() };
    let is_one = root.join("firmware/boards/emulated/Cargo.toml").is_file() && root.join("benches").is_dir();
    is_one.then(|| root.canonicalize().ok()).flatten()
}

/// Whether a program can be started by its name.
fn in_path(name: &str, path: &std::ffi::OsStr) -> bool {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path).any(|folder| folder.join(&name).is_file())
}

/// Whether the compiler that builds in `checkout` has a library for `target`.
fn has_target(target: &str, checkout: Option<&Path>) -> bool {
    let mut rustc = Command::new("rustc");
    if let Some(checkout) = checkout {
        rustc.current_dir(checkout);
    }
    let told = rustc.args(["--print", "sysroot"]).output();
    let sysroot = told.ok().and_then(|told| String::from_utf8(told.stdout).ok()).unwrap_or_default();
    Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sources_are_found_from_their_root_and_from_their_firmware() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        assert_eq!(of(&root), None);
        fs::create_dir_all(root.join("firmware/boards/emulated")).expect("made");
        fs::create_dir_all(root.join("benches")).expect("made");
        assert_eq!(of(&root), None);
        fs::write(root.join("firmware/boards/emulated/Cargo.toml"), "").expect("written");
        assert_eq!(of(&root), Some(root.clone()));
        assert_eq!(of(&root.join("firmware")), Some(root.clone()));
        assert_eq!(of(&root.join("benches")), None);
    }

    #[test]
    fn programs_are_looked_for_in_every_folder_of_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = format!("emulator{}", std::env::consts::EXE_SUFFIX);
        fs::write(folder.path().join(program), "").expect("written");
        let path = std::env::join_paths([Path::new("nowhere"), folder.path()]).expect("a path");
        assert!(in_path("emulator", &path));
        assert!(!in_path("compiler", &path));
    }

    #[test]
    fn everything_that_is_missing_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = check(Core::CortexM4, Some(folder.path())).expect_err("no sources there");
        let said = error.to_string();
        assert!(said.contains("the source of whit is missing"), "{said}");
        assert!(said.contains(&folder.path().display().to_string()), "{said}");
    }
}
