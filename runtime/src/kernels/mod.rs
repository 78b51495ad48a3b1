//! The operations that every backend performs with the same bits, and the choice of a backend.
//!
//! A backend is one file and one token type whose value proves that the CPU has the features. It brings the two
//! integer matrix products and `enter`, which compiles a closure for its instruction set; the f32 operations are
//! those of [`lanes`], inlined through `enter`, unless it has its own with the same bits. [`scalar`] is the definition.

/// Functions that are to be compiled for CPU features, where those are looked for at run time: inlined wherever they are used.
/// Elsewhere there is one of each: copies were a tenth of a small program's code.
macro_rules! inlined_for_features {
    ($($function:item)+) => { $(
        #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), inline(always))]
        #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), inline(never))]
        $function
    )+ };
}

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod backend;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod blocked;
pub mod cells;
#[cfg(any(feature = "conformance", test))]
pub mod conformance;
#[cfg(target_arch = "aarch64")]
pub mod dotprod;
#[cfg(whit_dsp)]
pub mod dsp;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod features;
pub mod head;
#[cfg(target_arch = "aarch64")]
pub mod i8mm;
pub mod lanes;
#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(whit_neon32)]
pub mod neon32;
#[cfg(any(whit_packed, test))]
pub mod packed;
#[cfg(any(feature = "peak", test))]
pub mod peak;
#[cfg(target_arch = "aarch64")]
mod quarters;
pub mod scalar;
#[cfg(target_feature = "simd128")]
pub mod simd128;
pub mod softmax;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod sources;

pub use crate::architecture::{Activation, Pairing};
use crate::parallel::Columns;
use crate::tensor::{Activations, ActivationsMut, LANES, MatrixF16, MatrixF32, MatrixI4, MatrixI8};
#[cfg(target_arch = "x86_64")]
pub use amx::Amx;
#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use backend::{Backend, WithKernels};
use core::ops::Range;
#[cfg(target_arch = "aarch64")]
pub use dotprod::DotProd;
#[cfg(whit_dsp)]
pub use dsp::Dsp;
pub use head::HeadSpan;
#[cfg(target_arch = "aarch64")]
pub use i8mm::I8mm;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(whit_neon32)]
pub use neon32::Neon32;
#[cfg(whit_packed)]
pub use packed::Packed;
pub use scalar::Scalar;
#[cfg(target_feature = "simd128")]
pub use simd128::Simd128;
use softmax::{FixedSoftmax, Running, Softmax};

/// What a core must be able to do. All methods compute the same bits on every backend.
///
/// Matrix products write `out[token][row]` for the rows of the given row blocks (16 rows each), padding rows
/// included.
pub trait Kernels: Copy + Send + Sync {
    /// Name of the backend, as `WHIT_BACKEND` takes it.
    const NAME: &'static str;

    /// Whether sessions feed single tokens with it, and do not leave them to another backend.
    const TAKES_ONE: bool = true;

    /// Runs `f` compiled for this backend's instruction set; `f` must be `#[inline(always)]`.
    fn enter<R>(self, f: impl FnOnce() -> R) -> R;

