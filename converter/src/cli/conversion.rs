//! From a checkpoint to a written file that has no name yet, with progress and an ear for interrupts.

use super::compute::useful_threads;
use super::failure::Failure;
use super::interrupt;
use super::progress::Progress;
use crate::checkpoint::Checkpoint;
use crate::export::{ExportOptions, Pending, TensorEncoding, export};
use crate::golden;
use clap::{Args, ValueEnum};
use std::ops::ControlFlow;
use std::path::Path;
use whit::format::{Encoding, Role};
use whit::tensor::ActivationBits;
use whit::threads::ThreadPool;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Weights {
    /// As they are: the reference
    F32,
    /// Half the size
    F16,
    /// A quarter: one scale per row
    Int8,
    /// An eighth: one integer scale per group of columns
    Int4,
}

impl Weights {
    /// The encoding; `group` is that of int4.
    fn encoding(self, group: u16) -> Encoding {
        match self {
            Self::F32 => Encoding::F32,
            Self::F16 => Encoding::F16,
            Self::Int8 => Encoding::I8,
            Self::Int4 => Encoding::I4 { group },
        }
    }
}

/// Columns of an int4 group where the user does not say.
const GROUP: u16 = 32;

/// How to store a model's weights.
#[derive(Args, Clone, Debug)]
pub(super) struct WeightsArgs {
    /// How weights are stored
    #[arg(long, value_name = "ENCODING")]
    pub(super) weights: Option<Weights>,
    /// Columns that share an int4 scale: 16, 32, 64, 128, or 0 for whole rows [default: 32]
    #[arg(long, value_name = "N", value_parser = group)]
    pub(super) group: Option<u16>,
    /// How embedding, positions and output head are stored; by default as the weights, but int8 instead of int4
    #[arg(long, value_name = "ENCODING")]
    pub(super) embedding: Option<Weights>,
    /// How one matrix is stored, by its name as `whit inspect` has it (layers.3.ffn.down), or those of all layers
    /// (ffn.down); may be given several times, of two for one matrix the last counts. An integer encoding followed by
    /// :a16 takes its input in 16 bits instead of 8: twice the multiplications, the same bytes; for inputs with
    /// outliers, most often that of ffn.down
    #[arg(long = "tensor", value_name = "NAME=ENCODING", value_parser = tensor)]
    pub(super) tensors: Vec<TensorChoice>,
}

/// What `--tensor` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TensorChoice {
    role: Role,
    /// `None` for all.
    layer: Option<u16>,
    weights: Weights,
    activations: ActivationBits,
}

impl WeightsArgs {
    /// Whether any of them was given.
    pub(super) fn any(&self) -> bool {
        self.weights.is_some() || self.group.is_some() || self.embedding.is_some() || !self.tensors.is_empty()
    }

    /// The options of an export; `weights` is the encoding where the user does not say.
    pub(super) fn options(&self, weights: Weights) -> Result<ExportOptions, Failure> {
        let (weights, group) = (self.weights.unwrap_or(weights), self.group.unwrap_or(GROUP));
        let own = self.tensors.iter().map(|choice| choice.weights);
        if self.group.is_some() && !own.chain([weights]).chain(self.embedding).any(|it| it == Weights::Int4) {
            return Err(Failure::Usage(
                "--group: only int4 has groups; add --weights int4 or leave it out".into(),
            ));
        }
        let tensor = |&TensorChoice { role, layer, weights, activations }: &TensorChoice| TensorEncoding {
            role,
            layer,
            encoding: weights.encoding(group),
            activations,
        };
        Ok(ExportOptions {
            weights: weights.encoding(group),
            embedding: self.embedding.map(|embedding| embedding.encoding(group)),
            tensors: self.tensors.iter().map(tensor).collect(),
            ..ExportOptions::default()
        })
    }
}

fn tensor(text: &str) -> Result<TensorChoice, String> {
    let (name, encoding) = text.split_once('=').ok_or("expected NAME=ENCODING, such as ffn.down=int8")?;
    let in_layer = name.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
    let (role, layer) = match in_layer {
        Some((layer, role)) => (role, Some(layer.parse().map_err(|_| format!("`{layer}` is no layer"))?)),
        None => (name, None),
    };
    let matrices = || Role::ALL.into_iter().filter(|role| role.is_matrix());
    let role = matrices().find(|known| known.name() == role && (layer.is_none() || known.per_layer()));
    let role = role.ok_or_else(|| {
        let names: Vec<_> = matrices().map(Role::name).collect();
        format!(
            "`{name}` is no matrix; there are {}, those of layers also as layers.0.ffn.up",
            names.join(", ")
        )
    })?;
    let (weights, activations) = with_activations(encoding)?;
    Ok(TensorChoice { role, layer, weights, activations })
}

/// Reads an encoding, or an integer one followed by `:a16`.
fn with_activations(text: &str) -> Result<(Weights, ActivationBits), String> {
    let Some(encoding) = text.strip_suffix(":a16") else {
        return Ok((Weights::from_str(text, false)?, ActivationBits::Eight));
    };
    match Weights::from_str(encoding, false)? {
        weights @ (Weights::Int8 | Weights::Int4) => Ok((weights, ActivationBits::Sixteen)),
        Weights::F32 | Weights::F16 => {
            Err(format!("{encoding} takes its input as it is; :a16 is for int8 and int4"))
        }
    }
}

fn group(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(group @ (0 | 16 | 32 | 64 | 128)) => Ok(group),
        _ => Err("expected 16, 32, 64, 128, or 0 for whole rows".into()),
    }
}

/// Writes `checkpoint` beside `out` and records its golden transcript.
pub(super) fn convert(
    checkpoint: &Checkpoint<'_>,
    mut options: ExportOptions,
    out: &Path,
) -> Result<Pending, Failure> {
    options.golden = golden::shape(&checkpoint.architecture);
    let mut progress = Progress::new("import");
    let mut pending = export(checkpoint, &options, out, |step| {
        progress.set(step.done, step.total);
        if interrupt::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    drop(progress);
    let threads = useful_threads(pending.report().data_bytes);
    let pool = ThreadPool::new(threads).map_err(|error| format!("cannot start a thread: {error}"))?;
    golden::record(&mut pending, &pool)?;
    interrupt::check()?;
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_named_for_all_layers_or_one() {
        let choice =
            |role, layer, weights, activations| Ok(TensorChoice { role, layer, weights, activations });
        let (eight, sixteen) = (ActivationBits::Eight, ActivationBits::Sixteen);
        assert_eq!(tensor("ffn.down=f16"), choice(Role::FfnDown, None, Weights::F16, eight));
        assert_eq!(tensor("layers.12.attention.qkv=int8"), choice(Role::Qkv, Some(12), Weights::Int8, eight));
        assert_eq!(tensor("head=int4"), choice(Role::Head, None, Weights::Int4, eight));
        assert_eq!(tensor("ffn.down=int8:a16"), choice(Role::FfnDown, None, Weights::Int8, sixteen));
        assert_eq!(tensor("layers.3.ffn.up=int4:a16"), choice(Role::FfnUp, Some(3), Weights::Int4, sixteen));
        for wrong in [
            "ffn.down",
            "ffn.norm=int8",
            "layers.1.head=int8",
            "layers.x.ffn.up=int8",
            "head=int9",
            "head=int9:a16",
            "head=int8:a8",
            "head=int8:",
        ] {
            assert!(tensor(wrong).is_err(), "{wrong}");
        }
        assert!(tensor("ffn.down=f16:a16").expect_err("floats").contains("takes its input as it is"));
    }
}
