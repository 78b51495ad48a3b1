//! The Raspberry Pi 5's power management chip, through `vcgencmd pmic_read_adc`.
//!
//! It tells voltage and current of twelve rails behind its own converters. Not in them: what the converters lose, and
//! everything fed from the 5 V input directly, which is USB devices, HATs, fan and display. A wall meter reads more; users
//! have fitted `1.15 × sum + 0.6 W` for a bare board, which is not applied here, since it is no measurement.

use super::{EnergyError, Sample, Source};
use std::process::Command;
use std::time::Duration;

const COMMAND: &str = "vcgencmd pmic_read_adc";

/// The power of the rails in the text that `vcgencmd pmic_read_adc` prints, in W.
///
/// # Errors
/// A line that is no reading, or no rail that has both voltage and current.
pub fn watts(text: &str) -> Result<f64, EnergyError> {
    let mut readings = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let nonsense = || {
            let place = format!("{COMMAND}, line {number}");
            EnergyError::nonsense(
                place,
                format!("expected `RAIL_A current(N)=VALUEA`, found `{}`", line.trim()),
            )
        };
        readings.push(reading(line).ok_or_else(nonsense)?);
    }
    let voltage = |rail: &str| {
        readings.iter().find(|(name, unit, _)| *unit == 'V' && *name == rail).map(|&(_, _, volts)| volts)
    };
    let currents = readings.iter().filter(|(_, unit, _)| *unit == 'A');
    // A rail without one of the two, such as the 5 V input, has no power.
    let powers: Vec<f64> =
        currents.filter_map(|&(rail, _, amperes)| Some(voltage(rail)? * amperes)).collect();
    if powers.is_empty() {
        return Err(EnergyError::nonsense(COMMAND, "no rail with both voltage and current"));
    }
    Ok(powers.iter().sum())
}

/// `VDD_CORE_A current(7)=1.5A`: the rail, `A` or `V`, the value.
fn reading(line: &str) -> Option<(&str, char, f64)> {
    let (name, value) = line.trim().split_once('=')?;
    let name = name.split_whitespace().next()?;
    let unit = name.chars().last().filter(|unit| matches!(unit, 'A' | 'V'))?;
    let rail = name.strip_suffix(unit)?.strip_suffix('_')?;
    let value: f64 = value.trim().strip_suffix(unit)?.parse().ok()?;
    value.is_finite().then_some((rail, unit, value))
}

/// The rails' power, by running the command for every sample.
#[derive(Debug)]
pub struct Pmic;

/// Whether the command is there and works.
///
/// # Errors
/// It is not there, fails, or prints something else.
pub fn open() -> Result<Pmic, EnergyError> {
    let mut source = Pmic;
    source.read()?;
    Ok(source)
}

impl Source for Pmic {
    fn name(&self) -> &str {
        "pmic"
    }

    fn describe(&self) -> String {
        "rails of the Raspberry Pi 5's PMIC: without its converters' losses, USB, HATs and fan".to_owned()
    }

    /// Starting a program for each sample takes some ms of one core, which is measured too.
    fn interval(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn read(&mut self) -> Result<Sample, EnergyError> {
        let output = Command::new("vcgencmd").arg("pmic_read_adc").output();
        let output =
            output.map_err(|error| EnergyError::Absent(format!("{COMMAND}: cannot be run: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let problem = String::from_utf8_lossy(&output.stderr);
            return Err(EnergyError::Absent(format!("{COMMAND}: {} {}", output.status, problem.trim())));
        }
        // Before the Raspberry Pi 5, the firmware answers with an error and success.
        if text.contains("error") {
            return Err(EnergyError::Absent(format!("{COMMAND}: {}", text.trim())));
        }
        watts(&text).map(Sample::Watts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a Raspberry Pi 5 prints it under load.
    const PRINTED: &str = "\
 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
   1V8_SYS_A current(2)=0.18054710A
  DDR_VDD2_A current(3)=0.22543980A
  DDR_VDDQ_A current(4)=0.06666720A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.37670900A
  VDD_CORE_A current(7)=6.22421000A
   3V3_DAC_A current(17)=0.00006105A
   3V3_ADC_A current(18)=0.00036630A
   0V8_AON_A current(16)=0.00305250A
      HDMI_A current(22)=0.02417580A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
   1V8_SYS_V volt(10)=1.80512600V
  DDR_VDD2_V volt(11)=1.10476100V
  DDR_VDDQ_V volt(12)=0.60146460V
   1V1_SYS_V volt(13)=1.11025500V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.86173300V
   3V3_DAC_V volt(20)=3.31318300V
   3V3_ADC_V volt(21)=3.30677300V
   0V8_AON_V volt(19)=0.80029220V
      HDMI_V volt(23)=5.08664000V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
";

    #[test]
    fn rails_are_matched_by_name_and_summed() {
        // Twelve products, by hand: 0.34663 + 0.29073 + 0.32591 + 0.24906 + 0.04010 + 0.19504 + 0.30192 + 5.36361 +
        // 0.00020 + 0.00121 + 0.00244 + 0.12297.
        let found = watts(PRINTED).expect("twelve rails");
        assert!((found - 7.23982).abs() < 1e-4, "{found}");
    }

    #[test]
    fn rails_without_voltage_or_current_have_no_power() {
        let found =
            watts(" A_A current(0)=2.0A\n B_A current(1)=9.0A\n A_V volt(8)=1.5V\n EXT5V_V volt(24)=5.1V\n");
        assert_eq!(found.expect("a rail"), 3.0);
    }

    #[test]
    fn what_is_no_reading_is_named_with_its_line() {
        for (text, expected) in [
            (" A_A current(0)=2.0A\n A_V volt(8)=x\n", "line 2: expected"),
            (" A_A current(0)=2.0V\n", "line 1: expected"),
            ("\n\n A_W power(0)=2.0W\n", "line 3: expected"),
            (" A_A current(0)=infA\n", "line 1: expected"),
            ("", "no rail with both"),
            (" EXT5V_V volt(24)=5.1V\n", "no rail with both"),
        ] {
            let message = watts(text).expect_err("no power").to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }
}
