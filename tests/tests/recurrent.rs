//! Recurrent models: every choice of the description computes what an independent f64 implementation computes, and
//! whatever the pieces, backend, workers or company, with the same bits.

use whit::format::{Architecture, Direction, Recurrent};
use whit::kernels::Backend;
use whit::parallel::{Inline, Workers};
use whit::sampler::Sampling;
use whit::threads::ThreadPool;
use whit::{AlignedBytes, Error, Model, Session, SessionOptions, Token};
use whit_tests::oracle::recurrent as oracle;
use whit_tests::synthetic::{Encodings, Random, encodings, lstm, model, recurrents};
use whit_tests::{tokenizers, whole};

const SEED: u64 = 31;

/// Tokens or frames, as the model takes them.
#[derive(Clone)]
enum Inputs {
    Tokens(Vec<Token>),
    Frames(Vec<f32>, usize),
}

impl Inputs {
    fn random(recurrent: &Recurrent, count: usize) -> Self {
        let mut random = Random(SEED);
        if recurrent.vocabulary > 0 {
            let vocabulary = recurrent.vocabulary as usize;
            return Self::Tokens((0..count).map(|_| Token(random.below(vocabulary) as u32)).collect());
        }
        let width = recurrent.input as usize;
        Self::Frames((0..count * width).map(|_| random.uniform()).collect(), width)
    }

    fn feed(&self, session: &mut Session<'_, '_>, range: std::ops::Range<usize>) -> Vec<u32> {
        let mut bits = Vec::new();
        let each = |_: usize, out: &[f32]| bits.extend(out.iter().map(|number| number.to_bits()));
        match self {
            Self::Tokens(tokens) => session.feed_each(&tokens[range], each),
            Self::Frames(frames, width) => {
                session.feed_frames(&frames[range.start * width..range.end * width], each)
            }
        }
        .expect("they fit");
        bits
    }
}

fn recurrent_of<'m>(model: &'m Model<'_>) -> &'m Recurrent {
    model.architecture().recurrent().expect("one")
}

/// The bits of everything that comes out, fed in pieces of `piece`.
fn bits(
    model: &Model<'_>,
    workers: &dyn Workers,
    options: SessionOptions,
    inputs: &Inputs,
    count: usize,
    piece: usize,
) -> Vec<u32> {
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible options"));
    arena.fill(0xa5);
    let mut session = model.session_on(workers, &mut arena, options).expect("the arena has the size");
    let starts = (0..count).step_by(piece);
    starts.flat_map(|start| inputs.feed(&mut session, start..count.min(start + piece))).collect()
}

/// Root mean square of the differences from the oracle over some tokens, relative to that of the oracle's numbers.
fn deviation(bytes: &[u8], count: usize) -> f64 {
    let model = Model::parse(bytes).expect("the writer's files parse");
    let recurrent = recurrent_of(&model);
    let inputs = Inputs::random(recurrent, count);
    let tensors = &model.file().tensors;
    let vectors = match &inputs {
        Inputs::Tokens(tokens) => {
            oracle::embedded(recurrent, tensors, &tokens.iter().map(|token| token.0).collect::<Vec<_>>())
        }
        Inputs::Frames(frames, width) => {
            frames.chunks(*width).map(|frame| frame.iter().map(|&x| x.into()).collect()).collect()
        }
    };
    let expected = oracle::outputs(recurrent, tensors, &vectors).concat();
    let options = SessionOptions { batch: count, logits: 7, ..model.options(1) };
    let found = bits(&model, &Inline, options, &inputs, count, count);
    assert_eq!(found.len(), expected.len());
    let (mut difference, mut size) = (0.0, 0.0);
    for (found, expected) in found.into_iter().zip(expected) {
        difference += (f64::from(f32::from_bits(found)) - expected).powi(2);
        size += expected * expected;
    }
    (difference / size).sqrt()
}

#[test]
fn float_weights_agree_to_float_precision() {
    for (name, recurrent) in recurrents() {
        for (encoding, encodings) in encodings().into_iter().take(2) {
            let off = deviation(&model(recurrent, encodings, SEED), 40);

            assert!(off < 1e-6, "{name}, {encoding}: off by {off:e}");
        }
    }
}

