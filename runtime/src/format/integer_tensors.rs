//! The tensors of a chain of integer layers, in one canonical order that follows from the description.

use super::{ALIGNMENT, Chain, IntegerLayer, TENSOR_ENTRY_LEN, align, read_u16, read_u32, read_u64};
use crate::error::Error;
use crate::integer::Weights;
use crate::tensor::MatrixI8;

/// What a tensor of an integer layer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum IntegerRole {
    /// Weights that meet the input, `[4 hidden, inputs]` of an LSTM, else `[outputs, inputs]`.
    InputWeights = 64,
    /// Weights that meet the hidden state, `[4 hidden, hidden]`.
    HiddenWeights = 65,
    /// Bias of the former, zero point folded in.
    InputBias = 66,
    /// Bias of the latter, zero point folded in.
    HiddenBias = 67,
    /// Multipliers of a fully connected layer's outputs.
    Multipliers = 68,
    /// Their shifts.
    Shifts = 69,
}

const LSTM: [IntegerRole; 4] =
    [IntegerRole::InputWeights, IntegerRole::HiddenWeights, IntegerRole::InputBias, IntegerRole::HiddenBias];
const FULLY_CONNECTED: [IntegerRole; 4] =
    [IntegerRole::InputWeights, IntegerRole::InputBias, IntegerRole::Multipliers, IntegerRole::Shifts];

/// Encodings of the tensor table that only integer layers use.
const PLAIN_I8: u16 = 4;
const I32: u16 = 5;

impl IntegerRole {
    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InputWeights => "weights",
            Self::HiddenWeights => "hidden.weights",
            Self::InputBias => "bias",
            Self::HiddenBias => "hidden.bias",
            Self::Multipliers => "multipliers",
            Self::Shifts => "shifts",
        }
    }

    /// Whether it is a matrix of int8, packed as all matrices; the others are vectors of i32.
    pub const fn is_matrix(self) -> bool {
        matches!(self, Self::InputWeights | Self::HiddenWeights)
    }
}

impl IntegerLayer {
    /// The tensors that the layer asks for, in order.
    pub fn roles(&self) -> &'static [IntegerRole] {
        match self {
            Self::Lstm { .. } => &LSTM,
            Self::FullyConnected { .. } => &FULLY_CONNECTED,
            Self::Softmax { .. } | Self::Gather { .. } => &[],
        }
    }

    /// Rows and columns of a tensor of the layer; a vector is one row.
    pub fn shape(&self, role: IntegerRole) -> (usize, usize) {
        let rows = match self {
            Self::Lstm { .. } => 4 * self.outputs(),
            _ => self.outputs(),
        };
        match role {
            IntegerRole::InputWeights => (rows, self.inputs()),
            IntegerRole::HiddenWeights => (rows, self.outputs()),
            _ => (1, rows),
        }
    }
}

/// One row of the tensor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerEntry {
    /// What the tensor is for.
    pub role: IntegerRole,
    /// Its layer, counted from 0.
    pub layer: u16,
    /// Rows; 1 for a vector.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Offset in the data section, a multiple of 64.
    pub offset: u64,
}

impl IntegerEntry {
    /// The entries of a chain of these layers, in order.
    pub fn of(layers: impl Iterator<Item = IntegerLayer>) -> impl Iterator<Item = Self> {
        let tensors = layers.enumerate().flat_map(|(index, layer)| {
            layer.roles().iter().map(move |&role| (role, index as u16, layer.shape(role)))
        });
        tensors.scan(0, |end, (role, layer, (rows, cols))| {
            let entry = Self { role, layer, rows: rows as u32, cols: cols as u32, offset: align(*end) };
            *end = entry.offset + entry.len();
            Some(entry)
        })
    }

    /// Bytes of the tensor.
    pub const fn len(&self) -> u64 {
        if self.role.is_matrix() {
            MatrixI8::data_len(self.rows as usize, self.cols as usize) as u64
        } else {
            4 * self.cols as u64
        }
    }

