//! Splitting one job over several workers without changing a bit: every output element is computed whole by one of
//! them, and the same whichever that is, so each may take the next part when it is done with one.
//!
//! The runtime itself starts no threads; `threads` (feature `std`) provides some, a host may bring its own.
#![allow(unsafe_code, reason = "disjoint parts of one buffer are handed to several workers")]

use crate::parts::PARALLEL;
use crate::tensor::LANES;
use core::marker::PhantomData;
use core::ops::Range;

/// Something that runs a job on a fixed number of workers.
///
/// # Safety
/// A worker's number says which parts of a buffer are its own, so [`Workers::run`]
/// - gives numbers below [`Workers::count`] alone, and never has two calls with the same one under way at once;
/// - returns, or unwinds, only when no call is under way any more.
///
/// And if there is a [`Workers::barrier`], it is that of this value's own jobs, for as many workers as it has.
pub unsafe trait Workers: Sync + core::fmt::Debug {
    /// Number of workers, at least 1, always the same.
    fn count(&self) -> usize;

    /// Calls `job(0)`, …, `job(count - 1)`, each once, and returns when all have returned.
    fn run(&self, job: &(dyn Fn(usize) + Sync));

    /// Calls `job(worker, unit)` for each of `0..units`, each once, on the first `count` workers, and returns when all
    /// have returned; `count` is at most [`Workers::count`].
    ///
    /// Here units go round. A pool that lets whoever is free take the next one loses less where cores differ in speed,
    /// or share themselves with other programs.
    fn each(&self, count: usize, units: usize, job: &(dyn Fn(usize, usize) + Sync)) {
        self.run(&|worker| {
            if worker < count {
                (worker..units).step_by(count).for_each(|unit| job(worker, unit));
            }
        });
    }

    /// Where the workers of a job wait for each other, or `None` where they can do so only by ending it. With one, all calls
    /// of a job are under way at once.
    fn barrier(&self) -> Option<&dyn Barrier> {
        None
    }

    /// Least work for each worker, in multiplications of int8, for which [`Workers::run`] is worth its own time.
    fn least_share(&self) -> usize {
        0
    }
}

/// Where all workers of a job of [`Workers::run`] wait for each other.
///
/// # Safety
/// What a worker wrote before it came, those who have left see; so [`Barrier::wait`] returns only when all workers have called it
/// as often in this job. If another's part of the job has unwound, it may unwind instead.
pub unsafe trait Barrier: Sync {
    /// Waits until all others have come, too.
    ///
    /// # Safety
    /// - The caller is worker `worker` of a job under way, of the workers whose barrier this is.
    unsafe fn wait(&self, worker: usize);
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
// SAFETY: nothing can be read or written through a shared `Columns` except by what is unsafe.
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
        self.token(token, block * LANES..(block + 1) * LANES).first_chunk_mut().expect("LANES columns")
    }

    /// As [`Columns::block`], for `N` row blocks from `block` on.
    ///
    /// # Panics
    /// If they are not all this value's own.
    #[inline(always)]
    pub fn neighbours<const N: usize>(&mut self, token: usize, block: usize) -> &mut [[f32; LANES]; N] {
        let columns = self.token(token, block * LANES..(block + N) * LANES);
        columns.as_chunks_mut().0.first_chunk_mut().expect("N blocks")
    }

    /// As [`Columns::neighbours`], for `T` tokens from `token` on.
    ///
    /// # Panics
    /// If they are not all this value's own.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn tile<const N: usize, const T: usize>(
        &mut self,
        token: usize,
        block: usize,
    ) -> [&mut [[f32; LANES]; N]; T] {
        assert!(
            token + T <= self.tokens
                && block * LANES >= self.columns.start
                && (block + N) * LANES <= self.columns.end
        );
        let (data, stride) = (self.data, self.stride);
        // SAFETY: each token's part lies in the buffer and in this value's own columns (just asserted), and is handed
        // out once.
        core::array::from_fn(
            #[inline(always)]
            |t| unsafe { &mut *data.add((token + t) * stride + block * LANES).cast() },
        )
    }

    /// All columns of the first token.
    ///
    /// # Safety
    /// - While they are borrowed, nobody writes any of them.
    pub(crate) unsafe fn read(&self) -> &[f32] {
        // SAFETY: the row lies in the buffer (`new`), and nobody writes it.
        unsafe { core::slice::from_raw_parts(self.data, self.stride * self.tokens.min(1)) }
    }

    /// All of this value's own columns of `token`.
    ///
    /// # Panics
    /// If there is no such token.
    #[inline(always)]
    pub(crate) fn own(&mut self, token: usize) -> &mut [f32] {
        self.token(token, self.columns())
    }

    /// As [`Columns::block`], for each of `tokens`.
    ///
    /// # Panics
    /// If they are not all this value's own.
    #[inline(always)]
    pub fn blocks(&mut self, tokens: Range<usize>, block: usize) -> impl Iterator<Item = &mut [f32; LANES]> {
        assert!(
            tokens.end <= self.tokens
                && block * LANES >= self.columns.start
                && (block + 1) * LANES <= self.columns.end
        );
        let (data, stride) = (self.data, self.stride);
        // SAFETY: each token's part lies in the buffer and in this value's own columns (just asserted), and is handed
        // out once.
        tokens.map(move |token| unsafe { &mut *data.add(token * stride + block * LANES).cast() })
    }
}

