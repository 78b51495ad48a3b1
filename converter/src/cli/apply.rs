//! `whit apply`: frames of real numbers through a model that takes them.

use super::compute::BackendArg;
use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{print, print_json};
use crate::arena::Arena;
use crate::export::write_whole;
use crate::frames;
use crate::map::Map;
use std::path::{Path, PathBuf};
use whit::format::{Direction, IntegerFile};
use whit::integer::IntegerModel;
use whit::{Error, SessionOptions};

/// Compute what a model makes of frames of real numbers, for models of sensors and sound
///
/// One line per output vector. A chain of integer layers takes the frames in its input's steps and gives its output's.
///
/// JSON keys: file, frames (how many), vectors (a list of numbers each).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The .whit file
    file: PathBuf,
    /// The frames: .npy of f32, row-major, of any shape that is whole frames; or bare little-endian f32
    frames: PathBuf,
    /// Write the vectors here instead: .npy if it is called so, else bare little-endian f32
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArg,
    /// Report as JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report<'a> {
    file: String,
    frames: usize,
    vectors: Vec<&'a [f32]>,
}

/// What came out, `[..][width]`.
struct Vectors {
    frames: usize,
    width: usize,
    numbers: Vec<f32>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let file = ModelFile::open(&args.file)?;
    let about = Failure::about(&args.frames);
    let map = Map::open(&args.frames).map_err(|error| about(&format_args!("cannot be read: {error}")))?;
    let frames = frames::read(&map).map_err(|problem| about(&problem))?;
    let vectors = if IntegerFile::is_one(file.bytes()) {
        integer(&args, &file, &frames)?
    } else {
        real(&args, &file, &frames)?
    };
    match &args.output {
        Some(out) => write(out, &vectors),
        None if args.json => {
            let lines = vectors.numbers.chunks(vectors.width.max(1)).collect();
            print_json(&Report { file: file.name(), frames: vectors.frames, vectors: lines })
        }
        None => print(text(&vectors)),
    }
}

/// Through a chain of integer layers.
fn integer(args: &Args, file: &ModelFile, frames: &[f32]) -> Result<Vectors, Failure> {
    let model = IntegerModel::parse(file.bytes()).map_err(|error| file.fail(&error))?;
    let model = args.backend.backend()?.map_or(model, |backend| model.with_backend(backend));
    let (width, frame) = (model.file().chain.outputs(), model.file().chain.inputs());
    let mut steps = vec![0; frames.len()];
    model.quantize(frames, &mut steps);
    let mut arena = Arena::new(model.arena_size())?;
    let mut session = model.session(arena.bytes()).map_err(|error| file.fail(&error))?;
    let (mut numbers, mut vector) = (Vec::new(), vec![0.0; width]);
    session
        .feed(&steps, |steps| {
            model.dequantize(steps, &mut vector);
            numbers.extend(&vector);
        })
        .map_err(|error| Failure::about(&args.frames)(&error))?;
    Ok(Vectors { frames: frames.len() / frame, width, numbers })
}

/// Through a recurrent model, which may want the whole sequence at once.
fn real(args: &Args, file: &ModelFile, frames: &[f32]) -> Result<Vectors, Failure> {
    let model = args.backend.apply(file.model()?)?;
    let Some(recurrent) = model.architecture().recurrent().filter(|recurrent| recurrent.vocabulary == 0)
    else {
        return Err(file.fail(&"the model takes tokens, not frames; `whit run` continues a text with it"));
    };
    let (frame, width) = (recurrent.input as usize, recurrent.outputs());
    let options = model.options(1);
    let whole = recurrent.direction != Direction::Forward;
    let batch = if whole { (frames.len() / frame).max(1) } else { options.batch };
    let options = SessionOptions { batch, ..options };
    let fail = |error: Error| match error {
        Error::Frames { .. } | Error::SequenceTooLong { .. } | Error::Option { .. } => {
            Failure::about(&args.frames)(&error)
        }
        error => file.fail(&error),
    };
    let mut arena = Arena::new(model.arena_size(&options).map_err(fail)?)?;
    let mut session = model.session(arena.bytes(), options).map_err(|error| file.fail(&error))?;
    let mut numbers = Vec::new();
    session.feed_frames(frames, |_, vector| numbers.extend(vector)).map_err(fail)?;
    Ok(Vectors { frames: frames.len() / frame, width, numbers })
}

fn write(out: &Path, vectors: &Vectors) -> Result<(), Failure> {
    let bytes = if out.extension().is_some_and(|kind| kind == "npy") {
        frames::to_npy(&vectors.numbers, vectors.width)
    } else {
        vectors.numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    };
    write_whole(out, &bytes).map_err(|error| Failure::Failed(error.to_string()))
}

fn text(vectors: &Vectors) -> String {
    let line =
        |vector: &[f32]| vector.iter().map(|number| number.to_string()).collect::<Vec<_>>().join(" ") + "\n";
    vectors.numbers.chunks(vectors.width.max(1)).map(line).collect()
}
