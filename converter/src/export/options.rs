//! What the user chooses about an export, and what follows for each tensor.

use super::error::ExportError;
use crate::calibrate::Calibration;
use crate::inspect::tensor_name;
use whit::CacheKind;
use whit::format::{Architecture, Description, Encoding, Golden, Role, Slots, TensorEntry, WideInputs};
use whit::sampler::Sampling;
use whit::tensor::ActivationBits;

/// How to write a file.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Encoding of the weight matrices.
    pub weights: Encoding,
    /// Encoding of embedding, positions and output head; `None` is that of the weights, but int8 instead of int4.
    pub embedding: Option<Encoding>,
    /// Encodings of single matrices, which go before the two above; of several for one matrix the last counts.
    pub tensors: Vec<TensorEncoding>,
    /// A text that integer projections are rounded for; without it they are rounded each weight for itself.
    pub calibration: Option<Calibration>,
    /// Kind of key and value cache of sessions that do not choose; `None` is int8 for integer weights, else f32.
    pub cache: Option<CacheKind>,
    /// How to sample where the user does not say.
    pub sampling: Sampling,
    /// Room for a golden transcript, filled by [`Pending::set_golden`](super::Pending::set_golden).
    pub golden: Option<GoldenShape>,
}

impl Default for ExportOptions {
    /// int8, no golden transcript.
    fn default() -> Self {
        Self {
            weights: Encoding::I8,
            embedding: None,
            tensors: Vec::new(),
            calibration: None,
            cache: None,
            sampling: Sampling::default(),
            golden: None,
        }
    }
}

impl ExportOptions {
    /// The encoding of the tensor of `role` in `layer`; vectors are always f32.
    pub fn encoding(&self, role: Role, layer: u16) -> Encoding {
        if !role.is_matrix() {
            return Encoding::F32;
        }
        if let Some(own) = self.tensors.iter().rev().find(|own| own.names(role, layer)) {
            return own.encoding;
        }
        match role {
            Role::Embedding | Role::Positions | Role::Head => self.embedding_encoding(),
            _ => self.weights,
        }
    }

    /// In how many bits the tensor of `role` in `layer` takes the vectors that it multiplies.
    pub fn activations(&self, role: Role, layer: u16) -> ActivationBits {
        let own = self.tensors.iter().rev().find(|own| own.names(role, layer));
        own.map_or(ActivationBits::Eight, |own| own.activations)
    }

    /// What the file will say of the model: the kind of cache and which projections take 16-bit activations are the
    /// file's choices, not the checkpoint's.
    pub(super) fn apply(&self, architecture: Architecture, entries: &[TensorEntry]) -> Architecture {
        match architecture {
            Architecture::Transformer(description) => {
                let wide = entries.iter().filter(|entry| entry.activations == ActivationBits::Sixteen);
                let wide_inputs = wide.fold(WideInputs::NONE, |wide, entry| wide.with(entry.role));
                Description { int8_cache: self.int8_cache(), wide_inputs, ..description }.into()
            }
            recurrent @ Architecture::Recurrent(_) => recurrent,
        }
    }

    /// Whether sessions that do not choose have an int8 cache.
    pub(super) fn int8_cache(&self) -> bool {
        match self.cache {
            Some(cache) => cache == CacheKind::I8,
            None => matches!(self.weights, Encoding::I8 | Encoding::I4 { .. }),
        }
    }

    /// The choice in words, for the metadata.
    pub(super) fn describe(&self) -> String {
        let (weights, embedding) = (describe(self.weights), describe(self.embedding_encoding()));
        let mut words = vec![weights.clone()];
        words.extend((weights != embedding).then(|| format!("embedding {embedding}")));
        words.extend(self.tensors.iter().map(|own| format!("{} {}", own.name(), own.describe())));
        let tokens = self.calibration.as_ref().map(Calibration::tokens);
        words.extend(tokens.map(|tokens| format!("calibrated on {tokens} tokens")));
        words.join("; ")
    }

    /// Refuses a choice for a matrix that the model has not, and what its kind of model cannot have.
    pub(super) fn check(&self, architecture: &Architecture) -> Result<(), ExportError> {
        if self.calibration.is_some() && architecture.transformer().is_none() {
            return Err(ExportError::NoCalibration);
        }
        let slots = Slots::new(architecture);
        let known = |own: &TensorEncoding| slots.iter().any(|(role, layer)| own.names(role, layer));
        for own in &self.tensors {
            if !known(own) {
                return Err(ExportError::NoSuchTensor { tensor: own.name(), layers: architecture.layers() });
            }
            if own.activations == ActivationBits::Sixteen {
                own.check_wide(architecture)?;
            }
        }
        Ok(())
    }

    fn embedding_encoding(&self) -> Encoding {
        self.embedding.unwrap_or(match self.weights {
            Encoding::I4 { .. } => Encoding::I8,
            other => other,
        })
    }
}

/// The encoding of one matrix, or of the matrices of one role in all layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorEncoding {
    /// What the matrix is for.
    pub role: Role,
    /// Its layer; `None` for all, or where the role is outside of layers.
    pub layer: Option<u16>,
    /// How it is stored.
    pub encoding: Encoding,
    /// In how many bits it takes the vectors that it multiplies.
    pub activations: ActivationBits,
}

