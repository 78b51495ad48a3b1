//! How many conversions the newer chips average: the same field, with the same values, in all of them.

/// Conversions in one reading of an INA226, INA228 or INA260.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Averaging {
    /// Every conversion by itself.
    #[default]
    Of1,
    /// The mean of 4.
    Of4,
    /// The mean of 16.
    Of16,
    /// The mean of 64.
    Of64,
    /// The mean of 128.
    Of128,
    /// The mean of 256.
    Of256,
    /// The mean of 512.
    Of512,
    /// The mean of 1024.
    Of1024,
}

impl Averaging {
    /// All, from the fewest on.
    pub const ALL: [Self; 8] =
        [Self::Of1, Self::Of4, Self::Of16, Self::Of64, Self::Of128, Self::Of256, Self::Of512, Self::Of1024];

    /// How many.
    #[must_use]
    pub const fn count(self) -> u32 {
        [1, 4, 16, 64, 128, 256, 512, 1024][self as usize]
    }

    /// The three bits of the chips' field.
    pub(crate) const fn bits(self) -> u16 {
        self as u16
    }
}
