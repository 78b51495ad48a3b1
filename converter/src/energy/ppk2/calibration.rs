//! What a Power Profiler Kit 2 says of itself: `R0: 1003.3506` and so on, a number for each of five ranges.

use crate::energy::EnergyError;

/// Ranges of current, from the finest on.
pub const RANGES: usize = 5;

/// The numbers of the conversion, for each range.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Shunt in Ω.
    pub r: [f64; RANGES],
    /// Gain's slope.
    pub gs: [f64; RANGES],
    /// Gain's intercept.
    pub gi: [f64; RANGES],
    /// The ADC's offset.
    pub o: [f64; RANGES],
    /// Leakage's slope, in A/V.
    pub s: [f64; RANGES],
    /// Leakage's intercept, in A.
    pub i: [f64; RANGES],
    /// The user's gain.
    pub ug: [f64; RANGES],
}

impl Default for Calibration {
    /// Nominal resistors, nothing corrected.
    fn default() -> Self {
        Self {
            r: [1031.64, 101.65, 10.15, 0.94, 0.043],
            gs: [1.0; RANGES],
            gi: [1.0; RANGES],
            o: [0.0; RANGES],
            s: [0.0; RANGES],
            i: [0.0; RANGES],
            ug: [1.0; RANGES],
        }
    }
}

impl Calibration {
    /// Reads the kit's lines. What it does not mention, or says to be no number (`-nan`, on some), stays nominal; so
    /// does a resistance or gain of 0, which cannot be.
    ///
    /// # Errors
    /// Not a line is one of calibration: something else answered.
    pub fn parse(text: &str) -> Result<Self, EnergyError> {
        let mut calibration = Self::default();
        let taken = text.lines().filter(|line| calibration.take(line).is_some()).count();
        if taken == 0 {
            return Err(EnergyError::nonsense(
                "answer of the Power Profiler Kit 2",
                "no line of calibration",
            ));
        }
        Ok(calibration)
    }

    /// Takes a line, if it is one of these.
    fn take(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once(':')?;
        let (key, range) = key.trim().split_at_checked(key.trim().len().checked_sub(1)?)?;
        let range: usize = range.parse().ok().filter(|&range| range < RANGES)?;
        let value: f64 = value.trim().parse().ok()?;
        let cannot_be_zero = matches!(key, "R" | "GI" | "UG");
        let numbers = match key {
            "R" => &mut self.r,
            "GS" => &mut self.gs,
            "GI" => &mut self.gi,
            "O" => &mut self.o,
            "S" => &mut self.s,
            "I" => &mut self.i,
            "UG" => &mut self.ug,
            _ => return None,
        };
        if value.is_finite() && !(cannot_be_zero && value == 0.0) {
            numbers[range] = value;
        }
        Some(())
    }

    /// The current of `adc`, the 14 bits of a sample, in `range`, from a supply of `volts`; in A.
    pub fn amperes(&self, range: usize, adc: u16, volts: f64) -> f64 {
        // 1.8 V of reference over 2^14 counts, 4 of the calibration's offset each, and an amplifier of 2.5.
        const VOLTS_PER_COUNT: f64 = 1.8 / 163_840.0;
        let raw = (f64::from(adc) * 4.0 - self.o[range]) * VOLTS_PER_COUNT / self.r[range];
        let gained = raw * (self.gs[range] * raw + self.gi[range]);
        self.ug[range] * (gained + self.s[range] * volts + self.i[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kits_lines_are_read() {
        let text = "Calibrated: 0\nR0: 1003.3506\nR4: 0.0564\nGS1: 2.5\nGI2: 0.95\nO3: 112.9\nS0: 0.000000048\n\
            I1: -0.000000104\nUG4: 1.01\nVDD: 3700\nHW: 9173\nmode: 2\nIA: 56\nEND";
        let found = Calibration::parse(text).expect("calibration");
        let mut expected = Calibration::default();
        (expected.r[0], expected.r[4], expected.gs[1], expected.gi[2]) = (1003.3506, 0.0564, 2.5, 0.95);
        (expected.o[3], expected.s[0], expected.i[1], expected.ug[4]) = (112.9, 48e-9, -104e-9, 1.01);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_stays_nominal() {
        let found = Calibration::parse("R0: 0.0\nGI1: 0\nGS2: -nan\nO3: inf\nR5: 1\nR: 7\n: 1\nUG0: 0")
            .expect("lines");
        assert_eq!(found, Calibration::default());
        for text in ["", "hello\nworld", "RX: 5", "Z0: 5", "é: 1"] {
            assert!(Calibration::parse(text).is_err(), "{text}");
        }
    }
}
