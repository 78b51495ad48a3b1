//! The arguments of `whit bench` that ask for energy, and what is said about it.

use super::energy::{energy, power};
use super::failure::Failure;
use super::output::{bytes, grouped};
use super::progress::Progress;
use super::table::pairs;
use crate::bench::{self, Asked, Options};
use crate::energy::method::{self, Failed, Figures, Report};
use crate::energy::model::{self, Class, Estimate, Memory};
use crate::energy::sysfs::Tree;
use crate::energy::{Source, find};
use clap::value_parser;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How energy is measured, if it is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct EnergyArgs {
    /// Also measure energy, with SOURCE or the first that works; `list` shows what there is
    ///
    /// SOURCE is powercap, hwmon:CHIP/RAIL, iio:CHIP, pmic, ina226:/dev/i2c-1@0x40,shunt=0.1 (or ina219, ina228, ina260)
    /// or ppk2:/dev/ttyACM0,ampere=3.3. Prefill and decode run again, in windows of their own. Idle draw is measured before
    /// and after and subtracted; both are stated. Without a source the exit code is 3: energy is never estimated unasked.
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    energy: Option<String>,
    /// The least that an energy window lasts; less than 10 is marked
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u16).range(1..=3600))]
    energy_seconds: u16,
    /// Energy windows, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(1..=100))]
    energy_repeats: u16,
    /// How long idle draw is measured, before and again after
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u16).range(1..=3600))]
    idle_seconds: u16,
    /// Look for sources of energy below DIR, where a container has the host's /sys
    #[arg(long, value_name = "DIR", default_value = "/")]
    energy_root: PathBuf,
    /// Also estimate the energy of a token on another device, from published figures
    ///
    /// CLASS is arithmetic-45nm, cpu-45nm, accelerator-7nm or cortex-m4, with /dram or /sram behind it for where the
    /// weights are. An estimate counts multiplications and bytes of weights; it is no measurement.
    #[arg(long, value_name = "CLASS")]
    energy_model: Option<String>,
}

/// What the arguments ask for, opened.
pub(super) struct Energy {
    source: Option<Box<dyn Source>>,
    method: method::Options,
    estimate: Option<(Class, Memory)>,
}

/// The shortest window of MLPerf Tiny, in s.
const SHORTEST: f64 = 10.0;
/// Idle draw that changed by more than this share of the load is remarked upon.
const STEADY: f64 = 0.05;

impl EnergyArgs {
    /// Whether only the sources are to be shown; they then have been.
    pub(super) fn list(&self, json: bool) -> Result<bool, Failure> {
        let wanted = self.energy.as_deref() == Some("list");
        if wanted {
            super::energy::list(&self.energy_root, json)?;
        }
        Ok(wanted)
    }

    /// Opens the source before anything is measured: who asks for energy does not want to wait for its absence.
    pub(super) fn open(&self) -> Result<Energy, Failure> {
        let source =
            self.energy.as_ref().map(|name| find::open(&Tree::at(&self.energy_root), name)).transpose()?;
        let usage = |message| Failure::Usage(format!("--energy-model: {message}"));
        let method = method::Options {
            window: Duration::from_secs(self.energy_seconds.into()),
            repeats: usize::from(self.energy_repeats),
            idle: Duration::from_secs(self.idle_seconds.into()),
        };
        let estimate = self.energy_model.as_deref().map(model::parse).transpose().map_err(usage)?;
        Ok(Energy { source, method, estimate })
    }
}

impl Energy {
    /// Measures and estimates, as it was asked for, and adds that to the report on the file.
    pub(super) fn add(
        &mut self,
        report: &mut bench::Report,
        file: &Path,
        options: &Options,
    ) -> Result<(), Failure> {
        if self.source.is_none() && self.estimate.is_none() {
            return Ok(());
        }
        let measure = match &mut self.source {
            Some(source) => Some((&mut **source as &mut dyn Source, self.method)),
            None => None,
        };
        let asked = Asked { measure, estimate: self.estimate };
        let mut progress = Progress::new("energy");
        let found =
            bench::energy(file, options, asked, |done, total| progress.set(done as u64, total as u64));
        (report.energy, report.estimate) = found.map_err(|failed| match failed {
            Failed::Source(error) => error.into(),
            Failed::Work(message) => Failure::Failed(message),
        })?;
        Ok(())
    }
}

/// What was measured and estimated, as text.
pub(super) fn text(report: &bench::Report) -> String {
    report.energy.as_ref().map(energy_text).unwrap_or_default()
        + &report.estimate.as_ref().map(estimate_text).unwrap_or_default()
}

fn energy_text(report: &Report) -> String {
    let unsteady =
        if report.drift() > STEADY { "; it was not steady, so net energy is uncertain" } else { "" };
    let short = if report.window_seconds < SHORTEST { ", shorter than the 10 s of the method" } else { "" };
    let repeats = report.works.first().map_or(0, |work| work.windows.len());
    let mut lines = vec![
        ("energy from", format!("{}: {}", report.source, report.describes)),
        (
            "idle draw",
            format!(
                "{} before, {} after ({} s each); their mean is subtracted{unsteady}",
                power(report.idle_watts_before),
                power(report.idle_watts_after),
                report.idle_seconds
            ),
        ),
        ("windows", format!("{repeats} of {} s or more{short}; medians", report.window_seconds)),
    ];
    lines.extend(report.works.iter().map(|work| (work.name.as_str(), figures_text(work))));
    pairs(&lines)
}

fn figures_text(figures: &Figures) -> String {
    let [least, most] = figures.net_joules_range.map(energy);
    format!(
        "{} net a {} ({least} to {most}), {} gross; {} drawn at {} tokens/s, {:.1} samples/s",
        energy(figures.net_joules),
        figures.unit,
        energy(figures.gross_joules),
        power(figures.watts),
        grouped(figures.units_per_s().round() as u64),
        figures.samples_per_s
    )
}

/// Every line says that it is an estimate.
fn estimate_text(e: &Estimate) -> String {
    let memory = format!("{:?}", e.memory).to_lowercase();
    let mut lines = vec![(
        "estimate",
        format!(
            "{} a token, not measured: {} ({}); {} for {} multiplications, {} for {} from {memory}",
            energy(e.joules_per_token),
            e.class,
            e.describes,
            energy(e.arithmetic_joules),
            grouped(e.work.int8_macs + e.work.f32_macs),
            energy(e.memory_joules),
            bytes(e.work.bytes)
        ),
    )];
    lines.extend(e.sources.iter().map(|source| ("estimate from", source.clone())));
    pairs(&lines)
}

/// Energy of all files as a Markdown table; nothing if none was measured.
pub(super) fn markdown(reports: &[bench::Report]) -> String {
    let rows: String = reports
        .iter()
        .flat_map(|report| report.energy.iter().map(move |e| (report, e)))
        .flat_map(rows)
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n| energy | of | net J | gross J | W | idle W | source |\n|---|---|---:|---:|---:|---:|---|\n{rows}"
    )
}

fn rows((report, measured): (&bench::Report, &Report)) -> Vec<String> {
    let idle = measured.idle_watts();
    let row = |work: &Figures| {
        format!(
            "| {} | {} {} | {:.4e} | {:.4e} | {:.2} | {idle:.2} | {} |\n",
            report.file,
            work.name,
            work.unit,
            work.net_joules,
            work.gross_joules,
            work.watts,
            measured.source
        )
    };
    measured.works.iter().map(row).collect()
}
