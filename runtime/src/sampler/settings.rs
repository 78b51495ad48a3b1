//! The user's sampling settings: presets, validation, and the 32-byte record that a model file carries.
use core::fmt;

/// The longest [`Sampling::penalty_window`]; finding the distinct tokens of a window costs its square.
pub const MAX_PENALTY_WINDOW: u32 = 1024;

/// How the next token is chosen. Plain data; [`Self::validate`] says whether the values make sense.
///
/// | preset | temperature | top-p | for |
/// |---|---|---|---|
/// | [`Self::default`] | 0.7 | 0.9 | anything |
/// | [`Self::greedy`] | 0 | off | code, commands, forms |
/// | [`Self::precise`] | 0.2 | 0.9 | facts, questions |
/// | [`Self::dialogue`] | 0.8 | 0.9 | conversation |
/// | [`Self::creative`] | 1.0 | 0.95 | stories |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 always takes the best token, without a random number. 0 or 0.01–100.
    pub temperature: f32,
    /// Only the best `top_k` tokens can be chosen; 0 is off.
    pub top_k: u32,
    /// Only the smallest set of best tokens with at least this share of the mass can be chosen; 1 is off. 0–1.
    pub top_p: f32,
    /// Only tokens at least this fraction as probable as the best can be chosen; 0 is off. 0–1.
    pub min_p: f32,
    /// Makes seen tokens less likely, see [`super::penalize`]; 1 is off. 0.1–10.
    pub repetition_penalty: f32,
    /// How many of the latest tokens count as seen. 0–[`MAX_PENALTY_WINDOW`].
    pub penalty_window: u32,
    /// Names the sequence of random numbers: same seed, same text.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 0,
            top_p: 0.9,
            min_p: 0.0,
            repetition_penalty: 1.0,
            penalty_window: 64,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Size of the record in a model file.
    pub const BYTES: usize = 32;

    /// Always the best token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_p: 1.0, ..Self::default() }
    }

    /// Close to the best token, for facts and questions.
    pub fn precise() -> Self {
        Self { temperature: 0.2, ..Self::default() }
    }

    /// For conversation.
    pub fn dialogue() -> Self {
        Self { temperature: 0.8, ..Self::default() }
    }

    /// For stories.
    pub fn creative() -> Self {
        Self { temperature: 1.0, top_p: 0.95, ..Self::default() }
    }

    /// # Errors
    /// The first field, in order of declaration, that is out of its range or not a number.
    pub fn validate(&self) -> Result<(), SamplingError> {
        use SamplingError::{MinP, PenaltyWindow, RepetitionPenalty, Temperature, TopP};
        let temperature = self.temperature;
        if temperature != 0.0 && !(0.01..=100.0).contains(&temperature) {
            return Err(Temperature { found: temperature });
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return Err(TopP { found: self.top_p });
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(MinP { found: self.min_p });
        }
        if !(0.1..=10.0).contains(&self.repetition_penalty) {
            return Err(RepetitionPenalty { found: self.repetition_penalty });
        }
        if self.penalty_window > MAX_PENALTY_WINDOW {
            return Err(PenaltyWindow { found: self.penalty_window });
        }
        Ok(())
    }

    /// The record: every field little-endian, in order of declaration.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0..4].copy_from_slice(&self.temperature.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.top_k.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.top_p.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.min_p.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.repetition_penalty.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.penalty_window.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.seed.to_le_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// A field out of its range: what is returned is valid.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, SamplingError> {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let seed = u64::from(u32::from_le_bytes(word(28))) << 32 | u64::from(u32::from_le_bytes(word(24)));
        let sampling = Self {
            temperature: f32::from_le_bytes(word(0)),
            top_k: u32::from_le_bytes(word(4)),
            top_p: f32::from_le_bytes(word(8)),
            min_p: f32::from_le_bytes(word(12)),
            repetition_penalty: f32::from_le_bytes(word(16)),
            penalty_window: u32::from_le_bytes(word(20)),
            seed,
        };
        sampling.validate()?;
        Ok(sampling)
    }
}

/// A setting out of its range.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names and the messages say it")]
pub enum SamplingError {
    Temperature { found: f32 },
    TopP { found: f32 },
    MinP { found: f32 },
    RepetitionPenalty { found: f32 },
    PenaltyWindow { found: u32 },
}

impl fmt::Display for SamplingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Temperature { found } => {
                write!(f, "temperature: expected 0 (greedy) or 0.01 to 100, found {}", Decimal(found))
            }
            Self::TopP { found } => {
                write!(f, "top_p: expected 0 to 1 (1 is off), found {}", Decimal(found))
            }
            Self::MinP { found } => {
                write!(f, "min_p: expected 0 to 1 (0 is off), found {}", Decimal(found))
            }
            Self::RepetitionPenalty { found } => {
                write!(f, "repetition_penalty: expected 0.1 to 10 (1 is off), found {}", Decimal(found))
            }
            Self::PenaltyWindow { found } => {
                write!(f, "penalty_window: expected 0 to {MAX_PENALTY_WINDOW} tokens, found {found}")
            }
        }
    }
}

