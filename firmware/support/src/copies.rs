//! Whether memory is copied and cleared here as loops over bytes do it: by the compiler's functions, or those in their place.

use crate::Board;
use core::hint::black_box;

/// Room for every length up to a few of the longest steps, at every alignment, and what must be left alone on both sides.
const ROOM: usize = 96;

/// More than two steps of 16 bytes, and what is left of a step.
const LONGEST: usize = 41;

/// Copies and clears every length from every alignment to every other, overlapping or not; says what it found.
pub fn copies<B: Board>(board: &mut B) -> bool {
    let wrong = (0..=LONGEST).find(|&len| !holds(len));
    let _ = match wrong {
        None => writeln!(board, "ok      memory is copied and cleared byte for byte"),
        Some(len) => writeln!(board, "FAILED  memory: copying or clearing {len} bytes"),
    };
    wrong.is_none()
}

/// Whether that is so for `len` bytes.
fn holds(len: usize) -> bool {
    let starts = || [0, 1, 2, 3, 4, 7, 17, 20, 48, 51];
    starts().into_iter().all(|from| {
        is_filled(len, from, 0)
            && is_filled(len, from, 0xa5)
            && starts().into_iter().all(|to| is_moved(len, from, to))
    })
}

fn numbered() -> [u8; ROOM] {
    core::array::from_fn(|i| i as u8 + 1)
}

/// What a loop of bytes puts at `place` is there, and nothing else was touched.
fn is_right(bytes: &[u8; ROOM], start: usize, len: usize, put: impl Fn(usize) -> u8) -> bool {
    let expected = |i: usize| if (start..start + len).contains(&i) { put(i - start) } else { i as u8 + 1 };
    bytes.iter().enumerate().all(|(i, &byte)| byte == expected(i))
}

fn is_filled(len: usize, start: usize, byte: u8) -> bool {
    let mut bytes = numbered();
    black_box(&mut bytes)[start..][..black_box(len)].fill(black_box(byte));
    is_right(&bytes, start, len, |_| byte)
}

/// Within one buffer, where the two may overlap, and between two.
fn is_moved(len: usize, from: usize, to: usize) -> bool {
    let (source, mut moved, mut copied) = (numbered(), numbered(), numbered());
    black_box(&mut moved).copy_within(from..from + black_box(len), to);
    black_box(&mut copied)[to..][..black_box(len)].copy_from_slice(&source[from..][..len]);
    let put = |i: usize| (from + i) as u8 + 1;
    is_right(&moved, to, len, put) && is_right(&copied, to, len, put)
}
