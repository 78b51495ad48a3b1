//! What the commands do with chains of integer layers: importing them from `.tflite` files, showing what is in a file.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{bytes, grouped, print, print_json};
use super::table::{pairs, table};
use crate::import::tflite;
use crate::integer::inspect::{End, Report, inspect};
use crate::integer::write;
use serde::Serialize;
use std::path::Path;
use whit::integer::IntegerModel;

/// A report of `import` or `inspect`.
#[derive(Serialize)]
struct Named<'a> {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Makes `out` of the `.tflite` file at `path`, with `metadata` over its own.
pub(super) fn import(path: &Path, out: &Path, metadata: &[(&str, &str)], json: bool) -> Result<(), Failure> {
    let mut checkpoint = tflite::import(path).map_err(|error| Failure::Failed(error.to_string()))?;
    for &(key, value) in metadata {
        checkpoint.metadata.retain(|(found, _)| found != key);
        checkpoint.metadata.push((key.to_owned(), value.to_owned()));
    }
    write(&checkpoint, out).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    show(&ModelFile::open(out)?, Some(path), false, json)
}

/// Shows what is in `file`; `source` is what it was just made of.
pub(super) fn show(
    file: &ModelFile,
    source: Option<&Path>,
    tensors: bool,
    json: bool,
) -> Result<(), Failure> {
    let model = IntegerModel::parse(file.bytes()).map_err(|error| file.fail(&error))?;
    let report = inspect(&model);
    if json {
        let source = source.map(|path| path.display().to_string());
        return print_json(&Named { file: file.name(), source, report: &report });
    }
    print(text(&file.name(), &report, tensors))
}

fn text(file: &str, report: &Report, tensors: bool) -> String {
    let golden = report.golden.as_ref().map_or_else(
        || "none".to_owned(),
        |golden| format!("{} frames to {} vectors", golden.frames, golden.outputs),
    );
    let mut lines = vec![
        ("frames", end(&report.input)),
        ("vectors", end(&report.output)),
        ("frames per vector", report.frames_per_output.to_string()),
        ("parameters", format!("{} in {} tensors", grouped(report.parameters), report.tensors.len())),
        ("state of a stream", bytes(report.memory.state_bytes as u64)),
        ("arena of a session", bytes(report.memory.arena_bytes as u64)),
        ("golden record", golden),
    ];
    lines.extend(report.metadata.iter().map(|(key, value)| {
        // A value of several lines, such as a licence's text, is named by its first.
        (key.as_str(), value.lines().next().unwrap_or_default().to_owned())
    }));
    let layers = report.layers.iter().map(|layer| {
        vec![layer.kind.to_owned(), layer.inputs.to_string(), layer.outputs.to_string(), grouped(layer.macs)]
    });
    let rows: Vec<_> = layers.collect();
    let head = ["layer", ">inputs", ">outputs", ">products"];
    let mut text =
        format!("{file}: {}\n\n{}\n{}", bytes(report.file_bytes), pairs(&lines), table(&head, &rows));
    if tensors {
        let tensors = report.tensors.iter().map(|tensor| {
            let [rows, cols] = [tensor.rows, tensor.cols].map(|size| size.to_string());
            vec![tensor.name.clone(), tensor.encoding.to_owned(), rows, cols, grouped(tensor.bytes)]
        });
        let rows: Vec<_> = tensors.collect();
        let head = ["tensor", "encoding", ">rows", ">columns", ">bytes"];
        text.push_str(&format!("\n{}", table(&head, &rows)));
    }
    text
}

fn end(end: &End) -> String {
    format!("{} of int8, {} · (q − {})", end.width, end.scale, end.zero_point)
}
