//! What the command does with a recurrent model's file: verify, inspect, score, record a transcript.

use whit::parallel::Inline;
use whit::{AlignedBytes, Model, SessionOptions, Token};
use whit_converter::eval::{Text, Windows, evaluate};
use whit_converter::inspect::{Architecture, inspect};
use whit_converter::verify::{Status, verify};
use whit_tests::synthetic::{encodings, lstm, recurrents};
use whit_tests::{tokenizers, whole};

const SEED: u64 = 5;

fn file() -> AlignedBytes {
    whole::whole(lstm(), encodings()[3].1, tokenizers::characters(), SEED)
}

#[test]
fn every_check_of_a_language_model_holds_on_every_backend() {
    let mut golden = 0;
    verify(&file(), |check| {
        assert_eq!(check.status, Status::Ok, "{}: {}", check.name, check.detail);
        golden += usize::from(check.name.starts_with("golden"));
    });
    assert_eq!(golden, 2 * whit::kernels::Backend::available().count());
}

#[test]
fn a_tagger_has_no_transcript() {
    let (_, tagger) = recurrents().into_iter().find(|(name, _)| *name == "tagger").expect("one");
    let bytes = whit_tests::synthetic::model(tagger, encodings()[2].1, SEED);
    let mut absent = Vec::new();
    verify(&bytes, |check| {
        assert_ne!(check.status, Status::Failed, "{}: {}", check.name, check.detail);
        if check.status == Status::Absent {
            absent.push(check.name);
        }
    });
    assert_eq!(absent, ["tokenizer", "golden"]);
}

#[test]
fn inspection_shows_the_fields_and_the_state() {
    let bytes = file();
    let model = Model::parse(&bytes).expect("parses");
    let report = inspect(&model, &model.options(1)).expect("possible");
    let Architecture::Recurrent(words) = &report.architecture else { panic!("recurrent") };
    assert_eq!((words.cell, words.direction, &words.hidden[..]), ("lstm", "forward", &[35, 18][..]));
    // h and c of both layers, each padded to a multiple of 16.
    assert_eq!(report.memory.cache_bytes, 4 * 2 * (48 + 32));
    let parts: Vec<_> = report.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
}

/// A text is one window: every token is predicted from all before it.
#[test]
fn a_text_is_scored_as_a_whole() {
    let bytes = file();
    let model = Model::parse(&bytes).expect("parses");
    let text = "the end of the text ".repeat(40);
    let tokenizer = model.tokenizer().expect("one");
    let text = Text::new(text.as_bytes(), None);
    let windows = Windows::new(&text, tokenizer, None, usize::MAX).expect("it can be spelt");
    let found = evaluate(&model, None, &windows, &Inline, |_| ()).expect("scored");

    let all: Vec<(Vec<Token>, &[Token])> = windows.iter().collect();
    let [(fed, targets)] = &all[..] else { panic!("one window") };
    assert!(fed.len() > 500);
    let options = SessionOptions { batch: 7, ..model.options(1) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let mut nats = 0.0;
    let add = |i: usize, logits: &[f32]| {
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        nats += sum.ln() - f64::from(logits[targets[i].0 as usize]);
    };
    session.feed_each(fed, add).expect("there is no limit");
    let expected = nats / targets.len() as f64;
    assert!((found.score.nats_per_token - expected).abs() < 1e-9);
}
