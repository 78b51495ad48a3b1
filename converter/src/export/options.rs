//! What the user chooses about an export, and what follows for each tensor.

use whit::CacheKind;
use whit::format::{Encoding, Golden, Role};
use whit::sampler::Sampling;

/// How to write a file.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Encoding of the weight matrices.
    pub weights: Encoding,
    /// Encoding of embedding, positions and output head; `None` is that of the weights, but int8 instead of int4.
    pub embedding: Option<Encoding>,
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
            cache: None,
            sampling: Sampling::default(),
            golden: None,
        }
    }
}

impl ExportOptions {
    /// The encoding of tensors of `role`; vectors are always f32.
    pub fn encoding(&self, role: Role) -> Encoding {
        match role {
            role if !role.is_matrix() => Encoding::F32,
            Role::Embedding | Role::Positions | Role::Head => self.embedding_encoding(),
            _ => self.weights,
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
        if weights == embedding { weights } else { format!("{weights}; embedding {embedding}") }
    }

    fn embedding_encoding(&self) -> Encoding {
        self.embedding.unwrap_or(match self.weights {
            Encoding::I4 { .. } => Encoding::I8,
            other => other,
        })
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
                assert_eq!(options.encoding(role), expected);
            }
            assert_eq!(options.encoding(Role::FfnUp), weights);
            assert_eq!(options.encoding(Role::FfnUpBias), Encoding::F32);
            assert_eq!(options.describe(), words);
        }
    }
}
