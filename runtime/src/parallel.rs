//! Splitting one job over several workers without changing a bit: who computes which rows is fixed before
//! the job starts, and every output element is computed whole by one worker.
//!
//! The runtime itself starts no threads; `threads` (feature `std`) provides some, a host may bring its own.
#![allow(unsafe_code, reason = "disjoint parts of one buffer are handed to several workers")]

use crate::tensor::LANES;
use core::marker::PhantomData;
use core::ops::Range;

/// Something that runs a job on a fixed number of workers.
///
/// # Safety
/// A worker's number says which parts of a buffer are its own, so [`Workers::run`]
/// - never has two calls with the same number under way at once;
/// - returns, or unwinds, only when no call is under way any more.
pub unsafe trait Workers: Sync + core::fmt::Debug {
    /// Number of workers, at least 1, always the same.
    fn count(&self) -> usize;

    /// Calls `job(0)`, …, `job(count - 1)`, each once, and returns when all have returned.
    fn run(&self, job: &(dyn Fn(usize) + Sync));
}

/// The one worker that is always there: the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

// SAFETY: one call, on the caller's thread.
unsafe impl Workers for Inline {
    fn count(&self) -> usize {
        1
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        job(0);
    }
}

/// The part of `0..units` that belongs to worker `worker` of `count`: contiguous, in order, sizes differing by
/// at most one.
pub fn share(units: usize, worker: usize, count: usize) -> Range<usize> {
    let (base, extra) = (units / count, units % count);
    let start = worker * base + worker.min(extra);
    start..start + base + usize::from(worker < extra)
}

/// A `[tokens][stride]` f32 buffer of which this value may write only some columns of every token.
#[derive(Debug)]
pub struct Columns<'a> {
    data: *mut f32,
    tokens: usize,
    stride: usize,
    columns: Range<usize>,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `Columns` is an exclusive borrow of its columns (see `part`), so it may move to another thread as
// `&mut [f32]` may.
unsafe impl Send for Columns<'_> {}
// SAFETY: nothing can be read or written through a shared `Columns` except by the unsafe `part`.
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    /// All columns of a `[tokens][stride]` buffer.
    ///
    /// # Panics
    /// If `buffer` is shorter than `tokens × stride`.
    pub fn new(buffer: &'a mut [f32], tokens: usize, stride: usize) -> Self {
        assert!(
            tokens.checked_mul(stride).is_some_and(|len| len <= buffer.len()),
            "the buffer holds all tokens"
        );
        Self { data: buffer.as_mut_ptr(), tokens, stride, columns: 0..stride, buffer: PhantomData }
    }

    /// Tokens in the buffer.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The columns that this value may write.
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// The columns `columns` (clipped to this value's own) as a value that another worker can own.
    ///
    /// # Safety
    /// - While the part lives, nobody else (this value included) touches those columns.
    pub unsafe fn part(&self, columns: Range<usize>) -> Columns<'_> {
        let start = columns.start.clamp(self.columns.start, self.columns.end);
        let end = columns.end.clamp(start, self.columns.end);
        Columns { columns: start..end, ..*self }
    }

    /// The tokens `tokens` as a value that another worker can own; its first token is the first of them.
    ///
    /// # Panics
    /// If there are not that many tokens.
    ///
    /// # Safety
    /// - While they live, nobody else (this value included) touches this value's columns of those tokens.
    pub unsafe fn tokens_part(&self, tokens: Range<usize>) -> Columns<'_> {
        assert!(tokens.start <= tokens.end && tokens.end <= self.tokens);
        // SAFETY: that token, or the end of the last, is inside the buffer (`new`) or one past its end.
        let data = unsafe { self.data.add(tokens.start * self.stride) };
        Columns { data, tokens: tokens.len(), columns: self.columns.clone(), ..*self }
    }

    /// Columns `columns` of `token`.
    ///
    /// # Panics
    /// If they are not all this value's own.
    #[inline(always)]
    pub fn token(&mut self, token: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(
            token < self.tokens
                && columns.start >= self.columns.start
                && columns.end <= self.columns.end
                && columns.start <= columns.end
        );
        // SAFETY: the range lies in the buffer (`new`) and in this value's own columns (just checked), which
        // nobody else touches (`part`).
        unsafe {
            core::slice::from_raw_parts_mut(self.data.add(token * self.stride + columns.start), columns.len())
        }
    }

    /// Rows `16 · block ..` of the result for `token`.
    ///
    /// # Panics
    /// If they are not all this value's own.
    #[inline(always)]
    pub fn block(&mut self, token: usize, block: usize) -> &mut [f32; LANES] {
        self.token(token, block * LANES..(block + 1) * LANES).try_into().expect("LANES columns")
    }
}

