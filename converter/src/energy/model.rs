//! An estimate of energy for devices that are not there: multiplications × pJ + bytes of weights × pJ, from published
//! figures. It is never a measurement and never stands for one.
//!
//! Products with weights are counted, as decoding one token does them; attention, norms, sampling and idle draw are
//! not. int4 weights are widened and multiplied as int8.

use crate::inspect::{is_looked_up, macs_of, weight_bytes_per_token};
use serde::{Deserialize, Serialize};
use whit::format::{Encoding, File, TensorEntry};

/// Where a device has the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Memory {
    /// Beside the processor.
    Dram,
    /// On it: about a megabyte.
    Sram,
    /// On it, and in the figure for arithmetic.
    Flash,
}

/// pJ for what a class of devices does.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it stands for.
    pub describes: &'static str,
    /// A multiplication of int8 or int4 weights, with its addition.
    pub pj_per_int8: f64,
    /// One of f32 or f16 weights; `None` where nobody has published it.
    pub pj_per_f32: Option<f64>,
    /// A byte of weights, by where they are.
    pub pj_per_byte: &'static [(Memory, f64)],
    /// Where the figures are from.
    pub sources: &'static [&'static str],
}

const HOROWITZ: &str = "M. Horowitz, Computing's energy problem, ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V)";
const JOUPPI: &str =
    "N. Jouppi et al., Ten lessons from three generations shaped Google's TPUv4i, ISCA 2021, table 2 (7 nm)";

/// All classes.
pub const CLASSES: [Class; 4] = [
    Class {
        name: "arithmetic-45nm",
        describes: "multipliers and memory alone at 45 nm: what no processor of that time can go below",
        // 8-bit multiplication 0.2 and 32-bit addition 0.1; in f32 3.7 and 0.9.
        pj_per_int8: 0.3,
        pj_per_f32: Some(4.6),
        // 64 bits: 1.3 to 2.6 nJ; 100 pJ of a cache of 1 MB.
        pj_per_byte: &[(Memory::Dram, 1950.0 / 8.0), (Memory::Sram, 100.0 / 8.0)],
        sources: &[HOROWITZ],
    },
    Class {
        name: "cpu-45nm",
        describes: "a CPU with vectors of 128 bits at 45 nm",
        // The same, and 70 pJ that an instruction costs beyond its arithmetic, shared by 16 or 4 lanes.
        pj_per_int8: 0.3 + 70.0 / 16.0,
        pj_per_f32: Some(4.6 + 70.0 / 4.0),
        pj_per_byte: &[(Memory::Dram, 1950.0 / 8.0), (Memory::Sram, 100.0 / 8.0)],
        sources: &[HOROWITZ],
    },
    Class {
        name: "accelerator-7nm",
        describes: "multipliers and memory alone at 7 nm, with stacked DRAM",
        // 8-bit multiplication 0.07 and 32-bit addition 0.03; in f32 1.31 and 0.38.
        pj_per_int8: 0.1,
        pj_per_f32: Some(1.69),
        // 64 bits: 250 to 450 pJ of HBM2; 14 pJ of 1 MB of SRAM.
        pj_per_byte: &[(Memory::Dram, 350.0 / 8.0), (Memory::Sram, 14.0 / 8.0)],
        sources: &[JOUPPI],
    },
    Class {
        name: "cortex-m4",
        describes: "a microcontroller that runs from its flash at 64 MHz and 3 V",
        // 52 µA/MHz × 3 V is 156 pJ a cycle; 99.1 ms × 216 MHz for 12.35 million multiplications are 1.73 cycles each.
        pj_per_int8: 156.0 * 1.73,
        pj_per_f32: None,
        pj_per_byte: &[(Memory::Flash, 0.0)],
        sources: &[
            "Nordic Semiconductor, nRF52840 product specification 1.1, 2019: 52 µA/MHz from flash at 3 V",
            "L. Lai et al., CMSIS-NN, arXiv:1801.06601, 2018, table 1: cycles of a convolutional network",
        ],
    },
];

/// What decoding one token does with weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Multiplications with int8 and int4 weights: two for a weight that takes 16-bit activations.
    pub int8_macs: u64,
    /// Multiplications with f32 and f16 weights.
    pub f32_macs: u64,
    /// Bytes of weights that are read.
    pub bytes: u64,
}