/// The oracle computes with the quantized weights in f64, so what is left is the rounding of activations to int8: of a
/// step, of about absmax / rms / (127 · √12) ≈ 0.6 % for inputs and state each, which the state passes on.
#[test]
fn quantized_models_differ_only_by_the_rounding_of_activations() {
    for (name, recurrent) in recurrents() {
        for (encoding, encodings) in encodings().into_iter().skip(2) {
            let off = deviation(&model(recurrent, encodings, SEED), 40);

            assert!(off < 0.04, "{name}, {encoding}: off by {off}");
            assert!(off > 0.0, "{name}, {encoding}: nothing was rounded");
        }
    }
}

#[test]
fn pieces_batches_backends_and_workers_never_change_a_bit() {
    let pools = [ThreadPool::new(2), ThreadPool::new(3)].map(|pool| pool.expect("threads start").eager());
    let mut random = Random(SEED);
    const COUNT: usize = 23;
    for (name, recurrent) in recurrents() {
        let whole = recurrent.direction != Direction::Forward;
        for (encoding, encodings) in encodings() {
            let bytes = model(recurrent, encodings, SEED);
            let parsed = Model::parse(&bytes).expect("the writer's files parse");
            let inputs = Inputs::random(&recurrent, COUNT);
            let base = SessionOptions { batch: if whole { COUNT } else { 1 }, ..parsed.options(1) };
            let scalar = parsed.with_backend(Backend::named("scalar").expect("always there"));
            let piece = if whole { COUNT } else { 1 };
            let expected = bits(&scalar, &Inline, base, &inputs, COUNT, piece);
            assert_eq!(expected.len(), COUNT * recurrent.outputs());
            assert!(expected.iter().all(|&bits| f32::from_bits(bits).is_finite()));
            for backend in Backend::available() {
                let model = parsed.with_backend(backend);
                for (pool, batch) in [(None, COUNT), (Some(&pools[0]), 5), (Some(&pools[1]), 16)] {
                    let workers: &dyn Workers = pool.map_or(&Inline, |pool| pool);
                    let batch = if whole { COUNT + batch } else { batch };
                    let options = SessionOptions {
                        batch,
                        logits: 1 + random.below(batch),
                        workers: workers.count(),
                        context: 1 + random.below(30),
                        ..base
                    };
                    let piece = if whole { COUNT } else { 1 + random.below(COUNT) };
                    let got = bits(&model, workers, options, &inputs, COUNT, piece);
                    assert!(got == expected, "{name}, {encoding}, {}, {options:?}", backend.name());
                }
            }
        }
    }
}

#[test]
fn interleaved_streams_do_not_disturb_each_other() {
    let bytes = model(lstm(), encodings()[3].1, SEED);
    let model = Model::parse(&bytes).expect("parses");
    let options = model.options(8);
    let Inputs::Tokens(text) = Inputs::random(&lstm(), 30) else { panic!("tokens") };
    let texts = [text.clone(), text.into_iter().rev().collect::<Vec<_>>()];
    let alone = texts.clone().map(|text| bits(&model, &Inline, options, &Inputs::Tokens(text), 30, 30));
    let size = model.arena_size(&options).expect("possible");
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
    assert_eq!(together, alone);
}

#[test]
fn a_restored_session_continues_with_the_same_bits() {
    for (name, recurrent) in recurrents().into_iter().filter(|(_, r)| r.direction == Direction::Forward) {
        let bytes = model(recurrent, encodings()[2].1, SEED);
        let model = Model::parse(&bytes).expect("parses");
        let inputs = Inputs::random(&recurrent, 40);
        let options = model.options(6);
        let expected = bits(&model, &Inline, options, &inputs, 40, 40);
        let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
        let mut session = model.session(&mut arena, options).expect("fits");
        inputs.feed(&mut session, 0..23);
        let mut saved = vec![0; session.saved_len()];
        assert_eq!(session.save(&mut saved), Ok(saved.len()));
        let then = session.logits().to_vec();
        inputs.feed(&mut session, 0..9);

        // A session that remembers less, and has a smaller batch.
        let other = SessionOptions { context: 4, batch: 3, ..options };
        let mut other_arena = AlignedBytes::zeroed(model.arena_size(&other).expect("possible"));
        let mut other = model.session(&mut other_arena, other).expect("fits");
        for session in [&mut session, &mut other] {
            session.load(&saved).expect("it was taken from this model");
            assert_eq!((session.position(), session.logits()), (23, &then[..]));
            let rest = inputs.feed(session, 23..40);
            assert_eq!(rest, expected[23 * recurrent.outputs()..], "{name}");
        }
    }
}

