//! whit: benches.
