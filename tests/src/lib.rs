//! What no single crate of whit can check, and the tools for it.

pub mod oracle;
pub mod synthetic;
