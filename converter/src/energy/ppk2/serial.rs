//! A serial line as bytes: no echo, no translation, reads that wait a tenth of a second at most.

use crate::energy::EnergyError;
use nix::sys::termios::{SetArg, SpecialCharacterIndices, cfmakeraw, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens the line at `path`. Its speed means nothing: the kit is on USB.
///
/// # Errors
/// There is no such line, or it may not be used.
pub fn open(path: &Path) -> Result<File, EnergyError> {
    let remedy = "add yourself to the group that owns it: sudo usermod -aG dialout $USER, then log in again";
    let failed = EnergyError::reading(path, remedy);
    // The terminal of this process it must not become.
    let file = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(path);
    let file = file.map_err(&failed)?;
    let mut settings = tcgetattr(&file).map_err(|error| failed(error.into()))?;
    cfmakeraw(&mut settings);
    settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
    settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 1;
    tcsetattr(&file, SetArg::TCSANOW, &settings).map_err(|error| failed(error.into()))?;
    Ok(file)
}
