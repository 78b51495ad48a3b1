//! Models that TensorFlow's converter wrote, against their own f32 form.

use crate::{file, float, imported, png, vectors};
use whit::integer::IntegerModel;
use whit::kernels::Backend;
use whit::{AlignedBytes, Error};
use whit_converter::import::tflite::Graph;
use whit_converter::integer::verify::verify;
use whit_converter::verify::Status;
use whit_tests::data::data;

/// Rows of an image.
const ROWS: usize = 28;

/// The images in `tests/files/digits`, digit 0 to digit 9.
fn images() -> Vec<Vec<f32>> {
    let bytes = file("images.bin");
    bytes
        .chunks_exact(ROWS * ROWS)
        .map(|image| image.iter().map(|&byte| f32::from(byte) / 255.0).collect())
        .collect()
}

/// The scores of ten digits, in steps of 1/256 from −128.
fn scores(model: &IntegerModel<'_>, image: &[f32]) -> Vec<i8> {
    let mut frames = vec![0; image.len()];
    model.quantize(image, &mut frames);
    vectors(model, &frames)
}

fn best(scores: &[i8]) -> usize {
    (0..scores.len()).max_by_key(|&digit| scores[digit]).expect("ten digits")
}

/// That an int8 model knows its digits, and no score is further than one step from the f32 model's.
fn reads_digits(float: &[u8], int8: &[u8], images: &[Vec<f32>]) {
    let graph = Graph::parse(float).expect("a whole file");
    let whit = imported(int8);
    let model = IntegerModel::parse(&whit).expect("a file that was just written");
    for (digit, image) in images.iter().enumerate() {
        let (scores, expected) = (scores(&model, image), float::run(&graph, image));
        assert_eq!(best(&scores), digit);
        for (score, expected) in scores.iter().zip(expected) {
            let steps = f32::from(*score) + 128.0;
            // 255 is the largest score that int8 has.
            let distance = (steps - (expected * 256.0).min(255.0)).abs();
            assert!(distance <= 1.0, "digit {digit}: {steps} steps, {} in f32", expected * 256.0);
        }
    }
}

#[test]
fn the_f32_model_gives_what_tensorflow_lite_gave() {
    let (bytes, recorded) = (file("float.tflite"), file("float.bin"));
    let graph = Graph::parse(&bytes).expect("a whole file");
    let recorded: Vec<f32> = recorded.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    for (image, recorded) in images().iter().zip(recorded.chunks_exact(10)) {
        for (found, recorded) in float::run(&graph, image).iter().zip(recorded) {
            assert!((found - recorded).abs() <= 1e-5, "{found}, {recorded}");
        }
    }
}

#[test]
fn int8_models_read_their_digits() {
    let float = file("float.tflite");
    for int8 in ["int8.tflite", "per_channel.tflite"] {
        reads_digits(&float, &file(int8), &images());
    }
}

#[test]
fn int8_scores_are_within_a_step_of_tensorflow_lite() {
    // Its own LSTM computes sigmoid and tanh by polynomials, not by the table of the micro runtime.
    let (whit, recorded) = (imported(&file("int8.tflite")), file("int8.bin"));
    let model = IntegerModel::parse(&whit).expect("a whole file");
    for (image, recorded) in images().iter().zip(recorded.chunks_exact(10)) {
        for (found, &recorded) in scores(&model, image).iter().zip(recorded) {
            assert!((i16::from(*found) - i16::from(recorded as i8)).abs() <= 1);
        }
    }
}

#[test]
#[ignore = "needs models/tflm in the data directory, which not every copy of it has"]
fn tensorflow_lite_micros_mnist_model_reads_its_digits() {
    let Some(folder) = data("models/tflm/mnist_lstm") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("the file can be read");
    let images: Vec<Vec<f32>> = (0..10)
        .map(|digit| {
            let (width, pixels) = png::read(&read(&format!("samples/sample{digit}.png")));
            assert_eq!((width, pixels.len()), (ROWS, ROWS * ROWS));
            pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
        })
        .collect();
    reads_digits(&read("trained_lstm.tflite"), &read("trained_lstm_int8.tflite"), &images);
}

