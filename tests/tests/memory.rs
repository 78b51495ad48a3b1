//! The runtime never allocates: not in loading, not per token, not with threads.
//!
//! A program of its own, without the test harness, whose threads allocate when they like: here every allocation while
//! the runtime works is counted, on whatever thread. Only `System` is called, so nothing else changes.
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use whit::kernels::Backend;
use whit::parallel::{Inline, Workers};
use whit::sampler::{Sampling, ban_repeated_ngrams};
use whit::threads::ThreadPool;
use whit::{AlignedBytes, CacheKind, Error, Finish, Model, SessionOptions, Token};
use whit_tests::synthetic::{awkward, encodings, lstm};
use whit_tests::{tokenizers, whole};

struct Counting;

static COUNTED: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn note() {
        if COUNTED.load(Ordering::SeqCst) {
            ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        }
    }
}

// SAFETY: every call is passed on to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        Self::note();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(data, layout) }
    }

    unsafe fn realloc(&self, data: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(data, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls `work` and gives back its result and how often memory was allocated, moved or freed meanwhile.
fn counted<R>(work: impl FnOnce() -> R) -> (R, usize) {
    ALLOCATIONS.store(0, Ordering::SeqCst);
    COUNTED.store(true, Ordering::SeqCst);
    let result = work();
    COUNTED.store(false, Ordering::SeqCst);
    (result, ALLOCATIONS.load(Ordering::SeqCst))
}

fn main() {
    the_counter_counts();
    let pool = ThreadPool::new(2).expect("a thread starts").eager();
    // What the standard library makes once for a thread (its handle) is not the runtime's.
    pool.run(&|_| drop(black_box(std::thread::current())));
    let (mut cases, mut texts) = (0, 0);
    // Eight encodings with four tokenizers: each of them twice.
    for ((encoding, encodings), (tokenizer, section)) in
        encodings().into_iter().zip(tokenizers::sections().into_iter().cycle())
    {
        let transformer = whole::whole(awkward(), encodings, section.clone(), 3);
        let recurrent = whole::whole(lstm(), encodings, section, 3);
        for (bytes, cache) in
            [(&transformer, CacheKind::F32), (&transformer, CacheKind::I8), (&recurrent, CacheKind::F32)]
        {
            for backend in Backend::available() {
                for workers in [&Inline as &dyn Workers, &pool] {
                    let (result, allocations) = counted_life(bytes, cache, backend, workers);
                    let (backend, workers) = (backend.name(), workers.count());
                    let case = format!("{tokenizer}, {encoding}, {cache:?}, {backend}, {workers} workers");
                    let pieces = result.unwrap_or_else(|error| panic!("{case}: {error}"));
                    // Random states may end a text at its first token; they do not in every encoding.
                    assert!(pieces > 0 || bytes == &recurrent, "{case}: no text came");
                    texts += usize::from(pieces > 0 && bytes == &recurrent);
                    assert_eq!(allocations, 0, "{case}");
                    cases += 1;
                }
            }
        }
    }
    assert!(texts > 0, "no text came of a recurrent model");
    println!("memory: no allocation in {cases} lives of a session");
}

/// A test that could not fail would prove nothing.
fn the_counter_counts() {
    let (_, allocations) = counted(|| drop(black_box(Box::new(1u8))));
    assert_eq!(allocations, 2);
    let (_, elsewhere) = counted(|| std::thread::spawn(|| drop(black_box(vec![1u8]))).join());
    assert!(elsewhere >= 2);
}

/// One life of a session; only the buffers that the caller brings are allocated, before.
fn counted_life(
    bytes: &[u8],
    cache: CacheKind,
    backend: Backend,
    workers: &dyn Workers,
) -> (Result<usize, Error>, usize) {
    let model = Model::parse(bytes).expect("a valid file");
    let options =
        SessionOptions { batch: 7, logits: 2, workers: workers.count(), cache, ..model.options(80) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible options"));
    let mut saved = vec![0; 1 << 17];
    counted(|| life(bytes, backend, workers, options, &mut arena, &mut saved))
}

fn life(
    bytes: &[u8],
    backend: Backend,
    workers: &dyn Workers,
    options: SessionOptions,
    arena: &mut [u8],
    saved: &mut [u8],
) -> Result<usize, Error> {
    let model = Model::parse(bytes)?.with_backend(backend);
    model.file().verify_payload()?;
    model.tokenizer().ok_or(Error::NoTokenizer)?.verify()?;
    assert_eq!(model.file().metadata.find("name"), Some("tiny"));
    let mut session = model.session_on(workers, arena, options)?;
    session.feed(&[Token(2), Token(3), Token(4)])?;
    session.feed_each(&[Token(5); 9], |_, logits| _ = black_box(logits))?;
    let len = session.save(saved)?;
    session.reset();
    session.load(&saved[..len])?;
    session.truncate(if model.architecture().context().is_some() { 4 } else { 0 })?;
    ban_repeated_ngrams(session.logits_mut(), &[2, 3, 2], 2);
    let mut pieces = 0;
    let sampled = Sampling {
        top_k: 12,
        min_p: 0.001,
        repetition_penalty: 1.2,
        penalty_window: 9,
        ..Sampling::creative()
    };
    for sampling in [model.sampling()?, Sampling::greedy(), sampled] {
        session.reset();
        let mut text = session.generate("the €😀 in a '\n", &sampling)?.stop_at("never this")?.max_tokens(20);
        pieces += text.by_ref().map(|piece| black_box(piece).len()).filter(|&len| len > 0).count();
        assert!(text.finish().is_some_and(|finish| finish != Finish::ContextFull));
    }
    // Errors are values too.
    assert!(session.feed(&[Token(u32::MAX); 90]).is_err());
    assert!(session.load(&saved[..len - 1]).is_err());
    Ok(pieces)
}