impl Work {
    /// Of the model in `file`.
    pub fn of(file: &File<'_>) -> Self {
        let mut work = Self { bytes: weight_bytes_per_token(file), ..Self::default() };
        let multiplied = |entry: &TensorEntry| entry.role.is_matrix() && !is_looked_up(file, entry.role);
        for entry in file.tensors.entries().filter(multiplied) {
            let macs = macs_of(&entry);
            match entry.encoding {
                Encoding::I8 | Encoding::I4 { .. } => work.int8_macs += macs,
                Encoding::F32 | Encoding::F16 => work.f32_macs += macs,
            }
        }
        work
    }
}

/// An estimate. The fields are the JSON keys under `estimate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The class of devices.
    pub class: String,
    /// What it stands for.
    pub describes: String,
    /// Where its figures are from.
    pub sources: Vec<String>,
    /// Where the weights are taken to be.
    pub memory: Memory,
    /// What a token needs.
    pub work: Work,
    /// Arithmetic for a token, in J.
    pub arithmetic_joules: f64,
    /// Reading the weights for a token, in J.
    pub memory_joules: f64,
    /// Both.
    pub joules_per_token: f64,
}

/// Reads `CLASS` or `CLASS/MEMORY`.
///
/// # Errors
/// A message that lists what there is.
pub fn parse(text: &str) -> Result<(Class, Memory), String> {
    let (name, memory) = text.split_once('/').map_or((text, None), |(name, memory)| (name, Some(memory)));
    let class = CLASSES.iter().find(|class| class.name == name).ok_or_else(|| {
        let names: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
        format!("`{name}` is no class of devices; there are: {}", names.join(", "))
    })?;
    let named = |memory: Memory| format!("{memory:?}").to_lowercase();
    let memory = match memory {
        None => class.pj_per_byte[0].0,
        Some(wanted) => class
            .pj_per_byte
            .iter()
            .find(|(memory, _)| named(*memory) == wanted)
            .map(|pair| pair.0)
            .ok_or_else(|| {
                let names: Vec<String> = class
                    .pj_per_byte
                    .iter()
                    .map(|&(memory, _)| format!("{name}/{}", named(memory)))
                    .collect();
                format!("`{text}` is not published; there is: {}", names.join(", "))
            })?,
    };
    Ok((*class, memory))
}

/// What a token costs a device of `class`.
///
/// # Errors
/// A message: the figures for this kind of weights are not published.
pub fn estimate(class: Class, memory: Memory, work: Work) -> Result<Estimate, String> {
    let missing = || format!("`{}` has no published figure for f32 weights", class.name);
    let pj_per_f32 = if work.f32_macs == 0 { 0.0 } else { class.pj_per_f32.ok_or_else(missing)? };
    let pj_per_byte = class.pj_per_byte.iter().find(|pair| pair.0 == memory).map_or(0.0, |pair| pair.1);
    let arithmetic = work.int8_macs as f64 * class.pj_per_int8 + work.f32_macs as f64 * pj_per_f32;
    let reading = work.bytes as f64 * pj_per_byte;
    Ok(Estimate {
        class: class.name.to_owned(),
        describes: class.describes.to_owned(),
        sources: class.sources.iter().map(|&source| source.to_owned()).collect(),
        memory,
        work,
        arithmetic_joules: arithmetic * 1e-12,
        memory_joules: reading * 1e-12,
        joules_per_token: (arithmetic + reading) * 1e-12,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_names_its_sources_with_their_years() {
        for class in CLASSES {
            assert!(!class.sources.is_empty(), "{}", class.name);
            assert!(class.sources.iter().all(|source| source.contains("20")), "{}", class.name);
        }
    }

    #[test]
    fn an_estimate_is_arithmetic_and_reading() {
        let work = Work { int8_macs: 1_000_000, f32_macs: 1_000, bytes: 2_000_000 };
        let (class, memory) = parse("arithmetic-45nm/sram").expect("a class");
        let found = estimate(class, memory, work).expect("published");
        assert!((found.arithmetic_joules - 0.3046e-6).abs() < 1e-15, "{found:?}");
        assert!((found.memory_joules - 25e-6).abs() < 1e-15, "{found:?}");
        assert_eq!(found.joules_per_token, found.arithmetic_joules + found.memory_joules);
    }

    #[test]
    fn what_nobody_published_is_not_made_up() {
        assert!(parse("toaster").expect_err("none").contains("cortex-m4"));
        assert!(parse("cortex-m4/dram").expect_err("none").contains("cortex-m4/flash"));
        let (class, memory) = parse("cortex-m4").expect("a class");
        let work = Work { int8_macs: 0, f32_macs: 1000, bytes: 4000 };
        assert!(estimate(class, memory, work).expect_err("f32").contains("no published figure"));
    }
}