/// How many workers there are. Where the compiler knows that it is one, it leaves out everything for more.
#[inline(always)]
pub(crate) fn count(workers: &dyn Workers) -> usize {
    if PARALLEL.is_there { workers.count() } else { 1 }
}

/// How many workers `work` is worth, in multiplications of int8.
#[inline]
pub fn worth(workers: &dyn Workers, work: usize) -> usize {
    // One does not divide: a token of a small model asks a hundred times.
    if count(workers) == 1 { 1 } else { work / workers.least_share().max(1) }
}

/// Runs `job(worker, unit)` for each of `0..units` on at most `most` workers.
pub fn over_units(workers: &dyn Workers, most: usize, units: usize, job: &(dyn Fn(usize, usize) + Sync)) {
    match count(workers).min(most).min(units) {
        0 | 1 => (0..units).for_each(|unit| job(0, unit)),
        count => workers.each(count, units, job),
    }
}

/// Units for each worker, where there is enough to do: what the last one done waits for is a fraction of that.
const UNITS: usize = 8;

/// In how many units `count` workers share out what `most` would be worth: as many for each, since of three units one of two
/// workers does two.
pub(crate) fn units_of(most: usize, count: usize) -> usize {
    // Four times what a worker is woken for: a unit is asked for by everybody who is done, and so takes a line along.
    count * (most / (4 * count)).clamp(1, UNITS)
}

/// Row blocks are shared out in multiples of this: what the kernels take together.
const BLOCKS: usize = 2;

