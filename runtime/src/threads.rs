//! A thread pool for jobs that last microseconds (feature `std`): workers spin for a moment, then park.
//!
//! A job is handed over by one atomic increment and awaited by another; nothing is allocated for it. Each worker takes
//! the units of its own share of a job, then what others have left of theirs, one atomic increment each: cores of one
//! machine seldom run at one speed, be they big and little ones or shared with somebody else. Its own first, because what
//! it wrote in the job before is in its cache: units to whoever comes first cost 10 % of prefill with two threads. Within a job,
//! workers can wait for each other at a barrier: one flight of a cache line, where a job that ends and one that begins are two.
#![allow(
    unsafe_code,
    reason = "a job that borrows from its caller is handed to threads that outlive the borrow"
)]

use crate::parallel::{Barrier, Workers, share};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::string::ToString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::vec::Vec;

/// How many times a thread looks before it parks: some tens of microseconds, longer than the gaps between the jobs
/// of one token, far shorter than a time slice.
const SPINS: u32 = 1_000;

/// Least work for each worker (see [`Workers::least_share`]): what a core multiplies, or reads, in half a microsecond. A
/// job that finds its threads spinning takes about as long to begin and end.
const LEAST_SHARE: usize = 32 * 1024;

/// Threads that wait for jobs. The caller of [`Workers::run`] is one of the workers; a job must not itself call
/// `run` on the same pool.
///
/// # Example
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use whit::{parallel::Workers, threads::ThreadPool};
/// let pool = ThreadPool::for_all_cpus()?;
/// let calls = AtomicUsize::new(0);
/// pool.run(&|_worker| {
///     calls.fetch_add(1, Ordering::Relaxed);
/// });
/// assert_eq!(calls.into_inner(), pool.count());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ThreadPool {
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
    least_share: usize,
}

type Job = *const (dyn Fn(usize) + Sync);

/// What threads share. What one writes while others look for something else lies apart: a line that goes back and forth
/// takes as long as a small job.
#[derive(Debug)]
struct State {
    order: Apart<Order>,
    /// Jobs that threads have finished so far, of all rounds.
    finished: Apart<AtomicUsize>,
    /// Held while `run` is in progress; a second caller waits.
    busy: Apart<Mutex<()>>,
    /// Whether a thread's part of the current round panicked.
    panicked: AtomicBool,
    /// The latest caller that went to sleep, to be woken when the last thread finishes. Not for every round: counting
    /// references to it would send one more cache line back and forth.
    caller: Mutex<Option<Thread>>,
    /// Whether the caller sleeps.
    caller_parked: AtomicBool,
    /// For each thread: whether it sleeps.
    parked: Box<[AtomicBool]>,
    /// For each worker: how many units of its share of the round are taken.
    taken: Box<[Apart<AtomicUsize>]>,
    /// For each worker: to how many barriers it has come.
    come: Box<[Apart<AtomicUsize>]>,
}

/// What the caller tells the threads.
#[derive(Debug)]
struct Order {
    /// The job of the current round, until every thread has finished it.
    job: UnsafeCell<Option<Job>>,
    /// Rounds started so far.
    round: AtomicUsize,
    stop: AtomicBool,
}

/// Something on cache lines of its own: two, because some machines have lines of 128 bytes, and others fetch two of 64.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

// SAFETY: `job` is written only by the holder of `busy` while all threads have finished, and read by them only after they
// have seen the new `round` (release, acquire), before they count as finished.
unsafe impl Sync for State {}
// SAFETY: a `Job` is only ever called while the borrow it was made from lives (see `run`).
unsafe impl Send for State {}

impl ThreadPool {
    /// A pool of `workers` workers (at least 1): the caller and `workers − 1` threads.
    ///
    /// # Errors
    /// What the system says if it cannot start a thread.
    pub fn new(workers: usize) -> std::io::Result<Self> {
        let extra = workers.max(1) - 1;
        let state = Arc::new(State {
            order: Apart(Order {
                job: UnsafeCell::new(None),
                round: AtomicUsize::new(0),
                stop: AtomicBool::new(false),
            }),
            finished: Apart::default(),
            busy: Apart::default(),
            panicked: AtomicBool::new(false),
            caller: Mutex::new(None),
            caller_parked: AtomicBool::new(false),
            parked: (0..extra).map(|_| AtomicBool::new(false)).collect(),
            taken: (0..=extra).map(|_| Apart::default()).collect(),
            come: (0..=extra).map(|_| Apart::default()).collect(),
        });
        let mut pool = Self { state, threads: Vec::with_capacity(extra), least_share: LEAST_SHARE };
        for worker in 1..=extra {
            let state = Arc::clone(&pool.state);
            let name = ["whit-", &worker.to_string()].concat();
            pool.threads.push(thread::Builder::new().name(name).spawn(move || state.serve(worker, extra))?);
        }
        Ok(pool)
    }

    /// A pool with a worker for every CPU that the process may use.
    ///
    /// # Errors
    /// As [`ThreadPool::new`].
    pub fn for_all_cpus() -> std::io::Result<Self> {
        Self::new(thread::available_parallelism().map_or(1, usize::from))
    }

