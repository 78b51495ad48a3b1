//! Whatever a program passes to the runtime, it gets an answer or an error that says what to do; never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use whit::format::{Crc32, Description, Encoding, NormKind, Positions};
use whit::kernels::Backend;
use whit::sampler::{Sampler, Sampling};
use whit::tensor::{ActivationShape, ActivationsMut, MAX_COLS_I4, MAX_COLS_I8, MatrixI4, MatrixI8};
use whit::{AlignedBytes, CacheKind, Error, Finish, Model, Session, SessionOptions, Token};
use whit_tests::hostile::{Outcome, exercise, reseal_tables};
use whit_tests::synthetic::{Encodings, Random, awkward, model};
use whit_tests::{tokenizers, whole};

const SEED: u64 = 5;

/// Makes a session of `context` positions on `bytes` and hands it over.
fn with_session<R>(bytes: &[u8], context: usize, work: impl FnOnce(&mut Session<'_, '_>) -> R) -> R {
    let model = Model::parse(bytes).expect("a valid file");
    let options = model.options(context);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible options"));
    work(&mut model.session(&mut arena, options).expect("the arena has the size asked for"))
}

fn state(session: &Session<'_, '_>) -> (usize, Vec<u32>) {
    (session.position(), session.logits().iter().map(|logit| logit.to_bits()).collect())
}

#[test]
fn options_out_of_range_are_named() {
    let bytes = whole::tiny();
    let model = Model::parse(&bytes).expect("valid");
    let right = model.options(16);
    let huge = usize::MAX;
    for (name, wrong) in [
        ("context", SessionOptions { context: 0, ..right }),
        ("context", SessionOptions { context: 65, ..right }),
        ("context", SessionOptions { context: huge, ..right }),
        ("batch", SessionOptions { batch: 0, ..right }),
        ("batch", SessionOptions { batch: huge, ..right }),
        ("logits", SessionOptions { logits: 0, ..right }),
        ("logits", SessionOptions { logits: huge, ..right }),
        ("workers", SessionOptions { workers: 0, ..right }),
        ("workers", SessionOptions { workers: huge, ..right }),
    ] {
        let error = model.arena_size(&wrong).expect_err("out of range");
        assert!(matches!(error, Error::Option { option, .. } if option == name), "{error}");
        assert_eq!(model.session(&mut [], wrong).expect_err("out of range"), error);
    }
}

/// The largest sizes that a description may state; their arena cannot be had, and its size must not wrap.
#[test]
fn the_largest_options_on_the_largest_description_are_too_much_memory_and_no_panic() {
    let bytes = whole::tiny();
    let model = Model::parse(&bytes).expect("valid");
    for cache in [CacheKind::F32, CacheKind::I8] {
        let most = SessionOptions { context: 64, batch: 4096, logits: 4096, workers: 256, cache };
        let needed = model.arena_size(&most).expect("in range");
        let mut small = AlignedBytes::zeroed(4096);
        let error = model.session(&mut small, most).expect_err("too small");
        assert_eq!(error, Error::ArenaTooSmall { needed, found: 4096 });
    }
    // Learned positions and an embedding would need their tensors; the description alone sizes an arena.
    let largest = Description {
        vocabulary: 1 << 24,
        width: 1 << 16,
        layers: 1 << 10,
        heads: 1 << 10,
        kv_heads: 1 << 10,
        head_width: 1 << 10,
        hidden: 131_071,
        context: 131_071,
        rotary_width: 1 << 10,
        ..awkward()
    };
    let mut file = bytes.clone();
    file[256..256 + Description::LEN].copy_from_slice(&largest.to_bytes());
    assert!(whit::arena_size(&file, 131_071) > 1 << 40);
    reseal_tables(&mut file);
    assert!(Model::parse(&file).is_err());
}

#[test]
fn an_arena_in_the_wrong_place_is_refused() {
    let bytes = whole::tiny();
    let model = Model::parse(&bytes).expect("valid");
    let options = model.options(8);
    let needed = model.arena_size(&options).expect("possible");
    let mut arena = AlignedBytes::zeroed(needed + 64);
    for excess in 1..64 {
        let error = model.session(&mut arena[excess..], options).expect_err("misaligned");
        assert_eq!(error, Error::Misaligned { part: "the arena", excess });
    }
    assert!(model.session(&mut arena[..needed], options).is_ok());
}

#[test]
fn tokens_that_cannot_be_fed_change_nothing() {
    with_session(&whole::tiny(), 8, |session| {
        session.feed(&[Token(2), Token(3)]).expect("they fit");
        let before = state(session);
        for ids in [vec![34], vec![0, u32::MAX], vec![0; 7], vec![0; 10_000]] {
            let tokens: Vec<Token> = ids.into_iter().map(Token).collect();
            assert!(session.feed(&tokens).is_err());
            assert!(session.feed_each(&tokens, |_, _| panic!("nothing was computed")).is_err());
            assert_eq!(state(session), before);
        }
        assert_eq!(session.feed(&[]), Ok(()));
        assert!(session.truncate(3).is_err());
        assert_eq!(state(session), before);
    });
}

