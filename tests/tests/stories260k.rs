//! stories260K, a trained model, from llama2.c's files to text: the same text as llama2.c, the recorded logits, on
//! every backend and number of workers.

use whit::format::Encoding;
use whit::kernels::Backend;
use whit::parallel::{Inline, Workers};
use whit::threads::ThreadPool;
use whit::{AlignedBytes, Finish, Model, Sampling, SessionOptions, Token};
use whit_converter::import::huggingface;
use whit_tests::checkpoints::write_llama2c;
use whit_tests::data::data;
use whit_tests::imported::{encoded, file, largest_difference, logits, stories260k};
use whit_tests::loss::encode;
use whit_tests::npz;

/// The model at f32; `None` where there is no data.
fn f32_file() -> Option<AlignedBytes> {
    Some(file(&stories260k()?, &encoded(Encoding::F32, None)))
}

/// The tokens and logits that were recorded, `[201]` and `[201][512]`.
fn recorded() -> Option<(Vec<Token>, Vec<f64>)> {
    let path = data("goldens/stories260K/greedy.npz")?;
    let tokens = npz::read(&path, "token_ids").expect("token ids").values;
    let logits = npz::read(&path, "logits").expect("logits").values;
    Some((tokens.iter().map(|&token| Token(token as u32)).collect(), logits))
}

fn text(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(data(name)?).expect("readable"))
}

/// What greedy decoding without a prompt gives, and why it ended.
fn greedy(
    model: &Model<'_>,
    workers: &dyn Workers,
    max_tokens: usize,
) -> (String, Vec<Token>, Option<Finish>) {
    let options = SessionOptions { workers: workers.count(), ..model.options(257) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session_on(workers, &mut arena, options).expect("fits");
    let mut text = String::new();
    let mut generation =
        session.generate("", &Sampling::greedy()).expect("a beginning").max_tokens(max_tokens);
    generation.by_ref().for_each(|piece| text.push_str(&piece));
    let (finish, pending) = (generation.finish(), generation.pending());
    drop(generation);
    (text, session.tokens().chain(pending).collect(), finish)
}

#[test]
fn greedy_text_is_that_of_llama2c_on_every_backend_and_number_of_workers() {
    let (Some(bytes), Some(expected)) = (f32_file(), text("llama2c/expected_greedy_200.txt")) else { return };
    let Some((tokens, _)) = recorded() else { return };
    let model = Model::parse(&bytes).expect("parses");
    for backend in Backend::available() {
        for workers in 1..=3 {
            let pool = ThreadPool::new(workers).expect("threads start").eager();
            let (text, drawn, finish) = greedy(&model.with_backend(backend), &pool, 200);
            assert_eq!(text, expected, "{} with {workers} workers", backend.name());
            assert_eq!((drawn, finish), (tokens.clone(), Some(Finish::MaxTokens)), "{}", backend.name());
        }
    }
}

#[test]
fn the_text_of_256_tokens_is_what_run_c_prints() {
    let (Some(bytes), Some(printed)) = (f32_file(), text("goldens/stories260K/run.c_greedy_256.txt")) else {
        return;
    };
    let (text, _, finish) = greedy(&Model::parse(&bytes).expect("parses"), &Inline, 256);
    // run.c ends its output with a line break of its own.
    assert_eq!((format!("{text}\n"), finish), (printed, Some(Finish::MaxTokens)));
}

#[test]
fn the_tokens_that_llama2c_stops_at_end_a_text() {
    let Some(bytes) = f32_file() else { return };
    let model = Model::parse(&bytes).expect("parses");
    let stops = model.stops().expect("within the limits");
    assert_eq!([0, 1, 2, 3].map(|token| stops.is_stop_token(token)), [false, true, true, false]);
}

#[test]
fn logits_are_the_recorded_ones_on_every_backend() {
    let (Some(bytes), Some((tokens, expected))) = (f32_file(), recorded()) else { return };
    let model = Model::parse(&bytes).expect("parses");
    for backend in Backend::available() {
        let model = model.with_backend(backend);
        let found = logits(&model, &Inline, model.options(tokens.len()), &tokens);
        let largest = largest_difference(&found, expected.iter().copied());
        println!("{}: logits differ by up to {largest:.1e}", backend.name());
        assert!(largest < 1e-3, "{}: {largest}", backend.name());
    }
}

#[test]
fn the_text_encodes_to_the_tokens_that_spelled_it() {
    let (Some(bytes), Some(text)) = (f32_file(), text("llama2c/expected_greedy_200.txt")) else { return };
    let Some((tokens, _)) = recorded() else { return };
    let model = Model::parse(&bytes).expect("parses");
    assert_eq!(encode(&model, &text), tokens);
}

#[test]
fn the_same_model_in_hugging_face_layout_has_the_same_logits() {
    let (Some(checkpoint), Some((tokens, _))) = (stories260k(), recorded()) else { return };
    let Some(bin) = data("llama2c/stories260K.bin") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    write_llama2c(&bin, directory.path()).expect("written");
    let rewritten =
        huggingface::import(directory.path(), |_| Ok(checkpoint.tokenizer.clone())).expect("imported");
    let options = encoded(Encoding::F32, None);
    let [plain, rewritten] = [&checkpoint, &rewritten].map(|checkpoint| {
        let bytes = file(checkpoint, &options);
        let model = Model::parse(&bytes).expect("parses");
        logits(&model, &Inline, model.options(tokens.len()), &tokens)
    });
    let largest = largest_difference(&rewritten, plain.iter().map(|&logit| f64::from(logit)));
    println!("the two layouts differ by up to {largest:.1e}");
    // Only the order of the sums in attention scores differs; logits go to 20.
    assert!(largest < 1e-4, "{largest}");
}
