//! The kinds of model that a file can describe, and what is asked of all of them alike.
//!
//! A further kind is a further record of 128 bytes that starts with its number, with roles of its own.

use super::{Description, Recurrent, Role, WideInputs, read_u32};
use crate::error::Error;

/// What a model computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Architecture {
    /// A decoder-only transformer.
    Transformer(Description),
    /// A stack of recurrent layers.
    Recurrent(Recurrent),
}

impl From<Description> for Architecture {
    fn from(description: Description) -> Self {
        Self::Transformer(description)
    }
}

impl From<Recurrent> for Architecture {
    fn from(recurrent: Recurrent) -> Self {
        Self::Recurrent(recurrent)
    }
}

impl Architecture {
    /// Bytes of the record in the file, of whatever kind.
    pub const LEN: usize = Description::LEN;

    /// Reads and checks a record. `const`, so that firmware can size its arena at compile time.
    ///
    /// # Errors
    /// [`Error::Section`] if the length is wrong, [`Error::Description`] naming the field that is out of range.
    pub const fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::LEN {
            return Err(Error::Section { section: "description", problem: "must have 128 bytes" });
        }
        match read_u32(bytes, 0) {
            Description::KIND => match Description::parse(bytes) {
                Ok(description) => Ok(Self::Transformer(description)),
                Err(error) => Err(error),
            },
            Recurrent::KIND => match Recurrent::parse(bytes) {
                Ok(recurrent) => Ok(Self::Recurrent(recurrent)),
                Err(error) => Err(error),
            },
            found => Err(Error::Description { field: "kind", found }),
        }
    }

    /// Checks every field's range and the relations between them.
    ///
    /// # Errors
    /// [`Error::Description`] naming the first field that is out of range.
    pub const fn check(&self) -> Result<(), Error> {
        match self {
            Self::Transformer(description) => description.check(),
            Self::Recurrent(recurrent) => recurrent.check(),
        }
    }

    /// The record as it stands in the file.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        match self {
            Self::Transformer(description) => description.to_bytes(),
            Self::Recurrent(recurrent) => recurrent.to_bytes(),
        }
    }

    /// The transformer, if it is one.
    pub const fn transformer(&self) -> Option<&Description> {
        match self {
            Self::Transformer(description) => Some(description),
            Self::Recurrent(_) => None,
        }
    }

    /// The recurrent model, if it is one.
    pub const fn recurrent(&self) -> Option<&Recurrent> {
        match self {
            Self::Transformer(_) => None,
            Self::Recurrent(recurrent) => Some(recurrent),
        }
    }

    /// Tokens that can be fed; 0 for a model that takes frames.
    pub const fn vocabulary(&self) -> u32 {
        match self {
            Self::Transformer(description) => description.vocabulary,
            Self::Recurrent(recurrent) => recurrent.vocabulary,
        }
    }

    /// Numbers that come out for every token or frame: logits of the vocabulary where it is a language model.
    pub const fn outputs(&self) -> usize {
        match self {
            Self::Transformer(description) => description.vocabulary as usize,
            Self::Recurrent(recurrent) => recurrent.outputs(),
        }
    }

    /// Whether what comes out are logits of the next token, so that a text can be continued.
    pub const fn is_language_model(&self) -> bool {
        match self {
            Self::Transformer(_) => true,
            Self::Recurrent(recurrent) => recurrent.is_language_model(),
        }
    }

    /// Number of layers.
    pub const fn layers(&self) -> u32 {
        match self {
            Self::Transformer(description) => description.layers,
            Self::Recurrent(recurrent) => recurrent.layers,
        }
    }

    /// Most positions that the model was made for; `None` where there is no limit.
    pub const fn context(&self) -> Option<u32> {
        match self {
            Self::Transformer(description) => Some(description.context),
            Self::Recurrent(_) => None,
        }
    }

    /// Whether sessions keep an int8 cache of keys and values unless told otherwise.
    pub const fn int8_cache(&self) -> bool {
        match self {
            Self::Transformer(description) => description.int8_cache,
            Self::Recurrent(_) => false,
        }
    }

    /// Whether the output head is the embedding.
    pub const fn tied(&self) -> bool {
        match self {
            Self::Transformer(description) => description.tied,
            Self::Recurrent(recurrent) => recurrent.tied,
        }
    }

    /// Whether the file holds tensors of this role.
    pub const fn has(&self, role: Role) -> bool {
        match self {
            Self::Transformer(description) => description.has(role),
            Self::Recurrent(recurrent) => recurrent.has(role),
        }
    }

    /// Whether tensors of this role, of which the file holds some, may ask for 16-bit activations.
    pub const fn may_be_wide(&self, role: Role) -> bool {
        match self {
            Self::Transformer(description) => description.may_be_wide(role),
            Self::Recurrent(_) => false,
        }
    }

    /// Which projections take 16-bit activations in some layer.
    pub const fn wide_inputs(&self) -> WideInputs {
        match self {
            Self::Transformer(description) => description.wide_inputs,
            Self::Recurrent(_) => WideInputs::NONE,
        }
    }

    /// Rows and columns of the tensor of this role in this layer; a vector is one row.
    pub const fn shape(&self, role: Role, layer: u16) -> (usize, usize) {
        match self {
            Self::Transformer(description) => description.shape(role),
            Self::Recurrent(recurrent) => recurrent.shape(role, layer),
        }
    }
}