/// Runs `job(part of out, blocks)` on at most `most` workers, the row blocks `0..blocks` shared out among them.
pub fn over_blocks(
    workers: &dyn Workers,
    most: usize,
    blocks: usize,
    out: &mut Columns<'_>,
    job: impl Fn(&mut Columns<'_>, Range<usize>) + Sync,
) {
    if !PARALLEL.is_there || most <= 1 {
        return job(out, 0..blocks);
    }
    let out = &*out;
    let grains = blocks.div_ceil(BLOCKS);
    let count = count(workers).min(most).min(grains).max(1);
    let units = if count == 1 { 1 } else { units_of(most, count).min(grains) };
    over_units(workers, count, units, &|_, unit| {
        let own = share(grains, unit, units);
        let own = own.start.saturating_mul(BLOCKS)..own.end.saturating_mul(BLOCKS).min(blocks);
        let columns = own.start.saturating_mul(LANES)..own.end.saturating_mul(LANES);
        // SAFETY: no two units overlap, nor do their columns, because they saturate; `out` is not used until all have
        // returned.
        let mut part = unsafe { out.part(columns) };
        job(&mut part, own);
    });
}

/// Tokens are shared out in multiples of this: whole cache lines of what there is one of for each token, and whole blocks
/// of keys.
const TOKENS: usize = 16;
const _: () = assert!(TOKENS.is_multiple_of(LANES));

/// Runs `job(its tokens)` on at most `most` workers, the tokens `0..tokens` shared out evenly; of the tokens at positions
/// `first ..`, none has some of the 16 that begin at a multiple of 16, and another the rest.
pub fn over_shares(
    workers: &dyn Workers,
    most: usize,
    first: usize,
    tokens: usize,
    job: impl Fn(Range<usize>) + Sync,
) {
    let before = first % TOKENS;
    let units = (before + tokens).div_ceil(TOKENS);
    let count = count(workers).min(most).min(units).max(1);
    let token = |unit: usize| (unit * TOKENS).saturating_sub(before).min(tokens);
    over_units(workers, count, count, &|_, unit| {
        let own = share(units, unit, count);
        job(token(own.start)..token(own.end));
    });
}

/// Runs `job(its tokens)` on at most `most` workers, the tokens `0..tokens` shared out among them.
pub fn over_tokens(workers: &dyn Workers, most: usize, tokens: usize, job: &(dyn Fn(Range<usize>) + Sync)) {
    let units = tokens.div_ceil(TOKENS);
    if !PARALLEL.is_there || most.min(units) <= 1 {
        return job(0..tokens);
    }
    over_units(workers, most, units, &|_, unit| job(unit * TOKENS..tokens.min((unit + 1) * TOKENS)));
}

/// Runs `job(token, its rows)` for the tokens `0..tokens`, shared out as by [`over_tokens`], for some buffers
/// `[tokens][stride]`, each given with its stride.
pub fn over_rows<const N: usize>(
    workers: &dyn Workers,
    most: usize,
    tokens: usize,
    buffers: [(&mut [f32], usize); N],
    job: impl Fn(usize, [&mut [f32]; N]) + Sync,
) {
    let buffers = buffers.map(|(rows, stride)| (Shared::new(rows), stride));
    over_tokens(workers, most, tokens, &|tokens| {
        for token in tokens {
            let rows = buffers.each_ref().map(|(rows, stride)| {
                // SAFETY: each token is one worker's alone, and done with before the next.
                unsafe { rows.part(token * stride..(token + 1) * stride) }
            });
            job(token, rows);
        }
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
    fn every_worker_has_as_many_units_and_one_at_least() {
        for count in 2..9 {
            for most in count..500 {
                let units = units_of(most, count);
                assert!(units.is_multiple_of(count) && (count..=UNITS * count).contains(&units));
            }
        }
    }

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

    #[test]
    fn columns_of_two_workers_never_overlap_however_many_blocks_are_asked_for() {
        let mut buffer = [0.0; 32];
        let mut out = Columns::new(&mut buffer, 1, 32);
        let covered = AtomicUsize::new(0);
        // A share of these blocks starts at a column beyond `usize`, which must not come round to the first ones.
        over_blocks(&Four, 4, usize::MAX / 8 + 5, &mut out, |part, _| {
            covered.fetch_add(part.columns().len(), Ordering::Relaxed);
        });
        assert_eq!(covered.into_inner(), 32);
    }

    #[test]
    fn every_token_s_rows_go_to_one_worker() {
        for tokens in [0, 1, 15, 16, 17, 100] {
            let (mut a, mut b) = ([0.0; 200], [0.0; 300]);
            let buffers = [(&mut a[..], 2), (&mut b[..], 3)];
            over_rows(&Four, 4, tokens, buffers, |token, [a, b]| {
                assert_eq!([a.len(), b.len()], [2, 3]);
                a.iter_mut().chain(b).for_each(|x| *x += (token + 1) as f32);
            });
            let is_row = |(i, &x): (usize, &f32), stride: usize| {
                x == if i / stride < tokens { (i / stride + 1) as f32 } else { 0.0 }
            };
            assert!(a.iter().enumerate().all(|x| is_row(x, 2)));
            assert!(b.iter().enumerate().all(|x| is_row(x, 3)));
        }
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
