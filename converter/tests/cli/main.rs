//! The command `whit` from outside: what it prints, what it leaves behind, how it exits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apply;
mod bench;
mod built_in;
mod command;
mod compression;
mod energy;
mod failures;
mod help;
mod made_up;
mod recurrent;
mod reports;
mod stories;
mod train;
