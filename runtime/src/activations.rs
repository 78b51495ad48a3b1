//! Vectors quantized to int8, packed for the integer products: the other operand of a matrix in `tensor`.
//!
//! The packing (panels of up to eight tokens, interleaved four columns at a time, with their sums) exists only in
//! memory; it is written by [`ActivationsMut`] and read through [`Activations::panels`], and stands here alone.

/// Tokens that share one panel of packed activations.
pub const PANEL: usize = 8;

/// Columns of quantized activations are padded with zeros to a multiple of this.
pub const ACTIVATION_PAD: usize = 32;

/// The lengths of the parts of [`Activations`] for some tokens and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationShape {
    /// Tokens (vectors).
    pub tokens: usize,
    /// Columns of each vector, without padding.
    pub cols: usize,
}

impl ActivationShape {
    /// Columns with padding: a multiple of [`ACTIVATION_PAD`].
    pub const fn padded_cols(&self) -> usize {
        self.cols.div_ceil(ACTIVATION_PAD) * ACTIVATION_PAD
    }

    /// Length of the quantized values.
    pub const fn data_len(&self) -> usize {
        self.tokens.saturating_mul(self.padded_cols())
    }

    /// Length of the sums of 16 values each.
    pub const fn sums_len(&self) -> usize {
        self.data_len() / 16
    }
}

/// One panel: up to [`PANEL`] quantized vectors, interleaved so that a kernel reads them in one stream.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// Index of the panel's first token.
    pub first: usize,
    /// Tokens in the panel, 1 to [`PANEL`].
    pub width: usize,
    /// `[padded_cols / 4][width][4]` values within ±127; padding columns are 0.
    pub data: &'a [i8],
    /// `[padded_cols / 32][width][2]`: sums of 16 consecutive values each.
    pub sums: &'a [i16],
    /// `[width]`: sum of all values of each token.
    pub totals: &'a [i32],
    /// `[width]`: the scale of each token.
    pub scale: &'a [f32],
}

/// Quantized vectors: int8 values within ±127 and one scale for each vector, in panels.
#[derive(Clone, Copy, Debug)]
pub struct Activations<'a> {
    shape: ActivationShape,
    data: &'a [i8],
    sums: &'a [i16],
    totals: &'a [i32],
    scale: &'a [f32],
}

impl<'a> Activations<'a> {
    /// Tokens (vectors).
    pub fn tokens(&self) -> usize {
        self.shape.tokens
    }

    /// Columns of each vector, without padding.
    pub fn cols(&self) -> usize {
        self.shape.cols
    }

    /// Columns with padding: a multiple of [`ACTIVATION_PAD`].
    pub fn padded_cols(&self) -> usize {
        self.shape.padded_cols()
    }

    /// The panels in order of tokens.
    pub fn panels(&self) -> impl Iterator<Item = Panel<'a>> + use<'a> {
        let this = *self;
        let padded = self.padded_cols();
        (0..self.shape.tokens).step_by(PANEL).map(move |first| {
            let width = PANEL.min(this.shape.tokens - first);
            Panel {
                first,
                width,
                data: &this.data[first * padded..][..width * padded],
                sums: &this.sums[first * padded / 16..][..width * padded / 16],
                totals: &this.totals[first..][..width],
                scale: &this.scale[first..][..width],
            }
        })
    }
}

/// Room for [`Activations`]: what a quantizing kernel fills.
#[derive(Debug)]
pub struct ActivationsMut<'a> {
    shape: ActivationShape,
    data: &'a mut [i8],
    sums: &'a mut [i16],
    totals: &'a mut [i32],
    scale: &'a mut [f32],
}

impl<'a> ActivationsMut<'a> {
    /// Room for `shape` over parts that may be longer than needed, or `None` if one is too short.
    pub fn new(
        shape: ActivationShape,
        data: &'a mut [i8],
        sums: &'a mut [i16],
        totals: &'a mut [i32],
        scale: &'a mut [f32],
    ) -> Option<Self> {
        Some(Self {
            shape,
            data: data.get_mut(..shape.data_len())?,
            sums: sums.get_mut(..shape.sums_len())?,
            totals: totals.get_mut(..shape.tokens)?,
            scale: scale.get_mut(..shape.tokens)?,
        })
    }

    /// Tokens and columns.
    pub fn shape(&self) -> ActivationShape {
        self.shape
    }

    /// Writes the quantized vector of `token`: `sixteen(i)` gives columns `16 i ..` (within ±127, 0 beyond the
    /// last column), `scale` the value of one step.
    #[inline(always)]
    pub fn set(&mut self, token: usize, scale: f32, mut sixteen: impl FnMut(usize) -> [i8; 16]) {
        let padded = self.shape.padded_cols();
        self.fill(
            token,
            [scale],
            #[inline(always)]
            |start, [values]| {
                for (i, values) in values.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    if start + i * 16 < padded {
                        *values = sixteen(start / 16 + i);
                    }
                }
            },
        );
    }

    /// As [`ActivationsMut::set`], for `N` tokens of one panel: `stretch(start, values)` gives columns `start ..` of
    /// each, 64 at a time, so that compilers make whole vectors of the loop that computes them.
    #[inline(always)]
    pub(crate) fn fill<const N: usize>(
        &mut self,
        token: usize,
        scale: [f32; N],
        mut stretch: impl FnMut(usize, &mut [[i8; 64]; N]),
    ) {
        let padded = self.shape.padded_cols();
        let first = token / PANEL * PANEL;
        let width = PANEL.min(self.shape.tokens - first);
        let lane = token - first;
        assert!(lane + N <= width, "the tokens are of one panel");
        let data = self.data[first * padded..][..width * padded].as_chunks_mut::<4>().0;
        let sums = self.sums[first * padded / 16..][..width * padded / 16].as_chunks_mut::<2>().0;
        let mut values = [[0; 64]; N];
        let mut totals = [0; N];
        for start in (0..padded).step_by(64) {
            stretch(start, &mut values);
            for n in 0..N {
                let halves = values[n].as_chunks::<32>().0.iter().take((padded - start) / 32);
                for (half, values) in halves.enumerate() {
                    let at = start / 32 + half;
                    let quads = data[at * 8 * width..][..8 * width].iter_mut();
                    for (quad, values) in quads.skip(lane + n).step_by(width).zip(values.as_chunks::<4>().0) {
                        *quad = *values;
                    }
                    let pair = &mut sums[at * width + lane + n];
                    for (sum, values) in pair.iter_mut().zip(values.as_chunks::<16>().0) {
                        *sum = values.iter().map(|&value| i16::from(value)).sum();
                        totals[n] += i32::from(*sum);
                    }
                }
            }
        }
        self.totals[token..][..N].copy_from_slice(&totals);
        self.scale[token..][..N].copy_from_slice(&scale);
    }

    /// The filled vectors, for reading.
    pub fn as_activations(&self) -> Activations<'_> {
        Activations {
            shape: self.shape,
            data: self.data,
            sums: self.sums,
            totals: self.totals,
            scale: self.scale,
        }
    }
}
