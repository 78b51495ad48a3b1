//! `whit bench --compare`: what changed between two measurements.

use super::text::number;
use super::{Args, markdown};
use crate::bench::compare::{Comparison, Figure, compare, read};
use crate::cli::failure::Failure;
use crate::cli::output::{note, print, print_json};
use crate::cli::table::table;
use std::path::Path;

pub(super) fn run(before: &Path, after: &Path, args: &Args) -> Result<(), Failure> {
    let comparisons = compare(&read(before)?, &read(after)?)?;
    if !args.allow_different {
        refuse_different(&comparisons)?;
    }
    if args.json {
        return print_json(&comparisons);
    }
    for comparison in &comparisons {
        if args.markdown { print(markdown(comparison))? } else { print(text(comparison))? }
    }
    note("ratios of medians, after over before, with 95 % bootstrap intervals over the runs");
    Ok(())
}

fn refuse_different(comparisons: &[Comparison]) -> Result<(), Failure> {
    let Some(different) = comparisons.iter().find(|comparison| !comparison.differences.is_empty()) else {
        return Ok(());
    };
    Err(Failure::Failed(format!(
        "{} and {} are not measurements of the same thing ({}); --allow-different compares them all the same",
        different.before,
        different.after,
        different.differences.join("; ")
    )))
}

const HEAD: [&str; 6] = ["figure", ">before", ">after", ">ratio", ">95 % interval", "verdict"];

fn text(comparison: &Comparison) -> String {
    let rows: Vec<_> = comparison.figures.iter().map(row).collect();
    format!("{}\n{}{}\n", names(comparison), table(&HEAD, &rows), remarks(comparison, "  "))
}

fn markdown(comparison: &Comparison) -> String {
    let head = HEAD.map(|name| name.trim_start_matches('>'));
    let rows = markdown::rows(&head, comparison.figures.iter().map(row));
    format!("**{}**\n\n{rows}\n{}\n", names(comparison), remarks(comparison, "- "))
}

fn names(comparison: &Comparison) -> String {
    if comparison.before == comparison.after {
        comparison.after.clone()
    } else {
        format!("{} → {}", comparison.before, comparison.after)
    }
}

fn row(figure: &Figure) -> Vec<String> {
    let (ratio, interval) = figure.ratio.map_or_else(
        || (number(figure.after / figure.before), "–".to_owned()),
        |ratio| (format!("{:.3}", ratio.ratio), format!("{:.3} to {:.3}", ratio.low, ratio.high)),
    );
    let verdict = figure.verdict.words().to_owned() + if figure.unstable { " ~" } else { "" };
    vec![figure.key.clone(), number(figure.before), number(figure.after), ratio, interval, verdict]
}

/// What is different, and what else to know.
fn remarks(comparison: &Comparison, start: &str) -> String {
    let unstable = comparison.figures.iter().any(|figure| figure.unstable);
    let warning =
        format!("{start}~ one of the two is not stable: the machine alone may have made the difference\n");
    let different = comparison.differences.iter().map(|what| format!("{start}different {what}\n"));
    let notes = comparison.notes.iter().map(|note| format!("{start}{note}\n"));
    unstable.then_some(warning).into_iter().chain(different).chain(notes).collect()
}
