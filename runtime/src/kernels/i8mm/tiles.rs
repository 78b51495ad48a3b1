//! Tiles of `smmla`: 8 rows × 8 tokens of weights without group scales, and 8 × 4 of those with them, at a time. Both fill
//! the registers: 16 sums, 4 pairs of rows and 4 pairs of tokens; or 8 sums of a group and 8 of all, and 4 + 2 pairs.

use super::I8mm;
use crate::kernels::blocked::{Quads, STRETCH, Step, Sums, Tile, Weights};
use crate::kernels::quarters::sixteen;
use crate::tensor::LANES;
use core::arch::aarch64::*;
use core::mem::{MaybeUninit, transmute};

/// 16 columns of `P` pairs of tokens: eight columns of both, and the next eight.
type Pairs<const P: usize> = [[int8x16_t; P]; 2];

/// The pairs of a stretch.
type Stretch<const P: usize> = [MaybeUninit<Pairs<P>>; STRETCH / 16];

/// Sums of 4 pairs of rows × `P` pairs of tokens, each `[2 tokens][2 rows]`.
type Products<const P: usize> = [[int32x4_t; P]; 4];

/// A tile without group scales; `P` pairs are its tokens, or its one token.
#[inline(always)]
pub(super) fn plain<W: Weights<R>, const R: usize, const T: usize, const P: usize>(
    token: I8mm,
    weights: W,
    tile: &mut Tile<'_, '_, '_, R, T>,
) {
    let fours = weights.steps() / 4;
    let mut stretch: Stretch<P> = [const { MaybeUninit::uninit() }; STRETCH / 16];
    let x = pairs(token, &tile.quads(4 * fours), fours, &mut stretch);
    let mut sums = tile.start();
    for r in 0..R {
        let weights = (0..fours).map(
            #[inline(always)]
            |four| weights.four(four, r),
        );
        half_plain::<_, 0, R, T, P>(token, weights.clone(), x, &mut sums, r);
        half_plain::<_, 1, R, T, P>(token, weights, x, &mut sums, r);
    }
    tile.end(&sums);
}

/// Adds the products of half `HALF` of row block `r`.
#[inline(always)]
fn half_plain<
    'w,
    I: Iterator<Item = [&'w Step; 4]>,
    const HALF: usize,
    const R: usize,
    const T: usize,
    const P: usize,
>(
    token: I8mm,
    weights: I,
    x: &[Pairs<P>],
    sums: &mut Sums<R, T>,
    r: usize,
) {
    let mut products = zeros(token);
    for (weights, x) in weights.zip(x) {
        multiply::<HALF, P>(token, &mut products, weights, x);
    }
    add::<HALF, R, T, P>(token, sums, r, &products);
}

/// A tile with group scales. `scales` has the scale of each group less that of the next: the sum of those, each times the
/// products of its group and of all before it, is the same modulo 2³², and no group must start from zeros, which were 8 of
/// 70 instructions.
#[inline(always)]
pub(super) fn grouped<const R: usize, const T: usize, const Q: usize, const P: usize>(
    token: I8mm,
    weights: &[[[Step; R]; Q]],
    scales: &[[[i32; LANES]; R]],
    tile: &mut Tile<'_, '_, '_, R, T>,
) {
    let mut stretch: Stretch<P> = [const { MaybeUninit::uninit() }; STRETCH / 16];
    let fours = weights.len() * Q / 4;
    let x = pairs(token, &tile.quads(4 * fours), fours, &mut stretch);
    let mut sums = tile.start();
    for r in 0..R {
        half_grouped::<0, R, T, Q, P>(token, weights, scales, x, &mut sums, r);
        half_grouped::<1, R, T, Q, P>(token, weights, scales, x, &mut sums, r);
    }
    tile.end(&sums);
}

/// Adds the products of half `HALF` of row block `r`.
#[inline(always)]
fn half_grouped<const HALF: usize, const R: usize, const T: usize, const Q: usize, const P: usize>(
    token: I8mm,
    weights: &[[[Step; R]; Q]],
    scales: &[[[i32; LANES]; R]],
    x: &[Pairs<P>],
    sums: &mut Sums<R, T>,
    r: usize,
) {
    let (mut products, mut scaled) = (zeros::<P>(token), zeros::<P>(token));
    for ((weights, scales), x) in weights.iter().zip(scales).zip(x.chunks_exact(Q / 4)) {
        for (weights, x) in weights.as_chunks().0.iter().zip(x) {
            let [a, b, c, d]: &[[Step; R]; 4] = weights;
            multiply::<HALF, P>(token, &mut products, [&a[r], &b[r], &c[r], &d[r]], x);
        }
        add_scaled::<HALF, P>(token, &mut scaled, &products, &scales[r]);
    }
    add::<HALF, R, T, P>(token, sums, r, &scaled);
}

#[inline(always)]
fn zeros<const P: usize>(_: I8mm) -> Products<P> {
    // SAFETY: the token proves NEON; no memory is touched.
    unsafe { [[vdupq_n_s32(0); P]; 4] }
}

/// The first `sixteens` times 16 columns of pairs of tokens, or of one token twice.
#[inline(always)]
fn pairs<'p, const T: usize, const P: usize>(
    _: I8mm,
    x: &[Quads<'_>; T],
    sixteens: usize,
    stretch: &'p mut Stretch<P>,
) -> &'p [Pairs<P>] {
    let stretch = &mut stretch[..sixteens];
    let x = x.map(
        #[inline(always)]
        |x| &x.as_chunks::<4>().0[..sixteens],
    );
    for i in 0..sixteens {
        let mut pairs = [[sixteen(&[[0; 4]; 4]); P]; 2];
        for p in 0..P {
            let [a, b] = [2 * p, (2 * p + 1).min(T - 1)].map(
                #[inline(always)]
                |t| sixteen(&x[t][i]),
            );
            // SAFETY: the token proves NEON; no memory is touched.
            unsafe {
                let (a, b) = (vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b));
                pairs[0][p] = vreinterpretq_s8_s64(vzip1q_s64(a, b));
                pairs[1][p] = vreinterpretq_s8_s64(vzip2q_s64(a, b));
            }
        }
        stretch[i].write(pairs);
    }
    // SAFETY: each was just written.
    unsafe { stretch.assume_init_ref() }
}