    /// Whether the tensor has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry as it stands in the file.
    pub fn to_bytes(&self) -> [u8; TENSOR_ENTRY_LEN] {
        let encoding = if self.role.is_matrix() { PLAIN_I8 } else { I32 };
        let mut bytes = [0; TENSOR_ENTRY_LEN];
        bytes[0..2].copy_from_slice(&(self.role as u16).to_le_bytes());
        bytes[2..4].copy_from_slice(&self.layer.to_le_bytes());
        bytes[4..6].copy_from_slice(&encoding.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.rows.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.cols.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.len().to_le_bytes());
        bytes
    }

    /// What differs in `bytes`.
    fn compare(&self, bytes: &[u8]) -> Result<(), &'static str> {
        let expected = self.to_bytes();
        if read_u16(bytes, 0) != self.role as u16 || read_u16(bytes, 2) != self.layer {
            return Err("another tensor stands in its place");
        }
        if read_u32(bytes, 4) != read_u32(&expected, 4) {
            return Err("its encoding is not int8 for weights, i32 for the rest");
        }
        if bytes[8..16] != expected[8..16] {
            return Err("its shape is not the one that the description asks for");
        }
        if read_u64(bytes, 16) != self.offset {
            return Err("it does not start at the first multiple of 64 after the tensor before it");
        }
        if read_u64(bytes, 24) != self.len() {
            return Err("its length does not follow from its shape and encoding");
        }
        Ok(())
    }
}

/// The tensors of an integer file: a proven table over the data section.
#[derive(Clone, Copy, Debug)]
pub struct IntegerTensors<'a> {
    chain: Chain<'a>,
    data: &'a [u8],
}

impl<'a> IntegerTensors<'a> {
    /// Proves the table: the tensors that the description asks for, in order, without gaps or overlaps, exactly
    /// covering `data`.
    ///
    /// # Errors
    /// [`Error::IntegerTensor`] or [`Error::Section`] saying what is wrong; [`Error::Misaligned`] if `data` does not
    /// start at a multiple of 64.
    pub fn parse(chain: Chain<'a>, table: &[u8], data: &'a [u8]) -> Result<Self, Error> {
        let excess = data.as_ptr().addr() % ALIGNMENT;
        if excess != 0 && !data.is_empty() {
            return Err(Error::Misaligned { part: "the tensor data", excess });
        }
        let tensors = Self { chain, data };
        if table.len() != tensors.entries().count() * TENSOR_ENTRY_LEN {
            return Err(Error::Section {
                section: "tensor table",
                problem: "the number of tensors is not the one that the description asks for",
            });
        }
        let mut end = 0;
        for (entry, bytes) in tensors.entries().zip(table.chunks_exact(TENSOR_ENTRY_LEN)) {
            let fail = |problem| Error::IntegerTensor { role: entry.role, layer: entry.layer, problem };
            entry.compare(bytes).map_err(fail)?;
            end = entry.offset + entry.len();
            if end > data.len() as u64 {
                return Err(fail("it ends beyond the tensor data"));
            }
        }
        if end != data.len() as u64 {
            let problem = "there are bytes after the last tensor";
            return Err(Error::Section { section: "tensor data", problem });
        }
        Ok(tensors)
    }

    /// All entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = IntegerEntry> + use<'a> {
        IntegerEntry::of(self.chain.layers())
    }

    /// The bytes of one tensor.
    pub fn bytes(&self, entry: &IntegerEntry) -> &'a [u8] {
        &self.data[entry.offset as usize..][..entry.len() as usize]
    }

    /// A matrix.
    ///
    /// # Panics
    /// If `entry` is not a matrix of this file.
    pub fn weights(&self, entry: &IntegerEntry) -> Weights<'a> {
        let data = bytemuck::cast_slice(self.bytes(entry));
        Weights::new(entry.rows as usize, entry.cols as usize, data).expect("parse proved the shape")
    }

    /// A vector.
    ///
    /// # Panics
    /// If `entry` is not a vector of this file.
    pub fn vector(&self, entry: &IntegerEntry) -> &'a [i32] {
        bytemuck::cast_slice(self.bytes(entry))
    }
}
