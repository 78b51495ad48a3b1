//! What was counted of one model on one core; the fields are the JSON keys of `whit bench --on`.

use super::elf::Sizes;
use serde::Serialize;

/// One model on one core.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The model's file.
    pub file: String,
    /// Its size.
    pub file_bytes: u64,
    /// Both checksums of the file, in hexadecimal.
    pub fingerprint: String,
    /// The core.
    pub core: &'static str,
    /// The board that has it; `None` of a core with Linux.
    pub board: Option<&'static str>,
    /// The emulator, as it calls itself.
    pub emulator: Option<String>,
    /// Rust's target.
    pub target: &'static str,
    /// What computed the tokens.
    pub backend: String,
    /// Tokens in one pass over the weights, in prefill.
    pub batch: usize,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens that were decoded.
    pub decode_tokens: u64,
    /// Instructions for a token of the prompt, from an empty context on, the logits of the last included.
    pub prompt_instructions_per_token: f64,
    /// Instructions for a single token, from an empty context on, its logits included, drawing it not.
    pub decode_instructions_per_token: f64,
    /// Multiplications with weights in a decoded token.
    pub decode_macs_per_token: u64,
    /// What of a decoded token's instructions the products of matrices are.
    pub product_share: f64,
    /// Each kind of matrix, by each backend.
    pub products: Vec<Product>,
    /// Bytes of a session's memory for these tokens.
    pub arena_bytes: usize,
    /// What the program takes of the board; `None` of a core with Linux.
    pub memory: Option<Memory>,
    /// The clock that was asked for.
    pub clock_hz: Option<f64>,
    /// Tokens decoded in a second at that clock if every instruction took a cycle: not measured, and of no core true.
    pub tokens_per_s_at_an_instruction_a_cycle: Option<f64>,
    /// The version of this program.
    pub version: String,
    /// Its commit.
    pub commit: String,
    /// When it was counted.
    pub date: String,
}

/// A kind of matrix × one vector, by one backend.
#[derive(Clone, Debug, Serialize)]
pub struct Product {
    /// The backend.
    pub backend: String,
    /// The encoding of the weights.
    pub weights: String,
    /// Bits in which the vector is taken; `None` where it is taken as it is.
    pub activation_bits: Option<u8>,
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// How many matrices of a decoded token are like this.
    pub matrices: u64,
    /// Multiplications of one of them.
    pub macs: u64,
    /// Instructions of one whole call, scales included, rounding of the vector not.
    pub instructions: u64,
    /// The same for each multiplication.
    pub instructions_per_mac: f64,
}

/// What the program that counts takes of a board.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Code and constants without the model, tokenizer and sampling included, drivers of a real board not.
    pub code_bytes: u64,
    /// Flash that the board has.
    pub flash_bytes: u64,
    /// Statics, the arena included.
    pub statics_bytes: u64,
    /// Stack that was used at most, a short text included.
    pub stack_bytes: u64,
    /// RAM that the board has.
    pub ram_bytes: u64,
}

impl Memory {
    pub(super) fn new(sizes: Sizes, model: u64, stack: u64, [flash, ram]: [u64; 2]) -> Self {
        Self {
            code_bytes: sizes.flash.saturating_sub(model),
            flash_bytes: flash,
            statics_bytes: sizes.statics,
            stack_bytes: stack,
            ram_bytes: ram,
        }
    }
}

impl Report {
    /// Adds what follows from a clock.
    pub fn at_clock(&mut self, hz: f64) {
        self.clock_hz = Some(hz);
        self.tokens_per_s_at_an_instruction_a_cycle = Some(hz / self.decode_instructions_per_token);
    }

    /// The share of a token's instructions that its products are.
    pub(super) fn add_product_share(&mut self) {
        let own = self.products.iter().filter(|product| product.backend == self.backend);
        let instructions: u64 = own.map(|product| product.matrices * product.instructions).sum();
        self.product_share = instructions as f64 / self.decode_instructions_per_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(backend: &str, matrices: u64, instructions: u64) -> Product {
        Product {
            backend: backend.to_owned(),
            weights: "int8".to_owned(),
            activation_bits: Some(8),
            rows: 1,
            cols: 1,
            matrices,
            macs: 1,
            instructions,
            instructions_per_mac: instructions as f64,
        }
    }

    #[test]
    fn the_share_of_products_is_that_of_the_backend_that_decoded() {
        let products = vec![product("scalar", 2, 9999), product("neon", 2, 20), product("neon", 1, 10)];
        let mut report = Report {
            backend: "neon".to_owned(),
            decode_instructions_per_token: 100.0,
            products,
            ..Report::default()
        };
        report.add_product_share();
        assert_eq!(report.product_share, 0.5);
        report.at_clock(64e6);
        assert_eq!(report.tokens_per_s_at_an_instruction_a_cycle, Some(640_000.0));
    }
}