    /// The same pool, which takes its share of every job, however small: to see that threads change no bit.
    pub fn eager(mut self) -> Self {
        self.least_share = 0;
        self
    }

    fn wake(&self) {
        for (parked, thread) in self.state.parked.iter().zip(&self.threads) {
            if parked.load(Ordering::Relaxed) {
                thread.thread().unpark();
            }
        }
    }
}

// SAFETY: each thread has a number of its own and calls a round's job once; `busy` keeps rounds apart, and `run` leaves
// only when every thread has finished.
unsafe impl Workers for ThreadPool {
    fn count(&self) -> usize {
        self.threads.len() + 1
    }

    fn least_share(&self) -> usize {
        self.least_share
    }

    fn barrier(&self) -> Option<&dyn Barrier> {
        Some(&*self.state)
    }

    fn each(&self, count: usize, units: usize, job: &(dyn Fn(usize, usize) + Sync)) {
        if units <= count {
            // One each, which needs no counting: to take another's would not help, since the round waits for all.
            return self.run(&|worker| {
                if worker < units {
                    job(worker, worker);
                }
            });
        }
        self.run(&|worker| {
            if worker >= count {
                return;
            }
            for owner in (worker..count).chain(0..worker) {
                let own = share(units, owner, count);
                // Relaxed: what a unit reads was written before the round, and what it writes is read after it.
                let take = || own.clone().nth(self.state.taken[owner].0.fetch_add(1, Ordering::Relaxed));
                while let Some(unit) = take() {
                    job(worker, unit);
                }
            }
        });
    }

    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        if self.threads.is_empty() {
            return job(0);
        }
        let state = &*self.state;
        let _one_at_a_time = lock(&state.busy.0);
        // SAFETY: only the lifetime changes. The job is called only by threads that have yet to finish the round, and
        // this function returns (or unwinds) only after they all have.
        let job_static = unsafe { core::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(job) };
        let Order { job: ordered, round, .. } = &state.order.0;
        // SAFETY: `busy` is held and every thread has finished, so none reads this cell.
        unsafe { *ordered.get() = Some(job_static) };
        state.taken.iter().for_each(|taken| taken.0.store(0, Ordering::Relaxed));
        let number = round.load(Ordering::Relaxed).wrapping_add(1);
        round.store(number, Ordering::Release);
        then_look();
        self.wake();
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        if own.is_err() {
            // Others may wait for it.
            state.panicked.store(true, Ordering::Relaxed);
        }
        state.await_threads(number.wrapping_mul(self.threads.len()));
        let panicked =
            state.panicked.load(Ordering::Relaxed) && state.panicked.swap(false, Ordering::Relaxed);
        if panicked {
            state.come.iter().for_each(|come| come.0.store(0, Ordering::Relaxed));
        }
        if let Err(payload) = own {
            resume_unwind(payload);
        }
        assert!(!panicked, "a worker panicked");
    }
}

// SAFETY: a worker leaves when it has seen (acquire) that every other has come (release) as often as itself; all numbers are
// equal when a job begins, because they are when one ends, or are set to 0.
unsafe impl Barrier for State {
    unsafe fn wait(&self, worker: usize) {
        let own = &self.come[worker].0;
        let number = own.load(Ordering::Relaxed).wrapping_add(1);
        own.store(number, Ordering::Release);
        for other in &self.come {
            // Who has left may have come to the next.
            let is_behind = || other.0.load(Ordering::Acquire).wrapping_sub(number) > usize::MAX / 2;
            let mut spins = 0..SPINS;
            while is_behind() {
                if spins.next().is_some() {
                    core::hint::spin_loop();
                    continue;
                }
                assert!(!self.panicked.load(Ordering::Relaxed), "a worker panicked");
                // Between two barriers there are microseconds: it may have lost its CPU, perhaps to this thread.
                thread::yield_now();
            }
        }
    }
}

impl State {
    /// Returns when threads have finished as many jobs as `all`: each thread its part of every round.
    fn await_threads(&self, all: usize) {
        let done = || self.finished.0.load(Ordering::Acquire) == all;
        loop {
            for _ in 0..SPINS {
                if done() {
                    return;
                }
                core::hint::spin_loop();
            }
            *lock(&self.caller) = Some(thread::current());
            self.caller_parked.store(true, Ordering::Relaxed);
            then_look();
            if !done() {
                thread::park();
            }
            self.caller_parked.store(false, Ordering::Relaxed);
        }
    }