#[test]
fn texts_of_any_size_are_fed_or_refused_whole() {
    let pieces = ["a", " the", "\u{1f600}", "\u{301}", "\0", "\n", " ", "'ll", "12", "<|end|>"];
    for (name, section) in tokenizers::sections() {
        let bytes = whole::whole(awkward(), Encodings::all(Encoding::I8), section, SEED);
        with_session(&bytes, 90, |session| {
            for piece in pieces {
                for count in [1, 20, 500, 100_000] {
                    let before = state(session);
                    if session.feed_text(&piece.repeat(count)).is_err() {
                        assert_eq!(state(session), before, "{name}: {piece:?} × {count}");
                    }
                    if count == 1 {
                        session.reset();
                    }
                }
            }
            session.reset();
            let begin = session.feed_text("").expect("there is room");
            assert!(begin <= 1, "{name}: at most the token that begins a text");
        });
    }
}

#[test]
fn there_must_be_something_to_continue() {
    let bare = model(awkward(), Encodings::all(Encoding::F32), SEED);
    with_session(&bare, 9, |session| {
        assert_eq!(session.feed_text("a"), Err(Error::NoTokenizer));
        assert_eq!(session.generate("", &Sampling::greedy()).err(), Some(Error::NoTokenizer));
    });
    let mut section = tokenizers::characters();
    // Neither a beginning nor an end of text.
    section[12..20].fill(0xff);
    let bytes = whole::whole(awkward(), Encodings::all(Encoding::F32), section, SEED);
    with_session(&bytes, 9, |session| {
        assert_eq!(session.generate("", &Sampling::greedy()).err(), Some(Error::NothingToContinue));
        // A text of which nothing is in the vocabulary.
        assert_eq!(session.generate("\u{5b57}", &Sampling::greedy()).err(), Some(Error::NothingToContinue));
        assert!(session.generate("a", &Sampling::greedy()).is_ok());
    });
}

#[test]
fn settings_and_stops_out_of_range_are_errors() {
    with_session(&whole::tiny(), 40, |session| {
        let odd = [f32::NAN, f32::INFINITY, -1.0, 1e-30, 101.0];
        for value in odd {
            for sampling in [
                Sampling { temperature: value, ..Sampling::default() },
                Sampling { top_p: value, ..Sampling::default() },
                Sampling { min_p: value, ..Sampling::default() },
                Sampling { repetition_penalty: value, ..Sampling::default() },
            ] {
                let result = session.generate("a", &sampling).map(|text| text.max_tokens(2).for_each(drop));
                // 1e-30 is a top-p and a min-p.
                assert_eq!(result.is_err(), sampling.validate().is_err(), "{sampling:?}");
                session.reset();
            }
        }
        let penalty = Sampling { penalty_window: u32::MAX, ..Sampling::default() };
        assert!(matches!(session.generate("a", &penalty), Err(Error::Sampling(_))));
        for stop in ["", &"x".repeat(65), &"x".repeat(1 << 20)] {
            let text = session.generate("a", &Sampling::default()).expect("text");
            assert!(matches!(text.stop_at(stop), Err(Error::Stop(_))));
            session.reset();
        }
        // The file has two; six more make eight.
        let mut text = session.generate("a", &Sampling::default()).expect("text");
        for i in 0..6 {
            text = text.stop_at(&"y".repeat(64 - i)).expect("there is room");
        }
        assert!(matches!(text.stop_at("y"), Err(Error::Stop(_))));
    });
}

#[test]
fn extreme_settings_draw_tokens_of_the_vocabulary() {
    let mut logits = [f32::NAN, 1.0, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MAX, f32::MIN, 1e-45];
    for top_k in [0, 1, 2, u32::MAX] {
        for temperature in [0.0, 0.01, 100.0] {
            for (top_p, min_p) in [(0.0, 0.0), (1.0, 1.0), (1e-30, 1e-30), (0.5, 0.5)] {
                for repetition_penalty in [0.1, 1.0, 10.0] {
                    let sampling = Sampling {
                        temperature,
                        top_k,
                        top_p,
                        min_p,
                        repetition_penalty,
                        ..Sampling::default()
                    };
                    let mut sampler = Sampler::new(sampling).expect("in range");
                    let history: Vec<u32> = (0..2000).chain([u32::MAX]).collect();
                    for len in 0..=logits.len() {
                        let mut some = logits[..len].to_vec();
                        assert!((sampler.sample(&mut some, &history) as usize) < len.max(1));
                    }
                    logits.rotate_left(1);
                }
            }
        }
    }
}

