//! The model in the program itself, for a first try and where there is no file: `models/shakespeare-lstm`.

/// Its name in messages and reports.
pub const NAME: &str = "built-in model";

/// The file.
pub static MODEL: &[u8] = whit::include_model!("../../models/shakespeare-lstm/model.whit");
