//! `random-checkpoint SHAPE DIR [--dtype f32|f16|bf16] [--shards N] [--seed S]`: a checkpoint with random weights.

use std::path::Path;
use std::process::ExitCode;
use whit_tests::checkpoints::{Dtype, Options, Shape, write};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (shape, directory, options) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("{problem}");
            eprintln!("usage: random-checkpoint SHAPE DIR [--dtype f32|f16|bf16] [--shards N] [--seed S]");
            eprintln!("shapes: {}", Shape::NAMES.join(", "));
            return ExitCode::from(2);
        }
    };
    match write(Path::new(directory), &shape, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<(Shape, &str, Options), String> {
    let mut options = Options::default();
    let mut plain = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--dtype" => {
                options.dtype = match value()?.as_str() {
                    "f32" => Dtype::F32,
                    "f16" => Dtype::F16,
                    "bf16" => Dtype::Bf16,
                    other => return Err(format!("--dtype: `{other}` is not f32, f16 or bf16")),
                }
            }
            "--shards" => options.shards = value()?.parse().map_err(|error| format!("--shards: {error}"))?,
            "--seed" => options.seed = value()?.parse().map_err(|error| format!("--seed: {error}"))?,
            _ => plain.push(argument.as_str()),
        }
    }
    let [shape, directory] = plain[..] else {
        return Err("a shape and a directory are needed".to_owned());
    };
    let shape = Shape::named(shape).ok_or_else(|| format!("no shape is called `{shape}`"))?;
    Ok((shape, directory, options))
}
