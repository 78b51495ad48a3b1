//! How much faster more threads are, from turns in which each number of them worked: a ratio is taken within a turn, some
//! milliseconds apart, so a machine that is slower in the next second is slower for both.

use super::statistics::{Ratio, Summary};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One number of threads beside the first, in one phase. The fields are the JSON keys of an entry of `scaling`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What was computed.
    pub phase: Phase,
    /// Workers.
    pub threads: usize,
    /// Workers that they are compared with: the first number that was asked for.
    pub than_threads: usize,
    /// Tokens fed in each turn.
    pub burst_tokens: usize,
    /// The speed over theirs in the same turn.
    pub speed_up: Summary,
    /// What the machine itself was probed with in the same turns; `null` where nothing here does it.
    pub probe: Option<String>,
    /// The probe's speed over that with the fewer threads in the same turn.
    pub machine_speed_up: Option<Summary>,
    /// The median of the first over that of the second.
    pub machine_share: Option<Ratio>,
    /// Of every turn, milliseconds of the burst with the fewer threads, and with these.
    pub burst_ms: Vec<[f64; 2]>,
    /// The same of the probe.
    pub probe_ms: Vec<[f64; 2]>,
}

/// What a burst computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A prompt at once.
    Prefill,
    /// Tokens one by one, with the logits of each.
    Decode,
}

impl Phase {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

/// All that was measured turn by turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Turns {
    /// What the turns say.
    pub scaling: Vec<Scaling>,
    /// The ratio of every turn, by the figure's key.
    pub figures: BTreeMap<String, Vec<f64>>,
}

/// The key of the speed-up of a phase among samples and summaries.
fn key(phase: Phase, threads: usize, whose: &str) -> String {
    format!("{}_{threads}_threads_{whose}speed_up", phase.name())
}

impl Scaling {
    /// The key of [`Scaling::speed_up`] among samples and summaries.
    pub fn key(&self) -> String {
        key(self.phase, self.threads, "")
    }

    /// The key of [`Scaling::machine_speed_up`].
    pub fn machine_key(&self) -> String {
        key(self.phase, self.threads, "machine_")
    }
}

/// The key of [`bandwidth_share`](super::Report::bandwidth_share) among samples and summaries.
pub const BANDWIDTH_SHARE: &str = "bandwidth_share";

/// Whether the figure of this key is a ratio within turns, which a busy machine makes uncertain but not wrong.
pub(super) fn is_paired(key: &str) -> bool {
    key.ends_with("_speed_up") || key == BANDWIDTH_SHARE
}

/// Milliseconds of one turn, for each number of threads in the order asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    pub(super) burst_ms: Vec<f64>,
    /// Nothing where nothing probes the machine.
    pub(super) probe_ms: Vec<f64>,
}

impl Turn {
    /// Of the first number of threads and of that at `index`.
    fn burst(&self, index: usize) -> Option<[f64; 2]> {
        Some([*self.burst_ms.first()?, *self.burst_ms.get(index)?])
    }

    /// How long the probe took of the first number of threads, over its burst.
    pub(super) fn first_share(&self) -> f64 {
        let first = |ms: &[f64]| ms.first().copied().unwrap_or(f64::NAN);
        first(&self.probe_ms) / first(&self.burst_ms)
    }

    fn probe(&self, index: usize) -> Option<[f64; 2]> {
        Some([*self.probe_ms.first()?, *self.probe_ms.get(index)?])
    }
}

/// What was done in each turn.
#[derive(Clone, Debug)]
pub(super) struct Work<'a> {
    pub(super) phase: Phase,
    pub(super) threads: &'a [usize],
    pub(super) burst_tokens: usize,
    pub(super) probe: Option<&'a str>,
}

/// How many times as fast the second is, in each turn.
fn speed_ups(pairs: &[[f64; 2]]) -> Vec<f64> {
    pairs.iter().map(|[fewer, more]| fewer / more).collect()
}

/// Whether the 95 % intervals of all medians are at most so wide, as a share of the median.
pub(super) fn are_sure(turns: &[Turn], spread: f64) -> bool {
    let sure = |pairs: Vec<[f64; 2]>| pairs.is_empty() || Summary::of(&speed_ups(&pairs)).spread() <= spread;
    let count = turns.first().map_or(0, |turn| turn.burst_ms.len());
    (1..count).all(|index| {
        sure(turns.iter().filter_map(|turn| turn.burst(index)).collect())
            && sure(turns.iter().filter_map(|turn| turn.probe(index)).collect())
    })
}

impl Turns {
    /// Adds what the turns of one phase say.
    pub(super) fn add(&mut self, work: &Work<'_>, turns: &[Turn]) {
        for index in 1..work.threads.len() {
            let found = Scaling::of(work, turns, index);
            self.figures.insert(found.key(), speed_ups(&found.burst_ms));
            if found.probe.is_some() {
                self.figures.insert(found.machine_key(), speed_ups(&found.probe_ms));
            }
            self.scaling.push(found);
        }
    }
}