    /// `(f32)(Σ w · x) · (scale[row] · x.scale[token])` for int8 weights.
    fn matmul_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    );

    /// `(f32)(Σ_g s[row, g] · Σ_{k in g} q · x) · (S[row] · x.scale[token])` for int4 weights.
    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    );

    /// f32 weights × vectors `x`, `[tokens][stride]`.
    fn matmul_f32(
        self,
        matrix: &MatrixF32<'_>,
        x: &[f32],
        stride: usize,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        self.enter(
            #[inline(always)]
            || lanes::matmul_f32(matrix, x, stride, blocks, out),
        );
    }

    /// f16 weights, widened exactly, × vectors `x`, `[tokens][stride]`.
    fn matmul_f16(
        self,
        matrix: &MatrixF16<'_>,
        x: &[f32],
        stride: usize,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        self.enter(
            #[inline(always)]
            || lanes::matmul_f16(matrix, x, stride, blocks, out),
        );
    }

    /// See [`lanes::quantize`].
    fn quantize(self, x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
        self.enter(
            #[inline(always)]
            || lanes::quantize(x, token, out),
        );
    }

    /// See [`lanes::quantize_wide`].
    fn quantize_wide(self, x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
        self.enter(
            #[inline(always)]
            || lanes::quantize_wide(x, vector, out),
        );
    }

    /// See [`lanes::quantize_each`]; `put` should be `#[inline(always)]`.
    fn quantize_each(self, x: &[f32], put: impl FnMut(usize, [i8; LANES])) -> f32 {
        self.enter(
            #[inline(always)]
            || lanes::quantize_each(x, put),
        )
    }

    /// See [`lanes::rms_norm`].
    fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::rms_norm(x, weight, epsilon, out),
        );
    }

    /// See [`lanes::layer_norm`].
    fn layer_norm(self, x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::layer_norm(x, weight, bias, epsilon, out),
        );
    }

    /// See [`lanes::add`].
    fn add(self, x: &mut [f32], y: &[f32]) {
        self.enter(
            #[inline(always)]
            || lanes::add(x, y),
        );
    }

    /// See [`lanes::scale`].
    fn scale(self, x: &mut [f32], factor: f32) {
        self.enter(
            #[inline(always)]
            || lanes::scale(x, factor),
        );
    }

    /// See [`lanes::activate`].
    fn activate(self, activation: Activation, x: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::activate(activation, x),
        );
    }

    /// See [`lanes::activate_gated`]: not that, which would have every activation twice in a program.
    fn activate_gated(self, activation: Activation, gate: &mut [f32], up: &[f32]) {
        self.activate(activation, gate);
        self.enter(
            #[inline(always)]
            || lanes::multiply(gate, up),
        );
    }

    /// See [`lanes::rotate`].
    fn rotate(self, heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
        self.enter(
            #[inline(always)]
            || lanes::rotate(heads, width, cos, sin, pairing),
        );
    }

    /// See [`lanes::scores_f32`].
    fn scores_f32(self, query: &[f32], keys: &[f32], out: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::scores_f32(query, keys, out),
        );
    }

    /// See [`lanes::attend_f32`].
    fn attend_f32(self, scores: &mut [f32], values: &[f32], softmax: &mut Softmax, out: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::attend_f32(scores, values, softmax, out),
        );
    }

    /// See [`softmax::weights_i8`].
    fn weights_i8(
        self,
        scores: &mut [f32],
        value_logs: &[i32],
        softmax: &mut FixedSoftmax,
        skip: usize,
        query: usize,
        out: &mut ActivationsMut<'_>,
    ) {
        self.enter(
            #[inline(always)]
            || softmax::weights_i8(scores, value_logs, softmax, skip, query, out),
        );
    }

    /// Whether there is a [`Kernels::attend_head`].
    fn attends_heads(self) -> bool {
        false
    }

    /// All of attention's work on one token's queries of one head and span, `out` `[queries][width]`: what
    /// [`Kernels::quantize`], the product with the keys, [`Kernels::weights_i8`], the product with the values and
    /// [`Kernels::add_values`] compute one after the other. `false`, and nothing is done, where this backend has no such
    /// piece or it would not be faster.
    fn attend_head(self, _span: &HeadSpan<'_>, _softmax: &mut [FixedSoftmax], _out: &mut [f32]) -> bool {
        false
    }

    /// See [`lanes::add_values`].
    fn add_values(self, sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::add_values(sums, softmax, out),
        );
    }

    /// See [`lanes::normalize`].
    fn normalize<M>(self, softmax: &[Running<M>], out: &mut [f32]) {
        self.enter(
            #[inline(always)]
            || lanes::normalize(softmax, out),
        );
    }
}
