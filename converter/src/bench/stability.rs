//! Whether a measurement can be trusted: how far its runs agree, and whether the machine stayed as it was.

use super::scaling::is_paired;
use super::statistics::Summary;
use crate::machine::{Conditions, Machine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A clock that changed by more than this share changed the figures with it.
const CLOCK: f64 = 0.05;

/// Degrees between before and after that say that the machine was still warming up or cooling down.
const HEAT: f64 = 10.0;

/// Processes beyond the number of CPUs that the load average may show: it counts short-lived ones too.
const LOAD: f64 = 0.5;

/// The share of the time in which all threads must have had a CPU: below, others had it.
const CPU_SHARE: f64 = 0.95;

/// The verdict on one report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// Whether every figure is.
    pub stable: bool,
    /// How wide the 95 % interval of a median may be, as a share of the median.
    pub spread_limit: f64,
    /// Keys of the figures that are not.
    pub unstable: Vec<String>,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
}

/// What a verdict stands on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Each figure's runs, by its key.
    pub summaries: &'a BTreeMap<String, Summary>,
    /// The machine.
    pub machine: &'a Machine,
    /// Its state before.
    pub before: &'a Conditions,
    /// Its state after.
    pub after: &'a Conditions,
    /// CPU time over wall-clock time and threads.
    pub cpu_share: Option<f64>,
}

impl Stability {
    /// Judges. A reason that concerns the whole machine makes every figure unstable but ratios within turns, which met the
    /// same machine; want of CPU time all but those and those per CPU second.
    pub fn judge(evidence: &Evidence<'_>, spread_limit: f64) -> Self {
        let mut reasons = machine_reasons(evidence);
        let everything = !reasons.is_empty();
        let crowded = evidence.cpu_share.filter(|&share| share < CPU_SHARE);
        if let Some(share) = crowded {
            reasons.push(format!("the threads had a CPU for only {:.0} % of the time", 100.0 * share));
        }
        let (mut unstable, mut wide) = (vec![], vec![]);
        for (key, summary) in evidence.summaries {
            let is_wide = summary.spread() > spread_limit;
            if is_wide {
                wide.push(format!("{key} {:.1} % ({} runs)", 100.0 * summary.spread(), summary.runs));
            }
            let disturbed = everything || (crowded.is_some() && !key.contains("cpu"));
            if is_wide || (disturbed && !is_paired(key)) {
                unstable.push(key.clone());
            }
        }
        if !wide.is_empty() {
            let limit = 100.0 * spread_limit;
            reasons
                .push(format!("95 % intervals of the median wider than {limit:.1} %: {}", wide.join(", ")));
        }
        Self { stable: unstable.is_empty(), spread_limit, unstable, reasons }
    }

    /// ` ~` behind a figure that is not stable.
    pub fn mark(&self, key: &str) -> &'static str {
        if self.unstable.iter().any(|unstable| unstable == key) { " ~" } else { "" }
    }
}

