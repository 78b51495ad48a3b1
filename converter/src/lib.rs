//! whit: converter.
