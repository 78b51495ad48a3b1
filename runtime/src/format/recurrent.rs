//! The record of a recurrent model: an embedding or frames, layers of one cell, a linear head.

use super::description::in_range;
use super::{Role, read_u16, read_u32};
use crate::architecture::{Cell, Direction, Normalization};
use crate::error::Error;
use crate::parts::{ALL_RECURRENT, RECURRENT};

/// Most layers of a recurrent model.
pub const MOST_RECURRENT_LAYERS: usize = 16;

/// A stack of recurrent layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Number of tokens in the vocabulary; 0 for a model that takes frames of real numbers.
    pub vocabulary: u32,
    /// Width of the embedding, or of a frame.
    pub input: u32,
    /// Number of layers.
    pub layers: u32,
    /// Rows of the output head; 0 without one: the last layer's vectors are the output.
    pub head: u32,
    /// What a layer computes in one step.
    pub cell: Cell,
    /// In which order layers read a sequence.
    pub direction: Direction,
    /// What is made of the outputs.
    pub normalization: Normalization,
    /// Whether the output head is the embedding.
    pub tied: bool,
    /// Whether the layers have biases.
    pub bias: bool,
    /// Whether the output head has a bias.
    pub head_bias: bool,
    /// Whether every layer's state is a projection of its cell's output (Sak et al. 2014); LSTM only.
    pub projected: bool,
    /// Width of every layer's cell, of one direction; 0 beyond the last.
    pub hidden: [u16; MOST_RECURRENT_LAYERS],
    /// Width of every layer's projected state; 0 without projections and beyond the last.
    pub projection: [u16; MOST_RECURRENT_LAYERS],
}

const FLAGS: u32 = 4;
/// Offset of the layers' widths.
const WIDTHS: usize = 64;

impl Recurrent {
    pub(super) const KIND: u32 = 2;

