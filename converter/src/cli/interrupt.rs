//! Ctrl-C while an output is being written: the unfinished file is removed before the process ends.

use super::failure::Failure;
use std::sync::atomic::{AtomicBool, Ordering};

static WRITING: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a shell reports for a process that an interrupt ended.
pub(super) const EXIT_CODE: u8 = 130;

/// While it lives, an interrupt is only noted; it then ends the process as always.
#[derive(Debug)]
pub(super) struct Guard;

impl Guard {
    /// Begins to note interrupts.
    pub(super) fn new() -> Result<Self, Failure> {
        WRITING.store(true, Ordering::SeqCst);
        let handler = || {
            // The second interrupt is for those who cannot wait.
            if !WRITING.load(Ordering::SeqCst) || INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(EXIT_CODE));
            }
        };
        match ctrlc::set_handler(handler) {
            Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(Self),
            Err(error) => Err(Failure::Failed(format!("cannot watch for interrupts: {error}"))),
        }
    }
}

/// Whether an interrupt was noted.
pub(super) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// An error if an interrupt was noted, so that what is unfinished is dropped and removed on the way out.
pub(super) fn check() -> Result<(), Failure> {
    if interrupted() { Err(Failure::Interrupted) } else { Ok(()) }
}

impl Drop for Guard {
    fn drop(&mut self) {
        WRITING.store(false, Ordering::SeqCst);
    }
}