#[test]
fn a_full_context_ends_a_text() {
    with_session(&whole::tiny(), 3, |session| {
        let sampling = Sampling { seed: 9, ..Sampling::default() };
        session.feed(&[Token(4), Token(5), Token(6)]).expect("they fit");
        let mut text = session.generate("", &sampling).expect("there are logits");
        text.by_ref().for_each(drop);
        assert!(matches!(text.finish(), Some(Finish::ContextFull | Finish::StopToken)));
        assert!(text.next().is_none() && text.tokens() == 1);
        let mut none = session.generate("", &sampling).expect("there are logits").max_tokens(0);
        assert!(none.next().is_none());
        assert_eq!(none.finish(), Some(Finish::MaxTokens));
        assert!(matches!(session.generate("a", &sampling), Err(Error::ContextFull { tokens: 1, left: 0 })));
    });
}

/// Logits that were drawn from, cleared or changed are no logits.
#[test]
fn an_empty_prompt_continues_after_the_last_token_whatever_became_of_the_logits() {
    with_session(&whole::tiny(), 40, |session| {
        session.feed(&[Token(9), Token(8), Token(7)]).expect("they fit");
        let first = |session: &mut Session<'_, '_>| {
            let mut text =
                session.generate("", &Sampling::default()).expect("there are logits").max_tokens(1);
            text.by_ref().for_each(drop);
            (text.pending(), session.tokens().map(|token| token.0).collect::<Vec<_>>())
        };
        let expected = first(session);
        assert_eq!(first(session), expected, "drawn from");
        session.logits_mut().fill(f32::NAN);
        assert_eq!(first(session), expected, "changed");
        session.feed(&[Token(3)]).expect("it fits");
        session.truncate(3).expect("shorter");
        assert_eq!(first(session), expected, "cleared");
        let mut saved = vec![0; session.saved_len()];
        session.save(&mut saved).expect("there is room");
        session.reset();
        session.load(&saved).expect("our own");
        assert_eq!(first(session), expected, "saved after they were drawn from");
    });
}

#[test]
fn snapshots_that_are_not_ours_are_refused_and_change_nothing() {
    let bytes = whole::tiny();
    with_session(&bytes, 20, |session| {
        session.feed(&[Token(1), Token(2), Token(3)]).expect("they fit");
        let mut saved = vec![0; session.saved_len()];
        session.save(&mut saved).expect("there is room");
        session.feed(&[Token(4)]).expect("it fits");
        let before = state(session);
        assert!(matches!(session.save(&mut saved), Err(Error::BufferTooSmall { .. })));
        for len in 0..saved.len() {
            assert!(matches!(session.load(&saved[..len]), Err(Error::Snapshot { .. })), "{len} bytes");
        }
        for at in 0..saved.len() {
            saved[at] ^= 0x10;
            assert!(matches!(session.load(&saved), Err(Error::Snapshot { .. })), "byte {at}");
            saved[at] ^= 0x10;
        }
        let long = [&saved[..], &[0]].concat();
        assert!(session.load(&long).is_err());
        assert_eq!(state(session), before);
        // A token beyond the vocabulary under a right checksum.
        saved[28..32].copy_from_slice(&34u32.to_ne_bytes());
        seal_snapshot(&mut saved);
        assert!(matches!(session.load(&saved), Err(Error::Snapshot { .. })));
        assert_eq!(state(session), before);
    });
    // Another model, and another kind of cache.
    let saved = with_session(&bytes, 20, |session| {
        let mut saved = vec![0; session.saved_len()];
        session.save(&mut saved).expect("there is room");
        saved
    });
    let other = whole::whole(awkward(), Encodings::all(Encoding::I8), tokenizers::characters(), SEED);
    with_session(&other, 20, |session| assert!(session.load(&saved).is_err()));
}

fn seal_snapshot(saved: &mut [u8]) {
    let crc = Crc32::of(&[&saved[..24], &saved[28..]].concat());
    saved[24..28].copy_from_slice(&crc.to_ne_bytes());
}

#[test]
fn a_snapshot_of_any_contents_under_a_right_checksum_is_harmless() {
    let mut random = Random(SEED);
    for cache in [CacheKind::F32, CacheKind::I8] {
        let bytes = whole::tiny();
        let model = Model::parse(&bytes).expect("valid");
        let options = SessionOptions { cache, ..model.options(40) };
        let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
        for backend in Backend::available() {
            let mut session = model.with_backend(backend).session(&mut arena, options).expect("fits");
            session.feed(&[Token(1); 17]).expect("they fit");
            let mut original = vec![0; session.saved_len()];
            session.save(&mut original).expect("there is room");
            let tokens_end = 28 + 4 * 17;
            for fill in [None, Some(0x80), Some(0x7f), Some(0xff)] {
                let mut saved = original.clone();
                saved[tokens_end..].fill_with(|| fill.unwrap_or(random.next_u64() as u8));
                seal_snapshot(&mut saved);
                assert_eq!(session.load(&saved), Ok(()));
                session.feed(&[Token(2); 9]).expect("they fit");
                session.generate("", &Sampling::default()).expect("text").max_tokens(9).for_each(drop);
            }
        }
    }
}