impl Scaling {
    fn of(work: &Work<'_>, turns: &[Turn], index: usize) -> Self {
        let burst_ms: Vec<_> = turns.iter().filter_map(|turn| turn.burst(index)).collect();
        let probe_ms: Vec<_> = turns.iter().filter_map(|turn| turn.probe(index)).collect();
        let (own, machine) = (speed_ups(&burst_ms), speed_ups(&probe_ms));
        let share = || {
            let [machine, own] = [&machine, &own].map(|ratios| ratios.chunks(1).collect::<Vec<_>>());
            Ratio::of(&machine, &own, 0.5)
        };
        Self {
            phase: work.phase,
            threads: work.threads[index],
            than_threads: work.threads[0],
            burst_tokens: work.burst_tokens,
            speed_up: Summary::of(&own),
            probe: work.probe.map(str::to_owned),
            machine_speed_up: work.probe.map(|_| Summary::of(&machine)),
            machine_share: work.probe.map(|_| share()),
            burst_ms,
            probe_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work<'_> =
        Work { phase: Phase::Prefill, threads: &[1, 2, 4], burst_tokens: 128, probe: Some("a loop") };

    /// A turn on a machine so much slower than it can be.
    fn turn(slower: f64) -> Turn {
        Turn { burst_ms: vec![18.0 * slower, 10.0 * slower, 6.0 * slower], probe_ms: vec![8.0, 4.0, 2.5] }
    }

    fn scaling(work: &Work<'_>, turns: &[Turn]) -> Turns {
        let mut found = Turns::default();
        found.add(work, turns);
        found
    }

    #[test]
    fn a_machine_that_changes_from_turn_to_turn_changes_no_ratio() {
        // Threads measured one after the other would see anything from 0.18 to 18.
        let turns: Vec<Turn> = (0..20).map(|i| turn([1.0, 3.0, 10.0][i % 3])).collect();
        let found = scaling(&WORK, &turns);
        let [two, four] = &found.scaling[..] else { panic!("{found:?}") };
        assert_eq!((two.threads, two.than_threads, two.burst_tokens), (2, 1, 128));
        assert_eq!((two.speed_up.median, two.speed_up.low, two.speed_up.high), (1.8, 1.8, 1.8));
        assert_eq!((four.threads, four.speed_up.median), (4, 3.0));
        assert_eq!(two.machine_speed_up.map(|machine| machine.median), Some(2.0));
        assert_eq!(two.machine_share, Some(Ratio { ratio: 0.9, low: 0.9, high: 0.9 }));
        assert_eq!((two.burst_ms[1], two.probe_ms[1]), ([54.0, 30.0], [8.0, 4.0]));
    }

    #[test]
    fn ratios_of_turns_are_kept_by_keys_that_name_phase_and_threads() {
        let found = scaling(&WORK, &[turn(1.0), turn(2.0)]);
        assert_eq!(found.figures["prefill_2_threads_speed_up"], [1.8, 1.8]);
        assert_eq!(found.figures["prefill_4_threads_machine_speed_up"], [3.2, 3.2]);
        assert!(found.figures.len() == 4 && found.figures.keys().all(|key| is_paired(key)), "{found:?}");
        assert!(!is_paired("prefill_tokens_per_s"));
    }

    #[test]
    fn without_a_probe_nothing_is_said_of_the_machine() {
        let turns = [Turn { burst_ms: vec![2.0, 1.0, 1.0], probe_ms: vec![] }];
        let found = scaling(&Work { probe: None, ..WORK }, &turns);
        let two = &found.scaling[0];
        assert_eq!((two.speed_up.median, &two.probe), (2.0, &None));
        assert_eq!((two.machine_speed_up, two.machine_share), (None, None));
        assert_eq!(found.figures.len(), 2);
    }

    #[test]
    fn one_disturbed_turn_in_ten_moves_no_median_but_widens_the_interval_of_few() {
        let disturbed = Turn { burst_ms: vec![18.0, 20.0, 6.0], ..turn(1.0) };
        let turns = |count: usize| -> Vec<Turn> {
            (0..count).map(|i| if i % 10 == 3 { disturbed.clone() } else { turn(1.0) }).collect()
        };
        for count in [5, 30] {
            assert_eq!(scaling(&WORK, &turns(count)).scaling[0].speed_up.median, 1.8);
        }
        assert!(!are_sure(&turns(5), 0.05));
        assert!(are_sure(&turns(30), 0.05));
    }

    #[test]
    fn a_probe_that_is_not_sure_leaves_nothing_sure() {
        let mut turns = vec![turn(1.0); 20];
        assert!(are_sure(&turns, 0.0));
        for (i, turn) in turns.iter_mut().enumerate() {
            turn.probe_ms[2] += (i % 5) as f64;
        }
        assert!(!are_sure(&turns, 0.05));
        assert!(are_sure(&[turn(1.0)], 0.05));
    }
}
