//! What every board shares: a board brings a serial line, a counter and a pin ([`Board`], of parts [`SerialBoard`]), and gets
//! the programs.
//!
//! No heap: the compiler proves the model that is included, and a program's arena is a static of the size that it takes
//! ([`whit::Proven`]). Read `board`, then `generate`.
#![no_std]
#[cfg(test)]
extern crate std;

#[cfg(feature = "suite")]
mod bench;
mod board;
#[cfg(feature = "suite")]
mod conformance;
#[cfg(feature = "suite")]
mod copies;
#[cfg(feature = "cost")]
mod cost;
// The cores without swaps, ARMv6-M, have no counter there.
#[cfg(all(target_arch = "arm", target_has_atomic = "32"))]
pub mod dwt;
#[cfg(feature = "suite")]
mod floats;
mod generate;
mod line;
// Of the cores here, those with swaps also have words at any address.
#[cfg(all(target_arch = "arm", target_os = "none", target_has_atomic = "32"))]
mod memory;
mod models;
mod program;
#[cfg(feature = "screen")]
mod screen;
mod self_test;
mod serial;
pub mod stack;
#[cfg(target_arch = "arm")]
pub mod systick;

#[cfg(feature = "suite")]
pub use bench::bench;
pub use board::{Board, Count};
#[cfg(feature = "suite")]
pub use conformance::conformance;
#[cfg(feature = "suite")]
pub use copies::copies;
#[cfg(feature = "cost")]
pub use cost::cost;
#[cfg(feature = "suite")]
pub use floats::floats;
pub use generate::{Timing, continue_text, generate};
pub use models::{Golden, Included, MODEL, MODELS, TINY, proven, self_test_arena};
pub use program::{CONTEXT, TOKENS, run};
#[cfg(feature = "screen")]
pub use screen::{Mirrored, Screen};
pub use self_test::{check, self_test};
pub use serial::{Polled, SerialBoard};