/// One of everything; and a shape whose every size is 1.
#[test]
fn the_smallest_models_run() {
    let ones = Description {
        vocabulary: 1,
        width: 1,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        head_width: 1,
        hidden: 1,
        context: 3,
        rotary_width: 0,
        positions: Positions::None,
        ..awkward()
    };
    for norm in [NormKind::Rms, NormKind::Layer] {
        for encoding in [
            Encoding::F32,
            Encoding::F16,
            Encoding::I8,
            Encoding::I4 { group: 16 },
            Encoding::I4 { group: 128 },
            Encoding::I4 { group: 0 },
        ] {
            let bytes = model(Description { norm, ..ones }, Encodings::all(encoding), SEED);
            for backend in Backend::available() {
                for cache in [CacheKind::F32, CacheKind::I8] {
                    let run = || exercise(&bytes, |model| (model.with_backend(backend), cache));
                    let outcome = catch_unwind(AssertUnwindSafe(run));
                    assert_eq!(outcome.ok(), Some(Outcome::Ran), "{encoding:?}, {}", backend.name());
                }
            }
        }
    }
}

/// Integers that no quantizer writes, in the widest matrices: −128 everywhere. Sums of int8 still fit; those of int4
/// wrap, on every backend to the same bits.
#[test]
fn the_most_negative_weights_wrap_alike_on_every_backend() {
    let (scale, x) = ([1.0f32; 16], [-127i8, 127]);
    for x in x {
        let i8_bytes = vec![-128i8; MatrixI8::data_len(16, MAX_COLS_I8)];
        let i8 = MatrixI8::new(16, MAX_COLS_I8, &scale, &i8_bytes).expect("the lengths fit");
        assert_alike(MAX_COLS_I8, x, |backend, x, out| backend.run(Product { matrix: Ok(i8), x, out }));
        for group in [0, 16, 32, 64, 128] {
            let i4_bytes = vec![0u8; MatrixI4::data_len(16, MAX_COLS_I4)];
            let groups = vec![-128i8; MatrixI4::group_scale_len(16, MAX_COLS_I4, group)];
            let i4 = MatrixI4::new(16, MAX_COLS_I4, group, &scale, &groups, &i4_bytes).expect("they fit");
            assert_alike(MAX_COLS_I4, x, |backend, x, out| backend.run(Product { matrix: Err(i4), x, out }));
        }
    }
}

struct Product<'a, 'x> {
    matrix: Result<MatrixI8<'a>, MatrixI4<'a>>,
    x: &'x ActivationsMut<'x>,
    out: &'x mut [f32],
}

impl whit::kernels::WithKernels for Product<'_, '_> {
    type Output = ();

    fn call<K: whit::kernels::Kernels>(self, kernels: K) {
        let x = self.x.as_activations();
        let mut out = whit::parallel::Columns::new(self.out, x.tokens(), 16);
        match self.matrix {
            Ok(matrix) => kernels.matmul_i8(&matrix, &x, 0..1, &mut out),
            Err(matrix) => kernels.matmul_i4(&matrix, &x, 0..1, &mut out),
        }
    }
}

/// Computes a product with one and with three tokens, all of whose values are `x`, on every backend.
fn assert_alike(cols: usize, x: i8, product: impl Fn(Backend, &ActivationsMut<'_>, &mut [f32])) {
    for tokens in [1, 3] {
        let shape = ActivationShape { tokens, cols };
        let (mut data, mut sums) = (vec![0; shape.data_len()], vec![0; shape.sums_len()]);
        let (mut totals, mut scales) = (vec![0; tokens], vec![0.0; tokens]);
        let mut values = ActivationsMut::new(shape, &mut data, &mut sums, &mut totals, &mut scales)
            .expect("the lengths are those asked for");
        for token in 0..tokens {
            let sixteen = |i: usize| std::array::from_fn(|l| if 16 * i + l < cols { x } else { 0 });
            values.set(token, 1.0, sixteen);
        }
        let results: Vec<Vec<f32>> = Backend::available()
            .map(|backend| {
                let mut out = vec![f32::NAN; 16 * tokens];
                product(backend, &values, &mut out);
                out
            })
            .collect();
        assert!(results.iter().all(|result| result == &results[0]), "{cols} columns of {x}");
        assert!(results[0].iter().all(|sum| sum.is_finite()));
    }
}
