//! Sources of energy on recorded device trees and byte streams, and analysers' recordings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ppk2;
mod recordings;
mod tree;
mod trees;
