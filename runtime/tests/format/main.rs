//! The writer and the reader of the format against each other, and one attack for every error of the reader.

mod description;
mod fixture;
mod header;
mod recurrent;
mod sections;
mod tensors;
