//! A recording cut where the measuring pin is high.
//!
//! A sample stands for the time that is nearer to it than to its neighbours, with its power and its pins. Windows, and
//! what is between them, thus make up the whole, which is the sum of the trapezoids; an edge between two samples is
//! halfway between them, and neither side gets the other's power. Idle draw is the mean power while no pin is high.

use super::{Recording, Sample};
use serde::Serialize;

/// A pin and what it being high means.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The pin's name.
    pub pin: String,
    /// What happens meanwhile: `token`, `prefill`.
    pub kind: &'static str,
    /// How many of these are in one window.
    pub count: u32,
}

/// What a recording says. The fields are the JSON keys of `whit energy --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// The file or device.
    pub origin: String,
    /// How many samples there are.
    pub samples: usize,
    /// Samples that the analyser lost.
    pub lost_samples: u64,
    /// From the first to the last, in s.
    pub seconds: f64,
    /// Samples per second.
    pub samples_per_s: f64,
    /// All energy, in J.
    pub joules: f64,
    /// Mean power, in W.
    pub watts: f64,
    /// How long no pin was high, in s.
    pub idle_seconds: f64,
    /// Mean power meanwhile, in W; `null` if some pin always was.
    pub idle_watts: Option<f64>,
    /// For each pin.
    pub windows: Vec<PinWindows>,
}

/// The windows of one pin.
#[derive(Clone, Debug, Serialize)]
pub struct PinWindows {
    /// The pin.
    pub pin: String,
    /// What happens meanwhile.
    pub kind: &'static str,
    /// How many of these are in one window.
    pub per_window: u32,
    /// Whole windows.
    pub windows: usize,
    /// Windows that had begun before the recording, or had not ended after it, and are not counted.
    pub cut_off: usize,
    /// Time for one, in s.
    pub seconds: Spread,
    /// Energy for one as it was drawn, in J.
    pub gross_joules: Spread,
    /// The same without idle draw; `null` if that is not known.
    pub net_joules: Option<Spread>,
    /// Where they are: from and to, in s of the recording.
    #[serde(skip)]
    pub places: Vec<[f64; 2]>,
}

/// How values are spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// Of which 95 % are not larger.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of `values`, of which there must be one.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        // The nearest rank.
        let rank =
            |share: f64| values[((share * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
        let (&min, &max) = (values.first()?, values.last()?);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self { median: rank(0.5), mean, min, p95: rank(0.95), max })
    }
}

/// One time that a pin was high.
#[derive(Clone, Copy, Debug, Default)]
struct High {
    from: f64,
    to: f64,
    joules: f64,
}

/// Cuts `recording` as `cuts` say.
///
/// # Errors
/// A message: a pin is not in the recording, or never wholly high.
pub fn analyse(recording: &Recording, cuts: &[Cut]) -> Result<Analysis, String> {
    let masks = cuts.iter().map(|cut| mask(recording, &cut.pin)).collect::<Result<Vec<u8>, _>>()?;
    let [joules, seconds] = energy_while(recording, |_| true);
    let any = masks.iter().fold(0, |all, mask| all | mask);
    let [idle_joules, idle_seconds] = energy_while(recording, |pins| pins & any == 0);
    let idle_watts = (idle_seconds > 0.0 && any != 0).then(|| idle_joules / idle_seconds);
    let windows = cuts.iter().zip(masks).map(|(cut, mask)| pin_windows(recording, cut, mask, idle_watts));
    Ok(Analysis {
        origin: recording.origin.clone(),
        samples: recording.samples.len(),
        lost_samples: recording.lost,
        seconds,
        samples_per_s: (recording.samples.len() - 1) as f64 / seconds,
        joules,
        watts: joules / seconds,
        idle_seconds: if any == 0 { 0.0 } else { idle_seconds },
        idle_watts,
        windows: windows.collect::<Result<_, _>>()?,
    })
}

fn mask(recording: &Recording, pin: &str) -> Result<u8, String> {
    recording.pin(pin).ok_or_else(|| {
        let pins = if recording.pins.is_empty() { "none".to_owned() } else { recording.pins.join(", ") };
        format!(
            "{}: there is no pin `{pin}` (digital channels: {pins}); record the channel that the measuring pin is \
             wired to, or use --pin none for the whole recording",
            recording.origin
        )
    })
}

/// Joules and seconds while the pins are as `matches` says.
fn energy_while(recording: &Recording, matches: impl Fn(u8) -> bool) -> [f64; 2] {
    let shares = shares(&recording.samples).filter(|(sample, _)| matches(sample.pins));
    shares.fold([0.0, 0.0], |[joules, seconds], (sample, [from, to])| {
        [joules + f64::from(sample.watts) * (to - from), seconds + (to - from)]
    })
}

/// Every sample, and from when to when it stands.
fn shares(samples: &[Sample]) -> impl Iterator<Item = (&Sample, [f64; 2])> {
    let time = |i: usize| samples[i.min(samples.len() - 1)].seconds;
    let halfway = move |i: usize, j: usize| (time(i) + time(j)) / 2.0;
    samples
        .iter()
        .zip(0..)
        .map(move |(sample, i): (_, usize)| (sample, [halfway(i.saturating_sub(1), i), halfway(i, i + 1)]))
}

fn pin_windows(recording: &Recording, cut: &Cut, mask: u8, idle: Option<f64>) -> Result<PinWindows, String> {
    let (highs, cut_off) = highs(recording, mask);
    let count = f64::from(cut.count);
    let spread =
        |value: &dyn Fn(&High) -> f64| Spread::of(highs.iter().map(|high| value(high) / count).collect());
    let never = || {
        format!(
            "{}: pin {} is never high from beginning to end ({cut_off} cut off by its ends)",
            recording.origin, cut.pin
        )
    };
    Ok(PinWindows {
        pin: cut.pin.clone(),
        kind: cut.kind,
        per_window: cut.count,
        windows: highs.len(),
        cut_off,
        seconds: spread(&|high| high.to - high.from).ok_or_else(never)?,
        gross_joules: spread(&|high| high.joules).ok_or_else(never)?,
        net_joules: idle.and_then(|watts| spread(&|high| high.joules - watts * (high.to - high.from))),
        places: highs.iter().map(|high| [high.from, high.to]).collect(),
    })
}

/// The whole times that a pin is high, and how many are cut off by the recording's ends.
fn highs(recording: &Recording, mask: u8) -> (Vec<High>, usize) {
    let (mut highs, mut cut_off) = (Vec::new(), 0);
    let mut open: Option<High> = None;
    // High from the first sample on: nobody knows since when.
    let mut whole = false;
    for (sample, [from, to]) in shares(&recording.samples) {
        if sample.pins & mask != 0 {
            let high = open.get_or_insert(High { from, ..High::default() });
            high.joules += f64::from(sample.watts) * (to - from);
            high.to = to;
            continue;
        }
        if let Some(high) = open.take() {
            if whole { highs.push(high) } else { cut_off += 1 }
        }
        whole = true;
    }
    (highs, cut_off + usize::from(open.is_some()))
}