fn machine_reasons(evidence: &Evidence<'_>) -> Vec<String> {
    let Evidence { machine, before, after, .. } = evidence;
    let mut reasons = vec![];
    if let Some((then, now)) =
        before.mhz.zip(after.mhz).filter(|(then, now)| (now / then - 1.0).abs() > CLOCK)
    {
        reasons.push(format!("the clock went from {then:.0} to {now:.0} MHz"));
    }
    if let Some((then, now)) =
        before.celsius.zip(after.celsius).filter(|(then, now)| (now - then).abs() > HEAT)
    {
        reasons.push(format!("the temperature went from {then:.0} to {now:.0} °C"));
    }
    if before.governor != after.governor {
        reasons.push("the governor of the clock was changed".to_owned());
    }
    let load = [before.load, after.load].into_iter().flatten().reduce(f64::max);
    if let Some((load, cpus)) = load.zip(machine.cpus).filter(|&(load, cpus)| load > cpus as f64 + LOAD) {
        reasons.push(format!("others used the machine: load average {load:.1} on {cpus} CPUs"));
    }
    let throttling =
        [before, after].into_iter().flat_map(|state| state.throttling).flat_map(|word| word.now());
    let mut throttling: Vec<_> = throttling.collect();
    throttling.sort_unstable();
    throttling.dedup();
    if !throttling.is_empty() {
        reasons.push(format!("the firmware reports: {}", throttling.join(", ")));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Throttling;

    const QUIET: [f64; 8] = [100.0, 101.0, 99.5, 100.5, 100.2, 99.8, 100.1, 99.9];
    const NOISY: [f64; 8] = [100.0, 140.0, 80.0, 120.0, 90.0, 135.0, 85.0, 110.0];

    fn judge(decode: &[f64], before: &Conditions, after: &Conditions, cpu_share: Option<f64>) -> Stability {
        let samples = [
            ("decode_tokens_per_s", decode),
            ("decode_tokens_per_cpu_s", &QUIET[..]),
            ("prefill_tokens_per_s", &QUIET[..]),
        ];
        let summaries = samples.map(|(key, samples)| (key.to_owned(), Summary::of(samples))).into();
        let machine = Machine { cpus: Some(4), ..Machine::default() };
        let evidence = Evidence { summaries: &summaries, machine: &machine, before, after, cpu_share };
        Stability::judge(&evidence, 0.05)
    }

    fn calm() -> Conditions {
        Conditions { mhz: Some(2400.0), celsius: Some(50.0), load: Some(1.0), ..Conditions::default() }
    }

    #[test]
    fn runs_that_agree_on_a_machine_that_stays_as_it_was_are_stable() {
        let stability = judge(&QUIET, &calm(), &calm(), Some(0.99));
        assert_eq!(stability, Stability { stable: true, spread_limit: 0.05, ..Stability::default() });
        assert_eq!(stability.mark("decode_tokens_per_s"), "");
        // A system that tells nothing gives no reason.
        let silent = Conditions::default();
        assert!(judge(&QUIET, &silent, &silent, None).stable);
    }

    #[test]
    fn a_figure_whose_runs_disagree_is_marked_and_no_other() {
        let stability = judge(&NOISY, &calm(), &calm(), Some(0.99));
        assert!(!stability.stable);
        assert_eq!(stability.unstable, ["decode_tokens_per_s"]);
        assert_eq!(stability.mark("decode_tokens_per_s"), " ~");
        assert_eq!(stability.mark("prefill_tokens_per_s"), "");
        let [reason] = &stability.reasons[..] else { panic!("{stability:?}") };
        let start = "95 % intervals of the median wider than 5.0 %: decode_tokens_per_s ";
        assert!(reason.starts_with(start) && reason.ends_with(" % (8 runs)"), "{reason}");
    }

    #[test]
    fn want_of_cpu_time_spares_what_is_per_cpu_second() {
        let stability = judge(&QUIET, &calm(), &calm(), Some(0.6));
        assert_eq!(stability.unstable, ["decode_tokens_per_s", "prefill_tokens_per_s"]);
        assert_eq!(stability.reasons, ["the threads had a CPU for only 60 % of the time"]);
    }

    #[test]
    fn a_machine_that_changes_spares_ratios_within_turns() {
        let key = "prefill_2_threads_speed_up".to_owned();
        let judge = |samples: &[f64]| {
            let summaries = BTreeMap::from([(key.clone(), Summary::of(samples))]);
            let (before, after) = (calm(), Conditions { mhz: Some(1500.0), ..calm() });
            let machine = &Machine::default();
            let evidence = Evidence {
                summaries: &summaries,
                machine,
                before: &before,
                after: &after,
                cpu_share: Some(0.5),
            };
            Stability::judge(&evidence, 0.05).stable
        };
        assert!(judge(&QUIET));
        assert!(!judge(&NOISY));
    }

    #[test]
    fn a_machine_that_changes_makes_every_figure_unstable() {
        let changes = [
            (Conditions { mhz: Some(1500.0), ..calm() }, "the clock went from 2400 to 1500 MHz"),
            (Conditions { celsius: Some(65.0), ..calm() }, "the temperature went from 50 to 65 °C"),
            (Conditions { load: Some(4.6), ..calm() }, "others used the machine: load average 4.6 on 4 CPUs"),
            (
                Conditions { governor: Some("powersave".into()), ..calm() },
                "the governor of the clock was changed",
            ),
            (
                Conditions { throttling: Some(Throttling(0x50005)), ..calm() },
                "the firmware reports: throttled, under-voltage",
            ),
        ];
        for (after, reason) in changes {
            let stability = judge(&QUIET, &calm(), &after, Some(0.99));
            assert_eq!(stability.unstable.len(), 3, "{reason}");
            assert_eq!(stability.reasons, [reason]);
        }
        // Just within the bounds.
        let after = Conditions { mhz: Some(2300.0), celsius: Some(60.0), load: Some(4.5), ..calm() };
        assert!(judge(&QUIET, &calm(), &after, Some(0.95)).stable);
    }
}
