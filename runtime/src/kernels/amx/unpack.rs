//! int4 weights as two digits, each a byte that the tiles multiply.
//!
//! Tiles sum over 64 columns, groups are narrower, and a tile of 32 columns takes as long as one of 64 (5.6 and 5.8
//! ns): scaling the sums of every group would take as many tiles as two digits do, and 16 stores and loads for each.
#![allow(unsafe_code, reason = "vector loads and stores, and a buffer that nobody clears")]

use super::tiles::Tile;
use crate::kernels::avx512::for_avx512;
use crate::tensor::{LANES, MatrixI4};
use core::arch::x86_64::*;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Most columns unpacked at a time, a multiple of the widest group.
pub(super) const STRETCH: usize = 1024;

/// One digit of 16 rows × 4 columns.
type Step = MaybeUninit<[i8; 64]>;

/// Products s · q of group scales and weights of a row block, |s · q| ≤ 1024, as `256 · high + low`, high within −4 … 4
/// and low within 0 … 255. What the tiles sum of each, put together the same way, is the sum over all groups.
#[repr(C, align(64))]
pub(super) struct Digits([[Step; STRETCH / 4]; 2]);

impl Digits {
    /// Room.
    pub(super) fn new() -> Self {
        Self([const { [MaybeUninit::uninit(); STRETCH / 4] }; 2])
    }

    /// The digits of `columns` of row block `block`, high and low, with zeros up to whole tiles. The columns start at
    /// a whole group and are at most [`STRETCH`].
    #[inline(always)]
    pub(super) fn unpack(
        &mut self,
        matrix: &MatrixI4<'_>,
        block: usize,
        columns: Range<usize>,
    ) -> [&[Tile]; 2] {
        let steps = columns.len().div_ceil(64) * 16;
        let [high, low] = self.0.each_mut().map(|digit| &mut digit[..steps]);
        // SAFETY: whoever multiplies tiles has AVX-512.
        unsafe { unpack(matrix, block, columns, high, low) }
        // SAFETY: `unpack` has written all of both.
        [&*high, &*low].map(|digit| unsafe { digit.assume_init_ref() }.as_flattened().as_chunks().0)
    }
}

for_avx512! {
    #[inline]
    fn unpack(
        matrix: &MatrixI4<'_>,
        block: usize,
        columns: Range<usize>,
        high: &mut [Step],
        low: &mut [Step],
    ) {
        let packed = &matrix.block(block).as_chunks::<64>().0[columns.start / 8..columns.end.div_ceil(8)];
        let scales = matrix.block_group_scale(block).as_chunks::<LANES>().0;
        let (first, group) = match matrix.group() {
            0 => (0, packed.len()),
            width => (columns.start / width, width / 8),
        };
        let used = 2 * packed.len();
        let (high, no_high) = high.split_at_mut(used);
        let (low, no_low) = low.split_at_mut(used);
        no_high.fill(MaybeUninit::new([0; 64]));
        no_low.fill(MaybeUninit::new([0; 64]));
        let steps = high.as_chunks_mut().0.chunks_mut(group).zip(low.as_chunks_mut().0.chunks_mut(group));
        for (index, (packed, (high, low))) in packed.chunks(group).zip(steps).enumerate() {
            let scale = scale_by_16(scales.get(first + index).unwrap_or(&[1; LANES]));
            for (packed, (high, low)) in packed.iter().zip(high.iter_mut().zip(low)) {
                unpack_step(packed, scale, high, low);
            }
        }
    }

    /// Each of 16 scales · 16 in the two i16 where a row's bytes are.
    #[inline]
    fn scale_by_16(scale: &[i8; LANES]) -> __m512i {
        // SAFETY: the array has 16 bytes; the load needs no alignment.
        let scale = unsafe { _mm_loadu_si128(scale.as_ptr().cast()) };
        let scale = _mm512_and_si512(_mm512_cvtepi8_epi32(scale), _mm512_set1_epi32(0xffff));
        _mm512_slli_epi16::<4>(_mm512_or_si512(scale, _mm512_slli_epi32::<16>(scale)))
    }

    /// 16 rows × 8 columns. A nibble that stands at the top of an i16 is 4096 q; the upper half of its product with 16 s is
    /// s · q.
    #[inline]
    fn unpack_step(packed: &[u8; 64], scale: __m512i, high: &mut [Step; 2], low: &mut [Step; 2]) {
        let top = _mm512_set1_epi16(0xf000u16 as i16);
        // SAFETY: the array has 64 bytes; the load needs no alignment.
        let packed = unsafe { _mm512_loadu_si512(packed.as_ptr().cast()) };
        // From q + 8 to two's complement.
        let nibbles = _mm512_xor_si512(packed, _mm512_set1_epi8(0x88u8 as i8));
        let product = |at_top| _mm512_mulhi_epi16(_mm512_and_si512(at_top, top), scale);
        let (even, odd) =
            (product(_mm512_slli_epi16::<12>(nibbles)), product(_mm512_slli_epi16::<4>(nibbles)));
        store_digits(even, odd, &mut high[0], &mut low[0]);
        let (even, odd) = (product(_mm512_slli_epi16::<8>(nibbles)), product(nibbles));
        store_digits(even, odd, &mut high[1], &mut low[1]);
    }

    /// Both digits of i16 products of even and of odd bytes.
    #[inline]
    fn store_digits(even: __m512i, odd: __m512i, high: &mut Step, low: &mut Step) {
        let swap = _mm512_broadcast_i32x4(_mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
        let odd_bytes = 0xaaaa_aaaa_aaaa_aaaa;
        let high_bytes = _mm512_mask_shuffle_epi8(odd, !odd_bytes, even, swap);
        let low_bytes = _mm512_mask_shuffle_epi8(even, odd_bytes, odd, swap);
        // SAFETY: both arrays have 64 bytes; the stores need no alignment.
        unsafe {
            _mm512_storeu_si512(high.as_mut_ptr().cast(), high_bytes);
            _mm512_storeu_si512(low.as_mut_ptr().cast(), low_bytes);
        }
    }
}
