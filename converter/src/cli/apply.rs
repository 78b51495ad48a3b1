//! `whit apply`: what a model gives for frames or tokens, vector by vector.

use super::compute::{BATCH, BackendArg, ThreadsArg};
use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{print, print_json};
use crate::arena::Arena;
use crate::export::write_whole;
use crate::map::Map;
use crate::npy::{self, Array, Numbers};
use std::path::{Path, PathBuf};
use whit::format::{Direction, IntegerFile};
use whit::integer::IntegerModel;
use whit::parallel::Workers;
use whit::{Error, Model, Session, SessionOptions, Token};

/// Compute what a model makes of frames of real numbers, or of tokens
///
/// For models of sensors and sounds, taggers and classifiers: recurrent ones, and chains of integer layers, which take
/// the frames in their input's steps and give their output's. One line per output vector. A model that reads forward
/// takes any length; one that reads from both ends at most 4096 at a time.
///
/// JSON keys: file, input, output, count (frames or tokens), outputs (numbers in a vector), vectors (a list of numbers
/// each, unless they went to --output).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit file
    file: PathBuf,
    /// Frames: .npy of float32 or float64, row by row, or bare little-endian f32. Tokens: .npy of whole numbers
    input: PathBuf,
    /// Write the vectors here instead: .npy if it is called so, else bare little-endian f32
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadsArg,
    #[command(flatten)]
    backend: BackendArg,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report<'a> {
    file: String,
    input: String,
    output: Option<String>,
    count: usize,
    outputs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<Vec<&'a [f32]>>,
}

/// What came out, `[vectors][width]`, of so many frames or tokens.
struct Found {
    count: usize,
    width: usize,
    numbers: Vec<f32>,
}

impl Found {
    fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.numbers.chunks(self.width.max(1))
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let file = ModelFile::open(&args.file)?;
    let about = Failure::about(&args.input);
    let map = Map::open(&args.input).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
    let array = npy::read(&map).map_err(|problem| about(&problem))?;
    let found = if IntegerFile::is_one(file.bytes()) {
        integer(&args, &file, array)?
    } else {
        real(&args, &file, array)?
    };
    if let Some(output) = &args.output {
        write(output, &found)?;
    }
    report(&args, &file, &found)
}

fn report(args: &Args, file: &ModelFile, found: &Found) -> Result<(), Failure> {
    let output = args.output.as_ref().map(|output| output.display().to_string());
    match (args.json, output) {
        (true, output) => print_json(&Report {
            file: file.name(),
            input: args.input.display().to_string(),
            count: found.count,
            outputs: found.width,
            vectors: output.is_none().then(|| found.vectors().collect()),
            output,
        }),
        (false, Some(output)) => {
            print(format_args!("{output}: {} × {}\n", found.vectors().count(), found.width))
        }
        (false, None) => print(text(found)),
    }
}

/// Through a chain of integer layers.
fn integer(args: &Args, file: &ModelFile, array: Array) -> Result<Found, Failure> {
    let about = Failure::about(&args.input);
    let model = IntegerModel::parse(file.bytes()).map_err(|error| file.fail(&error))?;
    let model = args.backend.backend()?.map_or(model, |backend| model.with_backend(backend));
    let (width, frame) = (model.file().chain.outputs(), model.file().chain.inputs());
    let Numbers::Real(frames) = array.numbers else {
        return Err(about(&format_args!("expected real numbers [frames, {frame}], found whole ones")));
    };
    let mut steps = vec![0; frames.len()];
    model.quantize(&frames, &mut steps);
    let mut arena = Arena::new(model.arena_size())?;
    let mut session = model.session(arena.bytes()).map_err(|error| file.fail(&error))?;
    let (mut numbers, mut vector) = (Vec::new(), vec![0.0; width]);
    session
        .feed(&steps, |steps| {
            model.dequantize(steps, &mut vector);
            numbers.extend(&vector);
        })
        .map_err(|error| about(&error))?;
    Ok(Found { count: frames.len() / frame, width, numbers })
}