/// Runs `job(worker, count)` on `count` workers, `most` of them at most.
pub fn split(workers: &dyn Workers, most: usize, job: impl Fn(usize, usize) + Sync) {
    let count = workers.count().min(most).max(1);
    if count == 1 {
        return job(0, 1);
    }
    workers.run(&|worker| {
        if worker < count {
            job(worker, count);
        }
    });
}

/// Runs `job(part of out, blocks)` on every worker, the row blocks `0..blocks` shared out among them.
pub fn over_blocks(
    workers: &dyn Workers,
    blocks: usize,
    out: &mut Columns<'_>,
    job: impl Fn(&mut Columns<'_>, Range<usize>) + Sync,
) {
    let out = &*out;
    split(workers, blocks, |worker, count| {
        let own = share(blocks, worker, count);
        let columns = own.start.saturating_mul(LANES)..own.end.saturating_mul(LANES);
        // SAFETY: the shares of two workers do not overlap, nor do their columns, because they saturate; `out` is
        // not used until all have returned.
        let mut part = unsafe { out.part(columns) };
        job(&mut part, own);
    });
}

/// A slice of which several workers may each take a part.
#[derive(Debug)]
pub struct Shared<'a, T> {
    data: *mut T,
    len: usize,
    buffer: PhantomData<&'a mut [T]>,
}

// SAFETY: elements are reached only through the unsafe `part`, whose caller keeps parts disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// The whole of `slice`.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { data: slice.as_mut_ptr(), len: slice.len(), buffer: PhantomData }
    }

    /// The elements of `range`.
    ///
    /// # Panics
    /// If the range is not inside the slice.
    ///
    /// # Safety
    /// - While the part lives, nobody else takes a part that overlaps it.
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's promise")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range is inside the slice; exclusivity is this function's contract.
        unsafe { core::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn shares_cover_everything_once_in_order() {
        for units in 0..40 {
            for count in 1..9 {
                let mut next = 0;
                for worker in 0..count {
                    let own = share(units, worker, count);
                    assert_eq!(own.start, next);
                    assert!(own.len().abs_diff(units / count) <= 1);
                    next = own.end;
                }
                assert_eq!(next, units);
            }
        }
    }

    #[test]
    fn columns_of_two_workers_never_overlap_however_many_blocks_are_asked_for() {
        /// Four calls, one after the other.
        #[derive(Debug)]
        struct Four;
        // SAFETY: no two calls are ever under way at once.
        unsafe impl Workers for Four {
            fn count(&self) -> usize {
                4
            }
            fn run(&self, job: &(dyn Fn(usize) + Sync)) {
                (0..4).for_each(job);
            }
        }
        let mut buffer = [0.0; 32];
        let mut out = Columns::new(&mut buffer, 1, 32);
        let covered = AtomicUsize::new(0);
        // A share of these blocks starts at a column beyond `usize`, which must not come round to the first ones.
        over_blocks(&Four, usize::MAX / 8 + 5, &mut out, |part, _| {
            covered.fetch_add(part.columns().len(), Ordering::Relaxed);
        });
        assert_eq!(covered.into_inner(), 32);
    }

    #[test]
    #[should_panic]
    fn a_part_cannot_reach_other_columns() {
        let mut buffer = [0.0; 64];
        let all = Columns::new(&mut buffer, 2, 32);
        // SAFETY: the only part.
        let mut part = unsafe { all.part(0..16) };
        part.block(0, 1);
    }
}