#[test]
fn every_backend_and_split_gives_the_same_vectors() {
    let whit = imported(&file("int8.tflite"));
    let model = IntegerModel::parse(&whit).expect("a whole file");
    let mut frames = vec![0; 2 * ROWS * ROWS];
    model.quantize(&images()[3..5].concat(), &mut frames);
    let expected = vectors(&model, &frames);
    assert_eq!(expected.len(), 20, "a vector for every 28 frames");
    for backend in Backend::available() {
        let model = model.with_backend(backend);
        for split in [1, 5, 28, 41] {
            let mut arena = AlignedBytes::zeroed(model.arena_size());
            let mut session = model.session(&mut arena).expect("an arena");
            let mut found: Vec<i8> = Vec::new();
            for part in frames.chunks(split * ROWS) {
                session.feed(part, |vector| found.extend(vector)).expect("whole frames");
            }
            assert_eq!(found, expected, "{}, {split} frames at a time", backend.name());
        }
    }
}

#[test]
fn a_state_is_a_value() {
    let whit = imported(&file("int8.tflite"));
    let model = IntegerModel::parse(&whit).expect("a whole file");
    let mut frames = vec![0; ROWS * ROWS];
    model.quantize(&images()[7], &mut frames);
    let expected = vectors(&model, &frames);
    let mut arenas = [(); 2].map(|()| AlignedBytes::zeroed(model.arena_size()));
    let [first, second] = &mut arenas;
    let mut session = model.session(first).expect("an arena");
    let (begin, end) = frames.split_at(11 * ROWS);
    session.feed(begin, |_| panic!("no vector is complete")).expect("whole frames");
    let saved = session.state().to_vec();
    session.feed(begin, |_| ()).expect("whole frames");
    // Another session, after another stream, goes on where the first one was.
    let mut other = model.session(second).expect("an arena");
    other.feed(&frames[ROWS..], |_| ()).expect("whole frames");
    for session in [&mut other, &mut session] {
        session.load(&saved).expect("a state of this model");
        let mut found: Vec<i8> = Vec::new();
        session.feed(end, |vector| found.extend(vector)).expect("whole frames");
        assert_eq!(found, expected);
    }
    other.reset();
    let mut found: Vec<i8> = Vec::new();
    other.feed(&frames, |vector| found.extend(vector)).expect("whole frames");
    assert_eq!(found, expected);
    assert_eq!(other.feed(&frames[1..], |_| ()), Err(Error::Frames { width: ROWS, found: ROWS * ROWS - 1 }));
    assert!(matches!(other.load(&saved[1..]), Err(Error::Snapshot { .. })));
}

#[test]
fn what_was_imported_verifies() {
    let whit = imported(&file("int8.tflite"));
    let mut checks = Vec::new();
    verify(&whit, |check| checks.push(check));
    assert!(checks.iter().all(|check| check.status == Status::Ok), "{checks:?}");
    assert_eq!(checks.len(), 3 + Backend::available().count());
    assert_eq!(imported(&file("int8.tflite"))[..], whit[..], "the same input gives the same bytes");
}

#[test]
fn real_numbers_round_half_away_from_zero() {
    let whit = imported(&file("int8.tflite"));
    let model = IntegerModel::parse(&whit).expect("a whole file");
    let input = model.file().chain.input();
    let steps = [0.0, 0.49, 0.5, 1.5, -0.5, 300.0, -300.0, f32::NAN, f32::INFINITY];
    let real = steps.map(|steps| steps * input.scale);
    let mut found = [0; 9];
    model.quantize(&real, &mut found);
    let zero = i32::from(input.zero_point);
    let expected = [0, 0, 1, 2, -1, 300, -300, 0, i32::MAX];
    assert_eq!(found, expected.map(|steps| (zero.saturating_add(steps)).clamp(-128, 127) as i8));
}