/// Through any other model.
fn real(args: &Args, file: &ModelFile, array: Array) -> Result<Found, Failure> {
    let about = Failure::about(&args.input);
    let model = args.backend.apply(file.model()?)?;
    let inputs = inputs(&model, array).map_err(|problem| about(&problem))?;
    let pool = args.threads.pool(&model)?;
    let numbers = apply(&model, &pool, &inputs)?.map_err(|error| about(&error))?;
    let width = model.architecture().outputs();
    Ok(Found { count: numbers.len() / width, width, numbers })
}

/// What is fed.
enum Inputs {
    Tokens(Vec<Token>),
    Frames(Vec<f32>),
}

/// The numbers of the array as the model takes them; bare numbers have no shape but their count.
fn inputs(model: &Model<'_>, array: Array) -> Result<Inputs, String> {
    let frame = model.architecture().recurrent().filter(|recurrent| recurrent.vocabulary == 0);
    let Array { shape, numbers, bare } = array;
    match (frame, numbers) {
        (Some(recurrent), Numbers::Real(numbers))
            if bare || shape.get(1..) == Some(&[recurrent.input as usize]) =>
        {
            Ok(Inputs::Frames(numbers))
        }
        (Some(recurrent), _) => {
            Err(format!("expected real numbers [frames, {}], found another array {shape:?}", recurrent.input))
        }
        (None, Numbers::Whole(numbers)) if shape.len() == 1 => {
            let token = |&number: &i64| {
                u32::try_from(number).map(Token).map_err(|_| format!("expected token ids, found {number}"))
            };
            numbers.iter().map(token).collect::<Result<_, _>>().map(Inputs::Tokens)
        }
        (None, _) => Err(format!("expected whole numbers [tokens], found another array {shape:?}")),
    }
}

/// Everything that comes out; the inner error is about the input.
fn apply(
    model: &Model<'_>,
    workers: &dyn Workers,
    inputs: &Inputs,
) -> Result<Result<Vec<f32>, Error>, Failure> {
    let count = match inputs {
        Inputs::Tokens(tokens) => tokens.len(),
        Inputs::Frames(frames) => {
            frames.len() / model.architecture().recurrent().map_or(1, |r| r.input as usize)
        }
    };
    let recurrent = model.architecture().recurrent();
    let whole = recurrent.is_some_and(|recurrent| recurrent.direction != Direction::Forward);
    // A sequence that is read from its end is held as a whole.
    let batch = if whole { count.clamp(1, 4096) } else { BATCH.min(count.max(1)) };
    let context = model.architecture().context().map_or(1, |most| count.clamp(1, most as usize));
    let options = SessionOptions { batch, logits: batch, workers: workers.count(), ..model.options(context) };
    let failed = |error: Error| Failure::Failed(error.to_string());
    let mut arena = Arena::new(model.arena_size(&options).map_err(failed)?)?;
    let mut session = model.session_on(workers, arena.bytes(), options).map_err(failed)?;
    Ok(feed(&mut session, inputs))
}

fn feed(session: &mut Session<'_, '_>, inputs: &Inputs) -> Result<Vec<f32>, Error> {
    let mut found = Vec::new();
    let each = |_: usize, outputs: &[f32]| found.extend_from_slice(outputs);
    match inputs {
        Inputs::Tokens(tokens) => session.feed_each(tokens, each)?,
        Inputs::Frames(frames) => session.feed_frames(frames, each)?,
    }
    Ok(found)
}

fn write(out: &Path, found: &Found) -> Result<(), Failure> {
    let bytes = if out.extension().is_some_and(|kind| kind == "npy") {
        npy::encode(&[found.vectors().count(), found.width], &found.numbers)
    } else {
        found.numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    };
    write_whole(out, &bytes).map_err(|error| Failure::Failed(error.to_string()))
}

fn text(found: &Found) -> String {
    let line =
        |vector: &[f32]| vector.iter().map(|number| number.to_string()).collect::<Vec<_>>().join(" ") + "\n";
    found.vectors().map(line).collect()
}