    /// Reads and checks a record of the right length.
    pub(super) const fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if let Err(error) = RECURRENT.needed() {
            return Err(error);
        }
        let mut at = 28;
        while at < WIDTHS {
            if read_u32(bytes, at) != 0 {
                return Err(Error::Description { field: "reserved", found: read_u32(bytes, at) });
            }
            at += 4;
        }
        let (choices, flags) = (read_u32(bytes, 20), read_u32(bytes, 24));
        if flags >> FLAGS != 0 {
            return Err(Error::Description { field: "flags", found: flags });
        }
        let cell = choices & 0xff;
        if cell as usize >= Cell::ALL.len() {
            return Err(Error::Description { field: "cell", found: cell });
        }
        let (mut hidden, mut projection) = ([0; MOST_RECURRENT_LAYERS], [0; MOST_RECURRENT_LAYERS]);
        let mut layer = 0;
        while layer < MOST_RECURRENT_LAYERS {
            hidden[layer] = read_u16(bytes, WIDTHS + 4 * layer);
            projection[layer] = read_u16(bytes, WIDTHS + 4 * layer + 2);
            layer += 1;
        }
        let recurrent = Self {
            vocabulary: read_u32(bytes, 4),
            input: read_u32(bytes, 8),
            layers: read_u32(bytes, 12),
            head: read_u32(bytes, 16),
            cell: Cell::ALL[cell as usize],
            direction: match choices >> 8 & 0xff {
                0 => Direction::Forward,
                1 => Direction::Reverse,
                2 => Direction::Both,
                found => return Err(Error::Description { field: "direction", found }),
            },
            normalization: match choices >> 16 {
                0 => Normalization::None,
                1 => Normalization::Softmax,
                2 => Normalization::Sigmoid,
                found => return Err(Error::Description { field: "normalization", found }),
            },
            tied: flags & 1 != 0,
            bias: flags & 2 != 0,
            head_bias: flags & 4 != 0,
            projected: flags & 8 != 0,
            hidden,
            projection,
        };
        let usual =
            recurrent.is_language_model() && matches!(recurrent.cell, Cell::Lstm) && !recurrent.projected;
        let needed = if usual { Ok(()) } else { ALL_RECURRENT.needed() };
        match (recurrent.check(), needed) {
            (Ok(()), Ok(())) => Ok(recurrent),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Checks every field's range and the relations between them.
    ///
    /// # Errors
    /// [`Error::Description`] naming the first field that is out of range.
    pub const fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("vocabulary", self.vocabulary, 0, 1 << 24),
            ("input", self.input, 1, 1 << 16),
            ("layers", self.layers, 1, MOST_RECURRENT_LAYERS as u32),
            ("head", self.head, 0, 1 << 24),
            ("projected (LSTM only)", self.projected as u32, 0, matches!(self.cell, Cell::Lstm) as u32),
            ("head bias (without a head)", self.head_bias as u32, 0, (self.head > 0) as u32),
        ];
        let mut i = 0;
        while i < ranges.len() {
            let (field, found, least, most) = ranges[i];
            if let Err(error) = in_range(field, found, least, most) {
                return Err(error);
            }
            i += 1;
        }
        let mut layer = 0;
        while layer < MOST_RECURRENT_LAYERS {
            let there = layer < self.layers as usize;
            let (hidden, projection) = (self.hidden[layer] as u32, self.projection[layer] as u32);
            if (hidden > 0) != there {
                return Err(Error::Description { field: "hidden", found: hidden });
            }
            if (projection > 0) != (there && self.projected) {
                return Err(Error::Description { field: "projection", found: projection });
            }
            layer += 1;
        }
        let fits = self.vocabulary > 0 && self.head == self.vocabulary && self.input as usize == self.top();
        if self.tied && !fits {
            return Err(Error::Description { field: "tied (shapes differ)", found: 1 });
        }
        Ok(())
    }

    /// The record as it stands in the file.
    pub(super) fn to_bytes(self) -> [u8; super::Architecture::LEN] {
        let direction = match self.direction {
            Direction::Forward => 0,
            Direction::Reverse => 1,
            Direction::Both => 2,
        };
        let normalization = match self.normalization {
            Normalization::None => 0,
            Normalization::Softmax => 1,
            Normalization::Sigmoid => 2,
        };
        let flags = [self.tied, self.bias, self.head_bias, self.projected];
        let words = [
            Self::KIND,
            self.vocabulary,
            self.input,
            self.layers,
            self.head,
            self.cell as u32 | direction << 8 | normalization << 16,
            flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u32::from(flag)),
        ];
        let mut bytes = [0; super::Architecture::LEN];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let widths = self.hidden.iter().zip(&self.projection);
        for (bytes, (hidden, projection)) in bytes[WIDTHS..].chunks_exact_mut(4).zip(widths) {
            bytes[..2].copy_from_slice(&hidden.to_le_bytes());
            bytes[2..].copy_from_slice(&projection.to_le_bytes());
        }
        bytes
    }

    /// Directions in which a sequence is read: 1 or 2.
    pub const fn directions(&self) -> usize {
        match self.direction {
            Direction::Both if ALL_RECURRENT.is_there => 2,
            _ => 1,
        }
    }

    /// Width of the cell of `layer`.
    pub const fn hidden(&self, layer: usize) -> usize {
        self.hidden[layer] as usize
    }

    /// Width of the state that `layer` feeds back, of one direction.
    pub const fn state(&self, layer: usize) -> usize {
        if self.projected { self.projection[layer] as usize } else { self.hidden[layer] as usize }
    }

    /// Width of the vectors that `layer` reads.
    pub const fn layer_input(&self, layer: usize) -> usize {
        if layer == 0 { self.input as usize } else { self.directions() * self.state(layer - 1) }
    }

    /// Width of the vectors of the last layer.
    pub const fn top(&self) -> usize {
        self.directions() * self.state(self.layers as usize - 1)
    }

    /// Numbers that come out for every token or frame.
    pub const fn outputs(&self) -> usize {
        if self.head == 0 { self.top() } else { self.head as usize }
    }

    /// Whether what comes out are logits of the next token.
    pub const fn is_language_model(&self) -> bool {
        self.vocabulary > 0
            && self.head == self.vocabulary
            && matches!(self.direction, Direction::Forward)
            && matches!(self.normalization, Normalization::None)
    }

    /// Rows of the first product with the state of `layer`.
    pub const fn state_rows(&self, layer: usize) -> usize {
        self.cell.early_gates() * self.hidden(layer)
    }

    /// Whether the file holds tensors of this role.
    pub const fn has(&self, role: Role) -> bool {
        let both = self.directions() == 2;
        let candidate = matches!(self.cell, Cell::GruResetBefore);
        match role {
            Role::Embedding => self.vocabulary > 0,
            Role::RecurrentInput | Role::RecurrentHidden => true,
            Role::RecurrentInputBias => self.bias,
            Role::RecurrentHiddenReverse => both,
            Role::RecurrentCandidate => candidate,
            Role::RecurrentCandidateReverse => candidate && both,
            Role::RecurrentCandidateBias => self.bias && matches!(self.cell, Cell::GruResetAfter),
            Role::RecurrentProjection => self.projected,
            Role::RecurrentProjectionReverse => self.projected && both,
            Role::Head => self.head > 0 && !self.tied,
            Role::HeadBias => self.head_bias,
            _ => false,
        }
    }

    /// Rows and columns of the tensor of this role in this layer; a vector is one row. Nothing where a recurrent model
    /// has no such tensor.
    pub const fn shape(&self, role: Role, layer: u16) -> (usize, usize) {
        let layer = layer as usize;
        let (hidden, state) = (self.hidden(layer), self.state(layer));
        let input_rows = self.directions() * self.cell.gates() * hidden;
        match role {
            Role::Embedding => (self.vocabulary as usize, self.input as usize),
            Role::RecurrentInput => (input_rows, self.layer_input(layer)),
            Role::RecurrentInputBias => (1, input_rows),
            Role::RecurrentHidden | Role::RecurrentHiddenReverse => (self.state_rows(layer), state),
            Role::RecurrentCandidate | Role::RecurrentCandidateReverse => (hidden, state),
            Role::RecurrentCandidateBias => (1, self.directions() * hidden),
            Role::RecurrentProjection | Role::RecurrentProjectionReverse => (state, hidden),
            Role::Head => (self.head as usize, self.top()),
            Role::HeadBias => (1, self.head as usize),
            _ => (0, 0),
        }
    }
}
