//! Vectors quantized to int8, one row for each token: the other operand of a matrix in `tensor`.
//!
//! They exist only in memory; they are written by [`ActivationsMut`] and read through [`Activations`]. Rows as they
//! are, not interleaved for some kernel's tile: quantizing stores whole vectors, and broadcasts of four columns,
//! products by lane and tile loads at a stride all read them in place.

use core::ops::Range;

/// Columns of quantized activations are padded with zeros to a multiple of this: a whole cache line.
pub const ACTIVATION_PAD: usize = 64;

/// Consecutive columns that share one of the [`Row::sums`].
const SUM: usize = 16;

/// In how many bits an integer matrix takes the vectors that it multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationBits {
    /// One int8 digit for each element.
    #[default]
    Eight,
    /// Two int8 digits, see [`split_wide`](crate::quant::split_wide): a vector is two tokens of [`Activations`], and
    /// its product the sum of theirs. For inputs whose largest elements leave one int8 scale too coarse for the rest.
    Sixteen,
}

impl ActivationBits {
    /// Digits of an element: tokens of [`Activations`] for each vector.
    pub const fn digits(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

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

    /// Bytes from one token's columns to the next one's: an odd number of cache lines, so that the same column of
    /// many tokens does not fall on a few sets of a cache.
    pub const fn stride(&self) -> usize {
        (self.cols.div_ceil(ACTIVATION_PAD) | 1) * ACTIVATION_PAD
    }

    /// Length of the quantized values.
    pub const fn data_len(&self) -> usize {
        self.tokens.saturating_mul(self.stride())
    }

    /// Length of the sums of 16 values each.
    pub const fn sums_len(&self) -> usize {
        self.data_len() / SUM
    }
}

/// One quantized vector.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// `[padded_cols]` values within ±127; padding columns are 0.
    pub data: &'a [i8],
    /// `[padded_cols / 16]`: sums of 16 consecutive values each; empty where they are not kept.
    pub sums: &'a [i16],
    /// Sum of all values.
    pub total: i32,
    /// The value of one step.
    pub scale: f32,
}

/// Quantized vectors: int8 values within ±127 and one scale for each vector.
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

    /// Elements of [`Activations::data`] from one token to the next.
    pub fn stride(&self) -> usize {
        self.shape.stride()
    }

    /// `[tokens][stride]` values within ±127, of which the first `padded_cols` of each token are meant.
    pub fn data(&self) -> &'a [i8] {
        self.data
    }

    /// The sum of all values of every token.
    pub fn totals(&self) -> &'a [i32] {
        self.totals
    }

    /// The scale of every token.
    pub fn scales(&self) -> &'a [f32] {
        self.scale
    }

    /// Those of some tokens.
    ///
    /// # Panics
    /// If there are not that many tokens.
    #[inline]
    pub(crate) fn some(&self, tokens: Range<usize>) -> Self {
        let shape = ActivationShape { tokens: tokens.len(), ..self.shape };
        let stride = self.shape.stride();
        let elements = tokens.start * stride..tokens.end * stride;
        let sums =
            if self.sums.is_empty() { &[] } else { &self.sums[elements.start / SUM..elements.end / SUM] };
        Self {
            shape,
            data: &self.data[elements],
            sums,
            totals: &self.totals[tokens.clone()],
            scale: &self.scale[tokens],
        }
    }

    /// [`Row::sums`] of the vector of `token`.
    #[inline(always)]
    pub(crate) fn sums(&self, token: usize) -> &'a [i16] {
        let (stride, padded) = (self.shape.stride(), self.shape.padded_cols());
        if self.sums.is_empty() { &[] } else { &self.sums[token * stride / SUM..][..padded / SUM] }
    }

    /// The vector of `token`.
    #[inline(always)]
    pub fn row(&self, token: usize) -> Row<'a> {
        let (stride, padded) = (self.shape.stride(), self.shape.padded_cols());
        Row {
            data: &self.data[token * stride..][..padded],
            sums: self.sums(token),
            total: self.totals[token],
            scale: self.scale[token],
        }
    }
}