impl TensorEncoding {
    fn describe(&self) -> String {
        let encoding = describe(self.encoding);
        match self.activations {
            ActivationBits::Eight => encoding,
            ActivationBits::Sixteen => format!("{encoding}, 16-bit activations"),
        }
    }

    /// Refuses 16-bit activations where there are none.
    fn check_wide(&self, architecture: &Architecture) -> Result<(), ExportError> {
        let fail = |problem| Err(ExportError::Activations { tensor: self.name(), problem });
        if matches!(self.encoding, Encoding::F32 | Encoding::F16) {
            fail("floats take their activations as they are; choose int8 or int4, or leave :a16 out")
        } else if !architecture.may_be_wide(self.role) {
            fail("they are for the projections and the head of a transformer; leave :a16 out")
        } else {
            Ok(())
        }
    }

    fn names(&self, role: Role, layer: u16) -> bool {
        self.role == role && self.layer.is_none_or(|own| own == layer)
    }

    /// As reports name it: `ffn.down`, `layers.3.ffn.down`.
    fn name(&self) -> String {
        self.layer.map_or_else(|| self.role.name().to_owned(), |layer| tensor_name(self.role, layer))
    }
}

/// Name of an encoding, without its group.
pub fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::F32 => "f32",
        Encoding::F16 => "f16",
        Encoding::I8 => "int8",
        Encoding::I4 { .. } => "int4",
    }
}

fn describe(encoding: Encoding) -> String {
    match encoding {
        Encoding::I4 { group: 0 } => "int4, one scale per row".into(),
        Encoding::I4 { group } => format!("int4, groups of {group}"),
        other => encoding_name(other).into(),
    }
}

/// Lengths of a golden transcript that is made from the written file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoldenShape {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens that follow.
    pub output: u32,
}

impl GoldenShape {
    /// A transcript of these lengths that parses, with token 0 throughout.
    pub(super) fn placeholder(self) -> Vec<u8> {
        let mut bytes = Golden::header(false, self.prompt, self.output, 0).to_vec();
        bytes.resize(bytes.len() + (self.prompt as usize + self.output as usize) * 4, 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedding_follows_the_weights_but_not_to_int4() {
        let group = Encoding::I4 { group: 32 };
        let cases = [
            (Encoding::F16, None, Encoding::F16, "f16"),
            (group, None, Encoding::I8, "int4, groups of 32; embedding int8"),
            (group, Some(group), group, "int4, groups of 32"),
            (Encoding::I8, Some(Encoding::F32), Encoding::F32, "int8; embedding f32"),
            (
                Encoding::I4 { group: 0 },
                Some(Encoding::F16),
                Encoding::F16,
                "int4, one scale per row; embedding f16",
            ),
        ];
        for (weights, embedding, expected, words) in cases {
            let options = ExportOptions { weights, embedding, ..ExportOptions::default() };
            for role in [Role::Embedding, Role::Positions, Role::Head] {
                assert_eq!(options.encoding(role, 0), expected);
            }
            assert_eq!(options.encoding(Role::FfnUp, 0), weights);
            assert_eq!(options.encoding(Role::FfnUpBias, 0), Encoding::F32);
            assert_eq!(options.describe(), words);
        }
    }

    #[test]
    fn a_matrix_may_have_an_encoding_of_its_own() {
        let activations = ActivationBits::Eight;
        let own = |layer, encoding| TensorEncoding { role: Role::FfnDown, layer, encoding, activations };
        let tensors = vec![own(None, Encoding::F16), own(Some(2), Encoding::I4 { group: 16 })];
        let options = ExportOptions { tensors, ..ExportOptions::default() };
        let found = [1, 2].map(|layer| options.encoding(Role::FfnDown, layer));
        assert_eq!(found, [Encoding::F16, Encoding::I4 { group: 16 }]);
        assert_eq!(options.encoding(Role::FfnUp, 2), Encoding::I8);
        assert_eq!(options.encoding(Role::FfnDownBias, 2), Encoding::F32);
        assert_eq!(options.describe(), "int8; ffn.down f16; layers.2.ffn.down int4, groups of 16");
    }

    #[test]
    fn a_matrix_may_take_16_bit_activations() {
        let encoding = Encoding::I8;
        let own = |layer, activations| TensorEncoding { role: Role::FfnDown, layer, encoding, activations };
        let tensors = vec![own(None, ActivationBits::Sixteen), own(Some(2), ActivationBits::Eight)];
        let options = ExportOptions { tensors, ..ExportOptions::default() };
        let found = [1, 2].map(|layer| options.activations(Role::FfnDown, layer));
        assert_eq!(found, [ActivationBits::Sixteen, ActivationBits::Eight]);
        assert_eq!(options.activations(Role::FfnUp, 1), ActivationBits::Eight);
        assert_eq!(options.describe(), "int8; ffn.down int8, 16-bit activations; layers.2.ffn.down int8");
    }
}