impl core::error::Error for SamplingError {}

/// A number to six digits after the point, the last ones zeros left out. `core` can write floats exactly, with 15 kB of code
/// that nothing else of a small program needs.
struct Decimal(f32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(x) = *self;
        if x.is_nan() {
            return f.write_str("NaN");
        }
        if x.abs() >= 1e9 {
            return f.write_str(if x < 0.0 { "less than -1000000000" } else { "more than 1000000000" });
        }
        let (sign, whole) = (if x < 0.0 { "-" } else { "" }, x.abs() as u32);
        write!(f, "{sign}{whole}")?;
        let (mut digits, mut places) = (((x.abs() - whole as f32) * 1e6) as u32, 6);
        while places > 0 && digits.is_multiple_of(10) {
            (digits, places) = (digits / 10, places - 1);
        }
        if places > 0 {
            write!(f, ".{digits:0places$}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn with(change: impl Fn(&mut Sampling)) -> Sampling {
        let mut sampling = Sampling::default();
        change(&mut sampling);
        sampling
    }

    #[test]
    fn presets_are_valid() {
        let presets = [Sampling::greedy(), Sampling::precise(), Sampling::dialogue(), Sampling::creative()];
        for sampling in presets.into_iter().chain([Sampling::default()]) {
            assert_eq!(sampling.validate(), Ok(()), "{sampling:?}");
        }
    }

    #[test]
    fn each_field_out_of_range_is_named() {
        let nan = f32::NAN;
        let cases = [
            ("temperature", with(|s| s.temperature = -0.1)),
            ("temperature", with(|s| s.temperature = 0.009)),
            ("temperature", with(|s| s.temperature = f32::INFINITY)),
            ("temperature", with(|s| s.temperature = nan)),
            ("top_p", with(|s| s.top_p = -0.1)),
            ("top_p", with(|s| s.top_p = 1.001)),
            ("top_p", with(|s| s.top_p = nan)),
            ("min_p", with(|s| s.min_p = -0.1)),
            ("min_p", with(|s| s.min_p = 1.1)),
            ("min_p", with(|s| s.min_p = nan)),
            ("repetition_penalty", with(|s| s.repetition_penalty = 0.0)),
            ("repetition_penalty", with(|s| s.repetition_penalty = -1.0)),
            ("repetition_penalty", with(|s| s.repetition_penalty = 10.5)),
            ("repetition_penalty", with(|s| s.repetition_penalty = nan)),
            ("penalty_window", with(|s| s.penalty_window = MAX_PENALTY_WINDOW + 1)),
        ];
        for (field, sampling) in cases {
            let message = sampling.validate().expect_err("out of range").to_string();
            assert!(message.starts_with(field), "{message}");
            assert!(Sampling::from_bytes(&sampling.to_bytes()).is_err());
        }
    }

    #[test]
    fn an_error_says_what_was_expected_and_found() {
        let error = with(|s| s.top_p = 90.0).validate().expect_err("out of range");
        assert_eq!(error.to_string(), "top_p: expected 0 to 1 (1 is off), found 90");
    }

    #[test]
    fn numbers_are_written_to_a_millionth() {
        let cases = [
            (90.0, "90"),
            (-0.1, "-0.1"),
            (0.009, "0.009"),
            (1.0625, "1.0625"),
            (-1.0, "-1"),
            (1e-9, "0"),
            (999_999.0, "999999"),
            (f32::NAN, "NaN"),
            (f32::INFINITY, "more than 1000000000"),
            (-1e30, "less than -1000000000"),
        ];
        for (x, text) in cases {
            assert_eq!(Decimal(x).to_string(), text);
        }
    }

    #[test]
    fn the_record_has_a_fixed_layout() {
        let sampling = Sampling {
            temperature: 0.5,
            top_k: 0x0102_0304,
            top_p: 1.0,
            min_p: 0.25,
            repetition_penalty: 2.0,
            penalty_window: 0x0100,
            seed: 0x1122_3344_5566_7788,
        };
        let bytes = [
            0, 0, 0, 0x3f, 4, 3, 2, 1, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3e, 0, 0, 0, 0x40, 0, 1, 0, 0, 0x88,
            0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
        ];
        assert_eq!(sampling.to_bytes(), bytes);
        assert_eq!(Sampling::from_bytes(&bytes), Ok(sampling));
    }
}