#[test]
fn a_damaged_or_foreign_snapshot_is_refused_and_changes_nothing() {
    let bytes = model(lstm(), encodings()[2].1, SEED);
    let foreign = model(lstm(), encodings()[2].1, SEED + 1);
    let model = Model::parse(&bytes).expect("parses");
    let options = model.options(20);
    let size = model.arena_size(&options).expect("possible");
    let (mut arena, mut other) = (AlignedBytes::zeroed(size), AlignedBytes::zeroed(size));
    let mut session = model.session(&mut arena, options).expect("fits");
    session.feed(&[Token(5); 7]).expect("fits");
    let mut saved = vec![0; session.saved_len()];
    session.save(&mut saved).expect("the buffer fits");
    session.feed(&[Token(6)]).expect("fits");
    let before = session.logits().to_vec();
    for i in (0..saved.len()).step_by(7).chain(0..28) {
        let mut damaged = saved.clone();
        damaged[i] ^= 0x10;
        assert!(matches!(session.load(&damaged), Err(Error::Snapshot { .. })), "byte {i}");
    }
    for len in 0..saved.len() {
        assert!(matches!(session.load(&saved[..len]), Err(Error::Snapshot { .. })), "length {len}");
    }
    assert_eq!((session.position(), session.logits()), (8, &before[..]));
    let foreign = Model::parse(&foreign).expect("parses");
    let mut foreign = foreign.session(&mut other, options).expect("fits");
    assert!(matches!(foreign.load(&saved), Err(Error::Snapshot { .. })));
}

