//! How fast the files of a report are: measured turn by turn, or taken from measurements that were saved.

use super::Subject;
use crate::bench::statistics::{Ratio, median};
use crate::bench::{self, Options, Report, bench};
use serde::Serialize;
use std::path::Path;

/// Tokens per second of every run of one file, and what its measurement says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// Of decoding.
    pub decode: Vec<f64>,
    /// Of prefill.
    pub prefill: Vec<f64>,
    /// Net joules of a decoded token, if energy was measured as well.
    pub joules_per_token: Option<f64>,
    /// What it ran on and with: comparable measurements have the same.
    pub setting: String,
    /// Rounds that were unstable.
    pub unstable: usize,
    /// Why the last of them was.
    pub reasons: Vec<String>,
}

/// Medians of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Speeds {
    /// Tokens decoded per second.
    pub decode_tokens_per_s: f64,
    /// Tokens of the prompt per second.
    pub prefill_tokens_per_s: f64,
    /// Runs of each.
    pub runs: usize,
}

impl Measurement {
    /// Its medians.
    pub fn speeds(&self) -> Speeds {
        let [decode_tokens_per_s, prefill_tokens_per_s] =
            [&self.decode, &self.prefill].map(|runs| median(runs));
        Speeds { decode_tokens_per_s, prefill_tokens_per_s, runs: self.decode.len() }
    }

    /// Takes in what `whit bench` measured: the seam to it.
    fn add(&mut self, report: &Report) {
        let samples = |key: &str| report.samples.figures.get(key).cloned().unwrap_or_default();
        self.decode.extend(samples("decode_tokens_per_s"));
        self.prefill.extend(samples("prefill_tokens_per_s"));
        let works = report.energy.iter().flat_map(|energy| &energy.works);
        let decode = works.filter(|work| work.name == "decode").map(|work| work.net_joules).next_back();
        self.joules_per_token = decode.or(self.joules_per_token);
        self.setting = format!(
            "{}; {}, {} threads, {} and {} tokens",
            report.machine.line(),
            report.backend,
            report.threads,
            report.prompt_tokens,
            report.decode_tokens
        );
        let stability = &report.stability;
        if !stability.stable {
            self.unstable += 1;
            // Figures that the ratios do not stand on.
            let other = |reason: &&String| !reason.contains("_ms:") && !reason.contains("_cpu_s:");
            self.reasons = stability.reasons.iter().filter(other).cloned().collect();
        }
    }
}

/// Measures every file in each of `rounds` rounds, so that what else the machine does meets all of them.
///
/// # Errors
/// As [`bench`](fn@crate::bench::bench).
pub fn measure(
    files: &[&Path],
    options: &Options,
    rounds: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<Measurement>, String> {
    let mut measured = vec![Measurement::default(); files.len()];
    for round in 0..rounds {
        for (at, (file, measurement)) in files.iter().zip(&mut measured).enumerate() {
            let before = round * files.len() + at;
            let total = rounds * files.len() * 100;
            let report =
                bench(file, options, |done, of| progress(before * 100 + done * 100 / of.max(1), total))?;
            measurement.add(&report);
        }
    }
    Ok(measured)
}

/// The measurement of each of `files` in what `whit bench --json` saved to `saved`, by the files' names; `None` for
/// one that was not measured.
///
/// # Errors
/// A message if it cannot be read, or was made of another model than the file of that name is.
pub fn saved(saved: &Path, files: &[(&Path, String)]) -> Result<Vec<Option<Measurement>>, String> {
    let reports = bench::compare::read(saved)?;
    let of = |(file, fingerprint): &(&Path, String)| {
        let mut measurement = Measurement::default();
        for report in reports.iter().filter(|report| Path::new(&report.file).file_name() == file.file_name())
        {
            if report.fingerprint != *fingerprint {
                let (saved, file) = (saved.display(), file.display());
                return Err(format!(
                    "{saved}: {file} was another file when it was measured; measure it again"
                ));
            }
            measurement.add(report);
        }
        Ok((!measurement.decode.is_empty()).then_some(measurement))
    };
    files.iter().map(of).collect()
}

/// Time of the base over that of the variant, where both were measured.
pub(super) fn ratio(
    base: &Subject<'_>,
    variant: &Subject<'_>,
    of: impl Fn(&Measurement) -> &Vec<f64>,
) -> Option<Ratio> {
    let (base, variant) = base.speeds.as_ref().zip(variant.speeds.as_ref())?;
    let runs = |measurement| of(measurement).chunks(1).collect::<Vec<_>>();
    // Speeds, so the variant's goes above.
    Some(Ratio::of(&runs(base), &runs(variant), 0.5))
}

/// What to know of the speeds: settings that differ from the base's, and unstable measurements.
pub(super) fn notes(base: &Subject<'_>, variants: &[Subject<'_>]) -> Vec<String> {
    let mut notes = vec![];
    let setting = base.speeds.as_ref().map(|speeds| speeds.setting.as_str());
    notes.extend(setting.map(|setting| format!("speeds on {setting}")));
    for subject in core::iter::once(base).chain(variants) {
        let Some(speeds) = &subject.speeds else {
            notes.push(format!("{}: speed not measured", subject.file));
            continue;
        };
        if setting.is_some_and(|setting| setting != speeds.setting) {
            notes.push(format!("{}: measured otherwise, on {}", subject.file, speeds.setting));
        }
        if speeds.unstable > 0 {
            let (rounds, reasons) = (speeds.unstable, speeds.reasons.join("; "));
            notes.push(format!("~ {}: {rounds} unstable rounds, the last because: {reasons}", subject.file));
        }
    }
    notes
}
