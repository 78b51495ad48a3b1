//! whit: tests.