/// Adds the products of 16 columns of half a row block.
#[inline(always)]
fn multiply<const HALF: usize, const P: usize>(
    token: I8mm,
    products: &mut Products<P>,
    weights: [&Step; 4],
    x: &Pairs<P>,
) {
    for eight in 0..2 {
        // SAFETY: as many bytes, plain numbers both.
        let rows: [int8x16_t; 4] = unsafe { transmute(*weights[2 * eight + HALF]) };
        for i in 0..4 {
            for p in 0..P {
                products[i][p] = token.multiply(products[i][p], x[eight][p], rows[i]);
            }
        }
    }
}

/// Adds the products of half a row block, each times the scale of its row.
#[inline(always)]
fn add_scaled<const HALF: usize, const P: usize>(
    _: I8mm,
    scaled: &mut Products<P>,
    products: &Products<P>,
    scales: &[i32; LANES],
) {
    for two in 0..2 {
        // SAFETY: the token proves NEON; as many bytes, plain numbers both, inside of the array.
        unsafe {
            let four: [i32; 4] = *scales[8 * HALF + 4 * two..].first_chunk().expect("LANES scales");
            let four: int64x2_t = transmute(four);
            for (i, scale) in [vzip1q_s64(four, four), vzip2q_s64(four, four)].into_iter().enumerate() {
                for p in 0..P {
                    let (sum, i) = (&mut scaled[2 * two + i][p], 2 * two + i);
                    *sum = vmlaq_s32(*sum, products[i][p], vreinterpretq_s32_s64(scale));
                }
            }
        }
    }
}

/// Adds the products of half of row block `r`.
#[inline(always)]
fn add<const HALF: usize, const R: usize, const T: usize, const P: usize>(
    _: I8mm,
    sums: &mut Sums<R, T>,
    r: usize,
    products: &Products<P>,
) {
    for t in 0..T {
        for two in 0..2 {
            let sums = sums[r][t][8 * HALF + 4 * two..].first_chunk_mut::<4>().expect("LANES sums");
            // SAFETY: the token proves NEON; as many bytes, plain numbers both.
            unsafe {
                let [a, b] = [2 * two, 2 * two + 1].map(
                    #[inline(always)]
                    |i| vreinterpretq_s64_s32(products[i][t / 2]),
                );
                let four = if t % 2 == 0 { vzip1q_s64(a, b) } else { vzip2q_s64(a, b) };
                let before: int32x4_t = transmute(*sums);
                let after = vaddq_s32(before, vreinterpretq_s32_s64(four));
                *sums = transmute::<int32x4_t, [i32; 4]>(after);
            }
        }
    }
}
