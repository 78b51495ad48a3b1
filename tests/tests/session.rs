//! A session's state is a value and its results are bits: whatever the pieces, backend, workers or company.

use whit::format::{Description, Encoding, Role};
use whit::kernels::Backend;
use whit::parallel::{Inline, Workers};
use whit::threads::ThreadPool;
use whit::{AlignedBytes, CacheKind, Error, Model, SessionOptions, Token};
use whit_tests::synthetic::{
    Encodings, Random, architectures, awkward, encodings, model, whole, wide_encodings,
};

const SEED: u64 = 20;

fn tokens(count: usize, vocabulary: u32) -> Vec<Token> {
    let mut random = Random(SEED);
    (0..count).map(|_| Token(random.below(vocabulary as usize) as u32)).collect()
}

/// The bits of all logits of `tokens`, fed in pieces of `piece`.
fn logits(
    model: &Model<'_>,
    workers: &dyn Workers,
    options: SessionOptions,
    tokens: &[Token],
    piece: usize,
) -> Vec<u32> {
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible options"));
    // What an arena held before must not matter.
    arena.fill(0xa5);
    let mut session =
        model.session_on(workers, &mut arena, options).expect("the arena has the size asked for");
    let mut bits = Vec::new();
    for piece in tokens.chunks(piece) {
        session
            .feed_each(piece, |_, logits| bits.extend(logits.iter().map(|logit| logit.to_bits())))
            .expect("the tokens fit");
    }
    bits
}

