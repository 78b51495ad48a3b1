//! The arguments of `whit bench` that ask for energy.

use super::energy::{energy, power};
use super::failure::Failure;
use super::output::bytes;
use super::table::pairs;
use crate::energy::method::{Failed, Figures, Options, Report, Work, measure};
use crate::energy::model::{self, Estimate};
use crate::energy::sysfs::Tree;
use crate::energy::{Source, find};
use clap::value_parser;
use std::path::PathBuf;
use std::time::Duration;

/// How energy is measured, if it is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct EnergyArgs {
    /// Also measure energy, with SOURCE or the first that works; `list` shows what there is
    ///
    /// SOURCE is powercap, hwmon:CHIP/RAIL, iio:CHIP, pmic, ina226:/dev/i2c-1@0x40,shunt=0.1 (or ina219, ina228, ina260)
    /// or ppk2:/dev/ttyACM0,ampere=3.3. Idle draw is measured before and after and subtracted; both are stated. Without a
    /// source the exit code is 3: energy is never estimated unasked.
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    energy: Option<String>,
    /// The least that an energy window lasts; below 10 is marked as short
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u16).range(1..=3600))]
    energy_seconds: u16,
    /// Energy windows, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(1..=100))]
    energy_repeats: u16,
    /// How long idle draw is measured, before and again after
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u16).range(1..=3600))]
    idle_seconds: u16,
    /// Look for sources below DIR, where a container has the host's /sys
    #[arg(long, value_name = "DIR", default_value = "/")]
    energy_root: PathBuf,
    /// Also estimate the energy of a token on another device, from published figures
    ///
    /// CLASS is arithmetic-45nm, cpu-45nm, accelerator-7nm or cortex-m4, with /dram or /sram behind it for where the
    /// weights are. An estimate counts multiplications and bytes of weights; it is no measurement.
    #[arg(long, value_name = "CLASS")]
    energy_model: Option<String>,
}

/// The shortest window of MLPerf Tiny.
const SHORTEST: u16 = 10;
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

    /// The source, before anything is measured: who asks for energy does not want to wait for its absence.
    pub(super) fn open(&self) -> Result<Option<Box<dyn Source>>, Failure> {
        let Some(name) = &self.energy else { return Ok(None) };
        Ok(Some(find::open(&Tree::at(&self.energy_root), name)?))
    }

    /// Measures `works` with an open source.
    pub(super) fn measure(
        &self,
        source: &mut dyn Source,
        works: &mut [Work<'_>],
        progress: impl FnMut(usize, usize),
    ) -> Result<Report, Failure> {
        let options = Options {
            window: Duration::from_secs(self.energy_seconds.into()),
            repeats: usize::from(self.energy_repeats),
            idle: Duration::from_secs(self.idle_seconds.into()),
        };
        measure(source, &options, works, progress).map_err(|failed| match failed {
            Failed::Source(error) => error.into(),
            Failed::Work(message) => Failure::Failed(message),
        })
    }

    /// The estimate that was asked for, of the model in `file`.
    pub(super) fn estimate(&self, file: &whit::format::File<'_>) -> Result<Option<Estimate>, Failure> {
        let Some(text) = &self.energy_model else { return Ok(None) };
        let usage = |message| Failure::Usage(format!("--energy-model: {message}"));
        let (class, memory) = model::parse(text).map_err(usage)?;
        model::estimate(class, memory, model::Work::of(file)).map(Some).map_err(usage)
    }

    /// That windows are shorter than the method asks for, or that they are not.
    fn window_note(&self) -> &'static str {
        if self.energy_seconds < SHORTEST { " (shorter than the 10 s that the method asks for)" } else { "" }
    }

    /// What was measured, as text.
    pub(super) fn text(&self, report: &Report) -> String {
        let unsteady = if report.drift() > STEADY { "; unsteady, so net energy is uncertain" } else { "" };
        let mut lines = vec![
            ("energy source", format!("{}: {}", report.source, report.describes)),
            (
                "idle draw",
                format!(
                    "{} before and {} after, {} s each; their mean is subtracted{unsteady}",
                    power(report.idle_watts_before),
                    power(report.idle_watts_after),
                    report.idle_seconds
                ),
            ),
        ];
        for work in &report.works {
            lines.push((work.name, figures_text(work)));
        }
        let repeats = self.energy_repeats;
        lines.push((
            "windows",
            format!("{} s or more{}, medians of {repeats}", self.energy_seconds, self.window_note()),
        ));
        pairs(&lines)
    }
}

fn figures_text(figures: &Figures) -> String {
    let [least, most] = figures.net_joules_range.map(energy);
    format!(
        "{} net a {} ({least} to {most}), {} gross, {} drawn, {:.1} samples a second",
        energy(figures.net_joules),
        figures.unit,
        energy(figures.gross_joules),
        power(figures.watts),
        figures.samples_per_s
    )
}

/// An estimate as text: every line says that it is one.
pub(super) fn estimate_text(estimate: &Estimate) -> String {
    let e = estimate;
    let memory = format!("{:?}", e.memory).to_lowercase();
    let mut text = pairs(&[(
        "estimate",
        format!(
            "{} a token on {} ({}): {} for {} multiplications, {} for {} from {memory}; not measured",
            energy(e.joules_per_token),
            e.class.name,
            e.class.describes,
            energy(e.arithmetic_joules),
            e.work.int8_macs + e.work.f32_macs,
            energy(e.memory_joules),
            bytes(e.work.bytes)
        ),
    )]);
    for source in e.class.sources {
        text += &pairs(&[("estimate from", (*source).to_owned())]);
    }
    text
}
