//! A Power Profiler Kit 2's samples: 4 bytes, little-endian, 100,000 a second.
//!
//! | bits | |
//! |---|---|
//! | 0–13 | ADC |
//! | 14–16 | range, 0 to 4 |
//! | 18–23 | counter, to find what was lost |
//! | 24–31 | digital channels D0 to D7 |
//!
//! After the kit has switched ranges, its ADC takes some samples to settle; as Nordic's application does, these are
//! replaced by a running mean.

use super::calibration::{Calibration, RANGES};

/// The kit's clock.
pub const SECONDS_PER_SAMPLE: f64 = 1e-5;

/// How much of a running mean is the newest sample: in general, and in the coarsest range.
const SHARE: f64 = 0.18;
const SHARE_COARSEST: f64 = 0.06;
/// Samples that take to settle, and how many of them the coarsest range keeps out of the mean.
const SETTLING: u32 = 3;
const UNUSABLE: u32 = 2;

/// Current and pins at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Current in A.
    pub amperes: f64,
    /// D0 in the lowest bit.
    pub pins: u8,
}

/// From bytes to samples.
#[derive(Clone, Debug)]
pub struct Decoder {
    calibration: Calibration,
    volts: f64,
    /// Bytes of a sample whose others have not come yet.
    partial: Vec<u8>,
    next: Option<u8>,
    lost: u64,
    settling: Settling,
}

/// Running means of the current, and how far the kit is from its last change of ranges.
#[derive(Clone, Debug, Default)]
struct Settling {
    mean: Option<f64>,
    mean_coarsest: Option<f64>,
    range: Option<usize>,
    /// Samples since the last change, until it has settled.
    since: Option<u32>,
}

impl Decoder {
    /// For a kit with this calibration, and a supply of `volts`.
    pub fn new(calibration: Calibration, volts: f64) -> Self {
        Self { calibration, volts, partial: Vec::new(), next: None, lost: 0, settling: Settling::default() }
    }

    /// Samples that did not arrive, as the counter of six bits tells: 64 lost in a row are not noticed.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Decodes the bytes that follow those before. A lost sample is taken to be like the next, so that time goes on.
    pub fn decode(&mut self, bytes: &[u8], mut sink: impl FnMut(Sample)) {
        self.partial.extend_from_slice(bytes);
        let partial = std::mem::take(&mut self.partial);
        let mut words = partial.chunks_exact(4);
        for word in &mut words {
            let word = u32::from_le_bytes(word.try_into().expect("chunks of 4"));
            let sample = self.sample(word);
            let counter = (word >> 18 & 0x3f) as u8;
            let lost = self.next.map_or(0, |next| counter.wrapping_sub(next) & 0x3f);
            self.next = Some(counter.wrapping_add(1) & 0x3f);
            self.lost += u64::from(lost);
            (0..=lost).for_each(|_| sink(sample));
        }
        self.partial = words.remainder().to_vec();
    }

    fn sample(&mut self, word: u32) -> Sample {
        let range = (word >> 14 & 7).min(RANGES as u32 - 1) as usize;
        let amperes = self.calibration.amperes(range, (word & 0x3fff) as u16, self.volts);
        Sample { amperes: self.settling.settle(range, amperes), pins: (word >> 24) as u8 }
    }
}

impl Settling {
    /// `amperes`, or the mean while the kit settles.
    fn settle(&mut self, range: usize, amperes: f64) -> f64 {
        let coarsest = range == RANGES - 1;
        if self.range.is_some_and(|before| before != range) {
            self.since = Some(0);
        }
        self.range = Some(range);
        let unusable = coarsest && self.since.is_some_and(|since| since < UNUSABLE);
        if !unusable || self.mean.is_none() {
            let mix =
                |mean: Option<f64>, share: f64| mean.map_or(amperes, |mean| mean + share * (amperes - mean));
            self.mean = Some(mix(self.mean, SHARE));
            self.mean_coarsest = Some(mix(self.mean_coarsest, SHARE_COARSEST));
        }
        let Some(since) = self.since else { return amperes };
        self.since = Some(since + 1).filter(|&since| since < SETTLING);
        (if coarsest { self.mean_coarsest } else { self.mean }).unwrap_or(amperes)
    }
}