/// Room for one quantized vector.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[derive(Debug)]
pub(crate) struct RowMut<'a> {
    /// Values of 64 columns each, padding included.
    pub(crate) data: &'a mut [[i8; 64]],
    /// The four sums of 16 values each of every 64; empty where they are not kept.
    pub(crate) sums: &'a mut [[i16; 4]],
    /// Sum of all values.
    pub(crate) total: &'a mut i32,
    /// The value of one step.
    pub(crate) scale: &'a mut f32,
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
    ///
    /// `sums` may be empty: sums of 16 values, which only int4 matrices ask for, are then not kept.
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
            sums: if sums.is_empty() { sums } else { sums.get_mut(..shape.sums_len())? },
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
        self.fill(
            token,
            [scale],
            #[inline(always)]
            |start, [values]| {
                for (i, values) in values.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    *values = sixteen(start / 16 + i);
                }
            },
        );
    }

    /// As [`ActivationsMut::set`], for `N` tokens: `stretch(start, values)` gives columns `start ..` of each, 64 at a
    /// time, so that compilers make whole vectors of the loop that computes them.
    #[inline(always)]
    pub(crate) fn fill<const N: usize>(
        &mut self,
        token: usize,
        scale: [f32; N],
        mut stretch: impl FnMut(usize, &mut [[i8; 64]; N]),
    ) {
        let (stride, padded) = (self.shape.stride(), self.shape.padded_cols());
        let data = self.data[token * stride..][..N * stride].as_chunks_mut::<64>().0;
        let sums = self.sums.get_mut(token * stride / SUM..).unwrap_or_default().as_chunks_mut::<4>().0;
        let mut values = [[0; 64]; N];
        let mut totals = [0; N];
        for line in 0..padded / 64 {
            stretch(64 * line, &mut values);
            for n in 0..N {
                data[n * stride / 64 + line] = values[n];
                totals[n] += if let Some(sums) = sums.get_mut(n * stride / 64 + line) {
                    *sums = sums_of_16(&values[n]);
                    sums.iter().map(|&sum| i32::from(sum)).sum::<i32>()
                } else {
                    values[n].iter().map(|&value| i32::from(value)).sum()
                };
            }
        }
        self.totals[token..][..N].copy_from_slice(&totals);
        self.scale[token..][..N].copy_from_slice(&scale);
    }

    /// The row of `token`, to be written as it is.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, token: usize) -> RowMut<'_> {
        let (stride, lines) = (self.shape.stride() / 64, self.shape.padded_cols() / 64);
        RowMut {
            data: &mut self.data.as_chunks_mut().0[token * stride..][..lines],
            sums: self.sums.as_chunks_mut().0.get_mut(token * stride..).unwrap_or_default(),
            total: &mut self.totals[token],
            scale: &mut self.scale[token],
        }
    }

    /// The rows of `token` and the one after, to be written as they are.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[inline(always)]
    pub(crate) fn pair_mut(&mut self, token: usize) -> [RowMut<'_>; 2] {
        let (stride, lines) = (self.shape.stride() / 64, self.shape.padded_cols() / 64);
        let data = &mut self.data.as_chunks_mut().0[token * stride..][..stride + lines];
        let (first, second) = data.split_at_mut(stride);
        let sums = self.sums.as_chunks_mut().0.get_mut(token * stride..).unwrap_or_default();
        let (first_sums, second_sums) = sums.split_at_mut(stride.min(sums.len()));
        let totals = self.totals[token..].first_chunk_mut().expect("the caller's tokens are there");
        let scales = self.scale[token..].first_chunk_mut().expect("the caller's tokens are there");
        let ([first_total, second_total], [first_scale, second_scale]) = (totals, scales);
        [
            RowMut { data: &mut first[..lines], sums: first_sums, total: first_total, scale: first_scale },
            RowMut { data: second, sums: second_sums, total: second_total, scale: second_scale },
        ]
    }

    /// The filled vectors, for reading from now on.
    pub(crate) fn into_activations(self) -> Activations<'a> {
        let Self { shape, data, sums, totals, scale } = self;
        Activations { shape, data, sums, totals, scale }
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

/// The sums of each 16 of `values`.
#[inline(always)]
pub(crate) fn sums_of_16(values: &[i8; 64]) -> [i16; 4] {
    let mut sums = [0; 4];
    for (sum, values) in sums.iter_mut().zip(values.as_chunks::<16>().0) {
        *sum = values.iter().map(|&value| i16::from(value)).sum();
    }
    sums
}