#[test]
fn positions_have_no_limit_and_memory_does_not_grow() {
    let bytes = model(lstm(), encodings()[2].1, SEED);
    let model = Model::parse(&bytes).expect("parses");
    let options = SessionOptions { batch: 50, ..model.options(4) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let text: Vec<Token> = (0..1000).map(|i| Token(i % 67)).collect();
    for part in text.chunks(313) {
        session.feed(part).expect("there is no limit");
    }
    assert_eq!((session.position(), session.left()), (1000, usize::MAX - 1000));
    assert!(session.tokens().eq(text[996..].iter().copied()));
    session.truncate(1000).expect("where it is");
    assert!(matches!(session.truncate(999), Err(Error::Unsupported { .. })));
    assert_eq!(session.position(), 1000);
    session.truncate(0).expect("the beginning");
    let again = Inputs::Tokens(text).feed(&mut session, 0..30);
    assert_eq!(again, bits(&model, &Inline, options, &Inputs::random_text(30), 30, 30));
}

impl Inputs {
    /// Tokens 0, 1, 2, …
    fn random_text(count: u32) -> Self {
        Self::Tokens((0..count).map(Token).collect())
    }
}

#[test]
fn the_arena_is_exact_and_known_at_compile_time() {
    for (name, recurrent) in recurrents() {
        let bytes = model(recurrent, encodings()[2].1, SEED);
        let model = Model::parse(&bytes).expect("parses");
        let options = model.options(33);
        let needed = model.arena_size(&options).expect("possible");
        assert_eq!(needed, whit::arena_size(&bytes, 33), "{name}");
        let mut arena = AlignedBytes::zeroed(needed);
        assert!(model.session(&mut arena, options).is_ok());
        let short = model.session(&mut arena[..needed - 1], options).map(|_| ());
        assert_eq!(short, Err(Error::ArenaTooSmall { needed, found: needed - 1 }), "{name}");
        assert!(model.cache_size(&options).expect("possible") < needed);
        let bad = SessionOptions { context: 131_072, ..options };
        assert!(matches!(model.arena_size(&bad), Err(Error::Option { option: "context", .. })));
    }
}

#[test]
fn what_a_model_does_not_take_is_an_error_that_changes_nothing() {
    let named = |wanted: &str| recurrents().into_iter().find(|(name, _)| *name == wanted).expect("one").1;
    let run = |recurrent: Recurrent, act: &dyn Fn(&mut Session<'_, '_>)| {
        let bytes = model(recurrent, Encodings::all(whit::format::Encoding::F32), SEED);
        let model = Model::parse(&bytes).expect("parses");
        let options = model.options(9);
        let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
        let mut session = model.session(&mut arena, options).expect("fits");
        act(&mut session);
        assert_eq!(session.position(), 0);
        assert!(session.logits().iter().all(|&x| x == 0.0));
    };
    run(named("frames"), &|session| {
        assert!(matches!(session.feed(&[Token(0)]), Err(Error::Unsupported { .. })));
        assert_eq!(session.feed_frames(&[0.0; 14], |_, _| ()), Err(Error::Frames { width: 13, found: 14 }));
    });
    run(lstm(), &|session| {
        assert!(matches!(session.feed_frames(&[0.0; 21], |_, _| ()), Err(Error::Unsupported { .. })));
        let error = Error::TokenOutOfRange { token: 67, vocabulary: 67 };
        assert_eq!(session.feed(&[Token(1), Token(67)]), Err(error));
    });
    run(named("tagger"), &|session| {
        let most = session.options().batch;
        let long = vec![Token(1); most + 1];
        assert_eq!(session.feed(&long), Err(Error::SequenceTooLong { most, found: most + 1 }));
    });
}

#[test]
fn a_tagger_reads_every_call_as_a_whole_sequence() {
    let (_, tagger) = recurrents().into_iter().find(|(name, _)| *name == "tagger").expect("one");
    let bytes = model(tagger, encodings()[2].1, SEED);
    let model = Model::parse(&bytes).expect("parses");
    let options = SessionOptions { batch: 20, ..model.options(9) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let inputs = Inputs::random(&tagger, 20);
    let first = inputs.feed(&mut session, 0..11);
    inputs.feed(&mut session, 3..20);
    assert_eq!(inputs.feed(&mut session, 0..11), first);
    assert_eq!(session.position(), 11);
}

#[test]
fn text_is_generated_and_continued_as_if_in_one_go() {
    let bytes = whole::whole(lstm(), encodings()[3].1, tokenizers::characters(), SEED);
    assert!(whole::transcript_holds(&bytes));
    let model = Model::parse(&bytes).expect("parses");
    let options = model.options(50);
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut text = |prompts: &[&str]| -> Vec<u32> {
        let mut session = model.session(&mut arena, options).expect("fits");
        for prompt in prompts {
            session.generate(prompt, &sampling).expect("text").max_tokens(0).for_each(drop);
        }
        session.logits().iter().map(|logit| logit.to_bits()).collect()
    };
    // An empty prompt reads nothing, and needs the logits that the state gives.
    assert_eq!(text(&["the end", ""]), text(&["the end"]));
    assert_eq!(text(&["the ", "end"]), text(&["the end"]));
}

#[test]
fn a_model_that_gives_no_logits_of_tokens_generates_nothing() {
    let (_, tagger) = recurrents().into_iter().find(|(name, _)| *name == "tagger").expect("one");
    let vocabulary = tokenizers::vocabulary(&tokenizers::characters());
    let tagger = Recurrent { vocabulary, ..tagger };
    let weights = whit_tests::synthetic::random_weights(tagger, SEED);
    let bytes = whit_tests::synthetic::model_with(
        Architecture::from(tagger),
        encodings()[0].1,
        &tokenizers::characters(),
        weights,
    );
    let model = Model::parse(&bytes).expect("parses");
    let mut arena = AlignedBytes::zeroed(model.arena_size(&model.options(9)).expect("possible"));
    let mut session = model.session(&mut arena, model.options(9)).expect("fits");
    assert!(matches!(session.generate("the", &Sampling::default()), Err(Error::Unsupported { .. })));
}
