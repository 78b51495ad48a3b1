//! What the machine itself gives a number of threads, for as long as a burst of work lasts: products on registers beside
//! prefill, reading the weights beside decode.

use super::bandwidth::{Read, WAYS};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use whit::kernels::Backend;
use whit::kernels::peak::RegisterProducts;
use whit::parallel::Workers;

/// Steps of 64 bytes that are read at once: some ten microseconds, like products on registers.
const PIECE: usize = 4096;

/// Passes over the weights in each way of reading, of which the best counts.
const PASSES: usize = 3;

/// Work without an end, of which each unit takes some ten microseconds.
pub(super) enum Probe<'a> {
    /// Products on registers.
    Products(RegisterProducts),
    /// Reading, piece after piece.
    Read { backend: Backend, pieces: Vec<&'a [[u8; 64]]>, way: Read },
}

impl<'a> Probe<'a> {
    /// The instructions with which `backend` computes, or those of another where they are the compiler's choice.
    pub(super) fn products(backend: Backend) -> Option<Self> {
        let of_others = || Backend::available().find_map(RegisterProducts::of);
        RegisterProducts::of(backend).or_else(of_others).map(Self::Products)
    }

    /// Reading `bytes` in the way that is fastest for `workers`; nothing where there is too little to read.
    pub(super) fn read(backend: Backend, bytes: &'a [u8], workers: &dyn Workers) -> Option<Self> {
        let pieces: Vec<_> = bytes.as_chunks::<64>().0.chunks(PIECE).collect();
        let all = pieces.len();
        let pass = |way: Read| together(workers, all, |unit| way(backend, pieces[unit]));
        let best = |way| (0..PASSES).map(|_| pass(way)).fold(f64::INFINITY, f64::min);
        let timed = WAYS.map(|way| (way, best(way)));
        let (way, _) = timed.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        (all > 0).then_some(Self::Read { backend, pieces, way })
    }

    /// In words.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Products(products) => format!("products on registers: {}", products.instructions),
            Self::Read { .. } => "reading the weights".to_owned(),
        }
    }

    fn unit(&self, unit: usize) {
        match self {
            Self::Products(products) => products.run(),
            Self::Read { backend, pieces, way } => way(*backend, pieces[unit % pieces.len()]),
        }
    }

    /// Bytes that so many units read; 0 of products.
    pub(super) fn bytes(&self, units: usize) -> usize {
        match self {
            Self::Products(_) => 0,
            Self::Read { pieces, .. } => {
                let of = |pieces: &[&[[u8; 64]]]| {
                    pieces.iter().map(|piece| piece.as_flattened().len()).sum::<usize>()
                };
                units / pieces.len() * of(pieces) + of(&pieces[..units % pieces.len()])
            }
        }
    }

    /// So many units that they take `workers` about so many seconds.
    pub(super) fn units(&self, workers: &dyn Workers, seconds: f64) -> usize {
        let mut units = 8;
        loop {
            let took = self.seconds(workers, units);
            if took >= seconds / 4.0 {
                return (units as f64 * seconds / took).ceil() as usize;
            }
            units *= 2;
        }
    }

    /// Seconds that `workers` take for so many units.
    pub(super) fn seconds(&self, workers: &dyn Workers, units: usize) -> f64 {
        together(workers, units, |unit| self.unit(unit))
    }
}

/// Seconds from when all `workers` begin, at once, until the last is done with `0..units`, of which each takes the next: a
/// worker that is slower takes fewer, as in the pool, so this is what the machine gives them all together.
fn together(workers: &dyn Workers, units: usize, job: impl Fn(usize) + Sync) -> f64 {
    let (arrived, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let spans = Mutex::new(Vec::with_capacity(workers.count()));
    workers.run(&|_| {
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < workers.count() {
            // There may be fewer CPUs than workers.
            std::thread::yield_now();
        }
        let begin = Instant::now();
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&unit| unit < units);
        while let Some(unit) = take() {
            job(unit);
        }
        let span = (begin, Instant::now());
        spans.lock().expect("no worker panics while it holds it").push(span);
    });
    let spans = spans.into_inner().expect("no worker panicked");
    let (begin, end) = (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max());
    begin.zip(end).map_or(0.0, |(begin, end)| end.duration_since(begin).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use whit::threads::ThreadPool;

    #[test]
    fn every_unit_is_done_once_by_workers_that_all_began() {
        for workers in 1..=3 {
            let pool = ThreadPool::new(workers).expect("threads start");
            let done: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
            let seconds = together(&pool, done.len(), |unit| {
                done[unit].fetch_add(1, Ordering::Relaxed);
            });
            assert!(seconds > 0.0);
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn every_backend_is_probed_where_any_has_products() {
        let any = Backend::available().any(|backend| RegisterProducts::of(backend).is_some());
        for backend in Backend::available() {
            assert_eq!(Probe::products(backend).is_some(), any, "{}", backend.name());
        }
    }

    #[test]
    fn pieces_of_all_sizes_are_read_again_and_again_and_nothing_is_no_probe() {
        let pool = ThreadPool::new(2).expect("threads start");
        let bytes = vec![1; (PIECE + 3) * 64];
        let backend = Backend::available().next().expect("scalar is always there");
        let probe = Probe::read(backend, &bytes, &pool).expect("there is something to read");
        assert!(probe.units(&pool, 1e-4) > 0);
        assert!(probe.seconds(&pool, 7) > 0.0);
        assert_eq!(probe.bytes(5), (3 * PIECE + 2 * 3) * 64, "three whole pieces and two short ones");
        assert!(Probe::read(backend, &bytes[..63], &pool).is_none());
    }
}