#[test]
fn pieces_batches_backends_and_workers_never_change_a_bit() {
    let pools = [ThreadPool::new(2), ThreadPool::new(3)].map(|pool| pool.expect("threads start").eager());
    let mut random = Random(SEED);
    for (name, description) in architectures() {
        for (encoding, encodings) in encodings().into_iter().chain(wide_encodings()) {
            for cache in [CacheKind::F32, CacheKind::I8] {
                let bytes = model(description, encodings, SEED);
                let parsed = Model::parse(&bytes).expect("the writer's files parse");
                let tokens = tokens(41, description.vocabulary);
                let base = SessionOptions { cache, batch: 1, ..parsed.options(41) };
                let scalar = parsed.with_backend(Backend::named("scalar").expect("always there"));
                let expected = logits(&scalar, &Inline, base, &tokens, 1);
                assert!(expected.iter().all(|&bits| f32::from_bits(bits).is_finite()));
                for backend in Backend::available() {
                    let model = parsed.with_backend(backend);
                    // Several workers take a single token through all layers together where the batch has a row for each
                    // and one for all; else, and with more tokens, they share every step.
                    let [two, three] = [&pools[0], &pools[1]].map(Some);
                    let any = 1 + random.below(41);
                    for (pool, batch, piece) in [
                        (None, 41, any),
                        (two, 1, any),
                        (two, 3, 1),
                        (two, 5, any),
                        (three, 1, any),
                        (three, 16, any),
                    ] {
                        let workers: &dyn Workers = pool.map_or(&Inline, |pool| pool);
                        let options = SessionOptions {
                            batch,
                            logits: 1 + random.below(batch),
                            workers: workers.count(),
                            context: 41 + random.below(49),
                            ..base
                        };
                        let got = logits(&model, workers, options, &tokens, piece);
                        assert!(
                            got == expected,
                            "{name}, {encoding}, {cache:?} cache, {}, {} workers, {options:?}",
                            backend.name(),
                            workers.count(),
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn single_tokens_on_several_workers_never_change_a_bit_over_several_spans() {
    let description = Description { context: 600, layers: 1, window: 300, ..whole() };
    let bytes = model(description, encodings()[2].1, SEED);
    let parsed = Model::parse(&bytes).expect("the writer's files parse");
    let tokens = tokens(600, description.vocabulary);
    let base = SessionOptions { cache: CacheKind::I8, ..parsed.options(600) };
    let expected = logits(&parsed, &Inline, base, &tokens, 600);
    for workers in [2, 3] {
        let pool = ThreadPool::new(workers).expect("threads start").eager();
        let options = SessionOptions { workers, ..base };
        assert!(logits(&parsed, &pool, options, &tokens, 1) == expected, "{workers} workers");
    }
}

/// Attention takes positions in spans of 256: 600 are two and a part of a third.
#[test]
fn pieces_batches_and_workers_never_change_a_bit_over_several_spans() {
    let pool = ThreadPool::new(2).expect("threads start").eager();
    for window in [20, 300, 0] {
        let description = Description { context: 600, layers: 2, window, ..awkward() };
        let bytes = model(description, encodings()[2].1, SEED);
        let parsed = Model::parse(&bytes).expect("the writer's files parse");
        let tokens = tokens(600, description.vocabulary);
        for cache in [CacheKind::F32, CacheKind::I8] {
            let base = SessionOptions { cache, batch: 1, ..parsed.options(600) };
            let expected = logits(&parsed, &Inline, base, &tokens, 1);
            for (batch, piece) in [(7, 600), (128, 600), (128, 250)] {
                let options = SessionOptions { batch, logits: 9, workers: 2, ..base };
                let got = logits(&parsed, &pool, options, &tokens, piece);
                assert!(got == expected, "window {window}, {cache:?} cache, {batch} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn beyond_one_span_only_the_cache_and_the_history_grow_with_the_context() {
    let description = Description { context: 4096, ..awkward() };
    let bytes = model(description, encodings()[2].1, SEED);
    let model = Model::parse(&bytes).expect("the writer's files parse");
    for cache in [CacheKind::F32, CacheKind::I8] {
        let scratch = |context| {
            let options = SessionOptions { cache, ..model.options(context) };
            let size = model.arena_size(&options).expect("possible");
            size - model.cache_size(&options).expect("possible") - size_of::<u32>() * context
        };
        assert!(scratch(128) < scratch(256));
        assert_eq!(scratch(256), scratch(4096));
    }
}

/// Only what has two digits costs memory: the inputs' digits and the products of the projection that takes them.
#[test]
fn activations_of_16_bits_cost_the_digits_and_their_products() {
    let description = awkward();
    let size = |encodings: Encodings| {
        let bytes = model(description, encodings, SEED);
        let model = Model::parse(&bytes).expect("the writer's files parse");
        let options = SessionOptions { batch: 8, logits: 3, ..model.options(33) };
        (model.arena_size(&options).expect("possible"), whit::arena_size(&bytes, 33))
    };
    let plain = Encodings::all(Encoding::I8);
    // 8 tokens of the widest input, 60 columns: a line of 64 bytes and 4 sums of i16; totals and scales of 16 tokens
    // fill the 64 bytes that those of 8 took.
    let digits = 8 * 64 + 8 * 8;
    let (out, projected, logits) = (8 * 48 * 4, 8 * 128 * 4, 3 * 80 * 4);
    type Wide = fn(Role, u16) -> bool;
    let cases: [(Wide, usize); 5] = [
        (|role, _| role == Role::FfnDown, out),
        (|role, _| role == Role::AttentionOut, out),
        (|role, layer| role == Role::FfnUp && layer == 1, projected),
        (|role, _| role == Role::Embedding, logits),
        (|_, _| true, out + projected + logits),
    ];
    let before = size(plain).0;
    for (i, (wide, products)) in cases.into_iter().enumerate() {
        let (after, default) = size(Encodings { wide, ..plain });
        assert_eq!(after - before, digits + products, "case {i}");
        assert!(default > before);
    }
}

#[test]
fn interleaved_sessions_do_not_disturb_each_other() {
    let description = awkward();
    for (_, encodings) in encodings().into_iter().skip(2).take(2) {
        let bytes = model(description, encodings, SEED);
        let model = Model::parse(&bytes).expect("parses");
        let options = model.options(30);
        let size = model.arena_size(&options).expect("possible");
        let texts = [tokens(30, 67), tokens(30, 67).into_iter().rev().collect()];
        let alone: Vec<Vec<u32>> =
            texts.iter().map(|text| logits(&model, &Inline, options, text, 30)).collect();
        let mut arenas = [AlignedBytes::zeroed(size), AlignedBytes::zeroed(size)];
        let mut sessions: Vec<_> =
            arenas.iter_mut().map(|arena| model.session(arena, options).expect("fits")).collect();
        let mut together = [Vec::new(), Vec::new()];
        for position in 0..30 {
            for (i, session) in sessions.iter_mut().enumerate() {
                session.feed(&texts[i][position..=position]).expect("fits");
                together[i].extend(session.logits().iter().map(|logit| logit.to_bits()));
            }
        }
        assert_eq!(together.to_vec(), alone);
    }
}

#[test]
fn a_restored_session_continues_with_the_same_bits() {
    for (name, description) in architectures() {
        for cache in [CacheKind::F32, CacheKind::I8] {
            let bytes = model(description, encodings()[2].1, SEED);
            let model = Model::parse(&bytes).expect("parses");
            let text = tokens(40, description.vocabulary);
            let options = SessionOptions { cache, ..model.options(40) };
            let expected = logits(&model, &Inline, options, &text, 40);
            let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
            let mut session = model.session(&mut arena, options).expect("fits");
            session.feed(&text[..23]).expect("fits");
            let mut saved = vec![0; session.saved_len()];
            assert_eq!(session.save(&mut saved), Ok(saved.len()));
            let logits_then: Vec<f32> = session.logits().to_vec();
            session.feed(&text[..9]).expect("fits");

            let other = SessionOptions { context: 57, batch: 3, ..options };
            let mut other_arena = AlignedBytes::zeroed(model.arena_size(&other).expect("possible"));
            other_arena.fill(0x5a);
            let mut other = model.session(&mut other_arena, other).expect("fits");
            for session in [&mut session, &mut other] {
                session.load(&saved).expect("it was taken from this model");
                assert_eq!(session.position(), 23);
                assert!(session.tokens().eq(text[..23].iter().copied()));
                assert_eq!(session.logits(), logits_then);
                session.feed(&text[23..]).expect("fits");
                let last: Vec<u32> = session.logits().iter().map(|logit| logit.to_bits()).collect();
                assert_eq!(last, expected[39 * 67..], "{name}");
            }
        }
    }
}

#[test]
fn a_damaged_or_foreign_snapshot_is_refused_and_changes_nothing() {
    let description = awkward();
    let bytes = model(description, encodings()[2].1, SEED);
    let other_bytes = model(description, encodings()[2].1, SEED + 1);
    let parsed = Model::parse(&bytes).expect("parses");
    let options = parsed.options(20);
    let size = parsed.arena_size(&options).expect("possible");
    let (mut arena, mut other_arena) = (AlignedBytes::zeroed(size), AlignedBytes::zeroed(size));
    let mut session = parsed.session(&mut arena, options).expect("fits");
    session.feed(&tokens(5, 67)).expect("fits");
    let mut saved = vec![0; session.saved_len()];
    session.save(&mut saved).expect("the buffer fits");
    assert!(matches!(session.save(&mut [0; 10]), Err(Error::BufferTooSmall { found: 10, .. })));
    session.feed(&tokens(3, 67)).expect("fits");
    for i in (0..saved.len()).step_by(7).chain(0..20) {
        let mut damaged = saved.clone();
        damaged[i] ^= 0x10;
        assert!(matches!(session.load(&damaged), Err(Error::Snapshot { .. })), "byte {i}");
        assert_eq!(session.position(), 8);
    }
    for len in 0..saved.len() {
        assert!(matches!(session.load(&saved[..len]), Err(Error::Snapshot { .. })), "length {len}");
    }
    let other = Model::parse(&other_bytes).expect("parses");
    let mut other = other.session(&mut other_arena, options).expect("fits");
    assert!(matches!(other.load(&saved), Err(Error::Snapshot { .. })));
}

#[test]
fn a_reset_or_truncated_session_is_as_new() {
    let bytes = model(awkward(), encodings()[2].1, SEED);
    let model = Model::parse(&bytes).expect("parses");
    let options = model.options(30);
    let text = tokens(30, 67);
    let expected = logits(&model, &Inline, options, &text, 30);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let check = |session: &mut whit::Session<'_, '_>, from: usize| {
        session.feed(&text[from..]).expect("fits");
        assert!(session.logits().iter().map(|logit| logit.to_bits()).eq(expected[29 * 67..].iter().copied()));
    };
    check(&mut session, 0);
    session.reset();
    assert_eq!((session.position(), session.left()), (0, 30));
    assert!(session.logits().iter().all(|&logit| logit == 0.0));
    session.feed(&text[..11]).expect("fits");
    session.feed(&text[3..20]).expect("fits");
    session.truncate(11).expect("it has that many");
    assert!(session.truncate(12).is_err());
    check(&mut session, 11);
}

#[test]
fn a_full_context_and_a_foreign_token_are_errors_that_change_nothing() {
    let bytes = model(awkward(), encodings()[0].1, SEED);
    let model = Model::parse(&bytes).expect("parses");
    let options = model.options(10);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    session.feed(&tokens(8, 67)).expect("fits");
    let before = session.logits().to_vec();
    assert_eq!(session.feed(&tokens(3, 67)), Err(Error::ContextFull { tokens: 3, left: 2 }));
    assert_eq!(
        session.feed(&[Token(1), Token(67)]),
        Err(Error::TokenOutOfRange { token: 67, vocabulary: 67 })
    );
    assert_eq!(session.feed(&[]), Ok(()));
    assert_eq!((session.position(), session.logits()), (8, &before[..]));
    session.feed(&tokens(2, 67)).expect("fits exactly");
    assert_eq!(session.left(), 0);
}

#[test]
fn an_arena_that_does_not_do_is_an_error_that_says_what_is_needed() {
    let bytes = model(awkward(), encodings()[2].1, SEED);
    let model = Model::parse(&bytes).expect("parses");
    let options = model.options(33);
    let needed = model.arena_size(&options).expect("possible");
    assert_eq!(needed, whit::arena_size(&bytes, 33));
    let mut arena = AlignedBytes::zeroed(needed + 64);
    assert!(model.session(&mut arena[..needed], options).is_ok());
    assert_eq!(
        model.session(&mut arena[..needed - 1], options).map(|_| ()),
        Err(Error::ArenaTooSmall { needed, found: needed - 1 })
    );
    assert_eq!(
        model.session(&mut arena[8..], options).map(|_| ()),
        Err(Error::Misaligned { part: "the arena", excess: 8 })
    );
    for (option, bad) in [
        ("context", SessionOptions { context: 91, ..options }),
        ("context", SessionOptions { context: 0, ..options }),
        ("batch", SessionOptions { batch: 0, ..options }),
        ("logits", SessionOptions { logits: 5000, ..options }),
        ("workers", SessionOptions { workers: 0, ..options }),
    ] {
        assert!(
            matches!(model.arena_size(&bad), Err(Error::Option { option: found, .. }) if found == option)
        );
    }
}
