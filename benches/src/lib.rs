//! What the benchmarks of whit share: a clock, the multipliers' peak, matrices and vectors, llama2.c's loops, and how
//! cargo asks for a run. Not a library for anyone else.

pub mod clock;
pub mod mode;
pub mod operands;
pub mod peak;
pub mod plain;
