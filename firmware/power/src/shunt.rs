//! The resistor across which a chip measures current.

/// A shunt and the largest current that will flow through it: together they set the chip's resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shunt {
    /// Resistance in µΩ: 100,000 on the common breakout boards.
    pub microohms: u32,
    /// The largest current that is expected, in µA. Smaller gives finer steps, larger currents then overflow.
    pub max_microamps: u32,
}

impl Shunt {
    /// The largest voltage across the shunt in pV; µA × µΩ.
    pub(crate) fn max_picovolts(self) -> u64 {
        u64::from(self.max_microamps) * u64::from(self.microohms)
    }

    /// The calibration register of the INA219 and INA226: `scale` / (step × resistance), where 2^15 steps are the
    /// largest current; `scale` is the data sheet's constant in pV. `None` if it is not in `1..=most`.
    pub(crate) fn calibration(self, scale: u64, most: u16) -> Option<u16> {
        let register = (scale << 15).checked_div(self.max_picovolts())?;
        u16::try_from(register).ok().filter(|register| (1..=most).contains(register))
    }

    /// `steps` of the current register in µA, by what the calibration register truly holds: it is rounded, so a step
    /// is not quite the one that was wished for.
    pub(crate) fn microamps(self, steps: i64, scale: u64, calibration: u16) -> i64 {
        // Power registers give the most steps, 25 × 2^16: below 2^21 × 2^36.
        steps * scale as i64 / (i64::from(calibration) * i64::from(self.microohms))
    }
}
