//! What the suite feeds to the operations: values and edge sizes, each with its reason.

/// Knuth's 64-bit linear congruential generator (MMIX, 1999); the high half is used.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator started from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// An integer within `low..=high`.
    pub fn within(&mut self, low: i32, high: i32) -> i32 {
        low + (self.bits() >> 8) as i32 % (high - low + 1)
    }

    /// A number of either sign below 4, exact in f32.
    pub fn float(&mut self) -> f32 {
        self.within(-4_000_000, 4_000_000) as f32 / 1_000_000.0
    }

    /// The scale of a row: as of models, of either sign, or anything from zero to 2¹⁰⁰.
    pub fn scale(&mut self) -> f32 {
        match self.bits() >> 30 {
            0 => self.float(),
            1 => f32::from_bits(self.bits() % 0x7180_0000),
            _ => f32::from_bits(0x3980_0000 + (self.bits() & 0x03ff_ffff)),
        }
    }
}

/// How integer operands are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every operand 0.
    Zero,
    /// Weights at their least, activations at their greatest: the most negative sums.
    LeastGreatest,
    /// Weights and activations at their least: the greatest sums.
    LeastLeast,
    /// Weights and activations at their greatest.
    GreatestGreatest,
    /// Extremes of alternating sign: neighbours that an intermediate sum of two would have to carry.
    Alternating,
    /// Anything.
    Random,
}

impl Fill {
    /// Every way.
    pub const ALL: [Self; 6] = [
        Self::Zero,
        Self::LeastGreatest,
        Self::LeastLeast,
        Self::GreatestGreatest,
        Self::Alternating,
        Self::Random,
    ];

    /// The `i`th weight of a range `least..=greatest` around 0.
    pub fn weight(self, i: usize, least: i32, greatest: i32, random: &mut Random) -> i32 {
        match self {
            Self::Zero => 0,
            Self::LeastGreatest | Self::LeastLeast => least,
            Self::GreatestGreatest => greatest,
            Self::Alternating => [least, greatest][i % 2],
            Self::Random => random.within(least, greatest),
        }
    }

    /// The `i`th activation, within ±127.
    pub fn activation(self, i: usize, random: &mut Random) -> i8 {
        match self {
            Self::Zero => 0,
            Self::LeastLeast => -127,
            Self::LeastGreatest | Self::GreatestGreatest => 127,
            Self::Alternating => [127, -127][i / 3 % 2],
            Self::Random => random.within(-127, 127) as i8,
        }
    }
}

/// (rows, columns) of matrices.
pub(super) const SHAPES: [(usize, usize); 17] = [
    (17, 0),    // no columns: every sum is 0
    (1, 1),     // less than a step of anything
    (15, 3),    // one row and one column short of a step
    (16, 4),    // one int8 step
    (17, 5),    // one row and one column more
    (31, 8),    // one int4 step, two blocks
    (48, 15),   // three blocks: the widest group of rows in a tile
    (49, 16),   // four blocks; one group of 16
    (65, 31),   // five blocks
    (96, 33),   // six blocks; one group of 32 and one more column
    (32, 63),   // one column short of a whole cache line of activations
    (128, 64),  // eight blocks: the most that share a read of one vector
    (47, 65),   // a line and one column
    (241, 20),  // sixteen blocks
    (33, 172),  // stories260K's feed-forward: multiple of 4 only
    (16, 639),  // just within one stretch of columns (AArch64: two)
    (40, 1285), // three stretches
];

/// Tokens: every part of the widest tile of vectors, one, two and more tiles of 16 with what is about them, and every
/// part of a tile after the 16 tokens that vectors count as few.
pub(super) const TOKENS: [usize; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 23, 33, 48];

/// Group widths of int4 weights.
pub(super) const GROUPS: [usize; 5] = [0, 16, 32, 64, 128];

/// Lengths of vectors.
pub(super) const LENGTHS: [usize; 11] = [
    1, 2, // less than a lane of anything
    15, 16, 17, // about one vector of 16 lanes
    63, 64, 65,  // about the activations' padding
    48,  // stories260K's heads and more: three whole vectors
    100, // whole vectors and a rest
    576, // a real width
];

/// Values that arithmetic treats specially, and their neighbours.
pub(super) const SPECIAL: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -1.5,
    2.5,
    f32::MIN_POSITIVE,
    1e-45,
    -1e-40,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    1e-30,
];