    /// What thread `worker` of `threads` does until the pool is dropped.
    fn serve(&self, worker: usize, threads: usize) {
        let Order { job, round, stop } = &self.order.0;
        let mut seen = 0;
        loop {
            self.await_round(worker, seen);
            seen = seen.wrapping_add(1);
            debug_assert_eq!(
                seen,
                round.load(Ordering::Relaxed),
                "no round begins before all have finished the last"
            );
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // SAFETY: a new round was seen, so `job` was written before it and stays until this thread has finished.
            if let Some(job) = unsafe { *job.get() } {
                // SAFETY: `run` waits for this thread, so what the job borrows lives.
                let job = unsafe { &*job };
                if catch_unwind(AssertUnwindSafe(|| job(worker))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
            }
            let finished = self.finished.0.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
            then_look();
            if finished == seen.wrapping_mul(threads)
                && self.caller_parked.load(Ordering::Relaxed)
                && let Some(caller) = &*lock(&self.caller)
            {
                // If it is another caller already, it looks again and sleeps on.
                caller.unpark();
            }
        }
    }

    /// Waits for a round other than `seen`.
    fn await_round(&self, worker: usize, seen: usize) {
        let parked = &self.parked[worker - 1];
        let begun = || self.order.0.round.load(Ordering::Acquire) != seen;
        loop {
            for _ in 0..SPINS {
                if begun() {
                    return;
                }
                core::hint::spin_loop();
            }
            parked.store(true, Ordering::Relaxed);
            then_look();
            if !begun() {
                thread::park();
            }
            parked.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        let Order { round, stop, .. } = &self.state.order.0;
        stop.store(true, Ordering::Relaxed);
        round.fetch_add(1, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A thread's own panics are caught and reported by `run`.
            let _ = thread.join();
        }
    }
}

/// Between telling others something and looking what they tell: one of two who do both must see the other, or both
/// sleep.
fn then_look() {
    fence(Ordering::SeqCst);
}

/// What the mutex guards, also after a panic: nothing here is ever half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU64;
    use core::time::Duration;

    #[test]
    fn every_worker_gets_every_job_once() {
        for workers in 1..=4 {
            let pool = ThreadPool::new(workers).expect("threads start");
            assert_eq!(pool.count(), workers);
            let sums: Vec<AtomicU64> = (0..workers).map(|_| AtomicU64::new(0)).collect();
            for round in 0..2_000u64 {
                pool.run(&|worker| {
                    sums[worker].fetch_add(round, Ordering::Relaxed);
                });
            }
            assert!(sums.iter().all(|sum| sum.load(Ordering::Relaxed) == 1_999_000));
        }
    }

    #[test]
    fn a_job_is_seen_by_threads_that_have_parked() {
        let pool = ThreadPool::new(3).expect("threads start");
        for _ in 0..3 {
            while !pool.state.parked.iter().all(|parked| parked.load(Ordering::Relaxed)) {
                thread::yield_now();
            }
            let count = AtomicUsize::new(0);
            pool.run(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.load(Ordering::Relaxed), 3);
        }
    }

    #[test]
    fn a_caller_that_parked_is_woken() {
        let pool = ThreadPool::new(2).expect("threads start");
        pool.run(&|worker| {
            if worker == 1 {
                while !pool.state.caller_parked.load(Ordering::Relaxed) {
                    thread::park_timeout(Duration::from_micros(50));
                }
            }
        });
    }

    #[test]
    fn after_a_barrier_everybody_sees_what_was_written_before_it() {
        for workers in 1..=4 {
            let pool = ThreadPool::new(workers).expect("threads start");
            let (Some(barrier), written) = (pool.barrier(), AtomicUsize::new(0)) else {
                panic!("a pool has one")
            };
            for job in 0..20 {
                pool.run(&|worker| {
                    for round in 1..=50 {
                        written.fetch_add(1, Ordering::Relaxed);
                        // SAFETY: this is that worker, of a job of this pool.
                        unsafe { barrier.wait(worker) };
                        assert_eq!(written.load(Ordering::Relaxed), (50 * job + round) * workers);
                        // SAFETY: this is that worker, of a job of this pool.
                        unsafe { barrier.wait(worker) };
                    }
                });
            }
        }
    }

    #[test]
    fn who_waits_for_a_worker_that_panicked_goes_on_and_so_does_the_pool() {
        let pool = ThreadPool::new(3).expect("threads start");
        let barrier = pool.barrier().expect("a pool has one");
        for bad in 0..3 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|worker| {
                    // SAFETY: this is that worker, of a job of this pool.
                    unsafe { barrier.wait(worker) };
                    assert_ne!(worker, bad);
                    // SAFETY: this is that worker, of a job of this pool.
                    unsafe { barrier.wait(worker) };
                })
            }));
            assert!(result.is_err());
            let count = AtomicUsize::new(0);
            pool.run(&|worker| {
                // SAFETY: as above.
                unsafe { barrier.wait(worker) };
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.load(Ordering::Relaxed), 3);
        }
    }

    #[test]
    fn a_panic_in_a_job_reaches_the_caller_and_the_pool_goes_on() {
        let pool = ThreadPool::new(2).expect("threads start");
        for bad in 0..2 {
            let result = catch_unwind(AssertUnwindSafe(|| pool.run(&|worker| assert_ne!(worker, bad))));
            assert!(result.is_err());
            let count = AtomicUsize::new(0);
            pool.run(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.load(Ordering::Relaxed), 2);
        }
    }
}
