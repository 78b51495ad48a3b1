//! The tensor table and the tensors' bytes.
//!
//! Tensors stand in one canonical order that follows from the model description, each at the next multiple of 64:
//! so the table proves itself in one pass, and a tensor is found by arithmetic instead of by name.

use super::role::Place;
use super::{ALIGNMENT, Architecture, Encoding, Role, WideInputs, align, read_u16, read_u32, read_u64};
use crate::error::{Error, proven};
use crate::parts::FLOATS;
use crate::tensor::{ActivationBits, Matrix, MatrixF16, MatrixF32, MatrixI4, MatrixI8};
use bytemuck::Pod;
use core::ops::Range;

/// Bytes of one entry of the tensor table.
pub const TENSOR_ENTRY_LEN: usize = 32;

/// One row of the tensor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// What the tensor is for.
    pub role: Role,
    /// Its layer, counted from 0; 0 outside of layers.
    pub layer: u16,
    /// How it is stored.
    pub encoding: Encoding,
    /// In how many bits it takes the vectors that it multiplies; eight where it takes none, or takes them as they are.
    pub activations: ActivationBits,
    /// Rows; 1 for a vector.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Offset in the data section, a multiple of 64.
    pub offset: u64,
}

impl TensorEntry {
    /// Bytes of the tensor.
    pub const fn len(&self) -> u64 {
        self.encoding.layout(self.rows as usize, self.cols as usize).len()
    }

    /// Whether the tensor has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry as it stands in the file.
    pub fn to_bytes(&self) -> [u8; TENSOR_ENTRY_LEN] {
        let (code, group) = self.encoding.code();
        let mut bytes = [0; TENSOR_ENTRY_LEN];
        bytes[0..2].copy_from_slice(&(self.role as u16).to_le_bytes());
        bytes[2..4].copy_from_slice(&self.layer.to_le_bytes());
        bytes[4] = code;
        bytes[5] = u8::from(self.activations == ActivationBits::Sixteen);
        bytes[6..8].copy_from_slice(&group.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.rows.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.cols.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.len().to_le_bytes());
        bytes
    }
}

/// Where each role's tensors stand in the canonical order.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    slot: [u8; Role::ALL.len()],
    before: u16,
    per_layer: u16,
    layers: u16,
    total: u32,
}

const ABSENT: u8 = u8::MAX;

/// The roles of layers in [`Role::ALL`].
const OF_LAYERS: Range<usize> = 3..24;
const _: () = {
    let mut i = 0;
    while i < Role::ALL.len() {
        assert!(Role::ALL[i].per_layer() == (OF_LAYERS.start <= i && i < OF_LAYERS.end));
        i += 1;
    }
};

impl Slots {
    /// The order of the tensors of a model whose description is in range.
    pub const fn new(architecture: &Architecture) -> Self {
        let layers = architecture.layers();
        let mut slots = Self {
            slot: [ABSENT; Role::ALL.len()],
            before: 0,
            per_layer: 0,
            layers: layers as u16,
            total: 0,
        };
        let (mut after, mut i) = (0, 0);
        while i < Role::ALL.len() {
            let role = Role::ALL[i];
            i += 1;
            if !architecture.has(role) {
                continue;
            }
            let counter = match role.place() {
                Place::Before => &mut slots.before,
                Place::Layer => &mut slots.per_layer,
                Place::After => &mut after,
            };
            slots.slot[role as usize - 1] = *counter as u8;
            *counter += 1;
        }
        slots.total = slots.before as u32 + slots.per_layer as u32 * layers + after as u32;
        slots
    }

    /// Number of tensors.
    pub const fn total(&self) -> usize {
        self.total as usize
    }

    /// The tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (Role, u16)> {
        let (slots, mut next) = (*self, (0, 0));
        core::iter::from_fn(move || slots.after(&mut next))
    }

    /// The tensor that is next: of the role of this index, in this layer.
    const fn after(&self, (next, layer): &mut (usize, u16)) -> Option<(Role, u16)> {
        loop {
            if *next == OF_LAYERS.end && *layer + 1 < self.layers {
                (*next, *layer) = (OF_LAYERS.start, *layer + 1);
            }
            if *next == Role::ALL.len() {
                return None;
            }
            let role = Role::ALL[*next];
            *next += 1;
            if self.slot[role as usize - 1] != ABSENT {
                return Some((role, if role.per_layer() { *layer } else { 0 }));
            }
        }
    }

    /// Index of a tensor, or `None` where the model has none of that role.
    #[inline]
    pub fn index(&self, role: Role, layer: usize) -> Option<usize> {
        let slot = usize::from(self.slot[role as usize - 1]);
        let (before, per_layer) = (usize::from(self.before), usize::from(self.per_layer));
        (slot != usize::from(ABSENT)).then(|| match role.place() {
            Place::Before => slot,
            Place::Layer => before + layer * per_layer + slot,
            Place::After => before + usize::from(self.layers) * per_layer + slot,
        })
    }
}

/// The tensors of a file: a proven table over the data section.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    slots: Slots,
    table: &'a [u8],
    data: &'a [u8],
}

impl<'a> Tensors<'a> {
    /// Proves the table: the tensors that the description asks for, in order, with their shapes, without gaps or
    /// overlaps, exactly covering `data`.
    ///
    /// # Errors
    /// [`Error::Description`], [`Error::Tensor`] or [`Error::Section`] saying what is wrong; [`Error::Misaligned`]
    /// if `data` does not start at a multiple of 64.
    pub fn parse(architecture: &Architecture, table: &'a [u8], data: &'a [u8]) -> Result<Self, Error> {
        architecture.check()?;
        let excess = data.as_ptr().addr() % ALIGNMENT;
        if excess != 0 && !data.is_empty() {
            return Err(Error::Misaligned { part: "the tensor data", excess });
        }
        Self::prove(architecture, table, data)
    }

    /// As [`Tensors::parse`], of a description in range and data that are aligned, in constants too.
    pub(super) const fn prove(
        architecture: &Architecture,
        table: &'a [u8],
        data: &'a [u8],
    ) -> Result<Self, Error> {
        let slots = Slots::new(architecture);
        if table.len() != slots.total() * TENSOR_ENTRY_LEN {
            return Err(Error::Section {
                section: "tensor table",
                problem: "the number of tensors is not the one that the description asks for",
            });
        }
        let (mut end, mut wide, mut rest, mut next) = (0, WideInputs::NONE, table, (0, 0));
        while let (Some((role, layer)), Some((bytes, others))) =
            (slots.after(&mut next), rest.split_first_chunk())
        {
            let entry = match read_entry(bytes, role, layer) {
                Ok(entry) => entry,
                Err(problem) => return Err(Error::Tensor { role, layer, problem }),
            };
            if role.is_matrix() && matches!(entry.encoding, Encoding::F32 | Encoding::F16) {
                proven!(FLOATS.needed());
            }
            if let Err(problem) = check_entry(architecture, &entry, read_u64(bytes, 24), end) {
                return Err(Error::Tensor { role, layer, problem });
            }
            if matches!(entry.activations, ActivationBits::Sixteen) {
                wide = wide.with(role);
            }
            end = entry.offset + entry.len();
            if end > data.len() as u64 {
                return Err(Error::Tensor { role, layer, problem: "it ends beyond the tensor data" });
            }
            rest = others;
        }
        if wide.bits() != architecture.wide_inputs().bits() {
            return Err(Error::Section {
                section: "tensor table",
                problem: "the matrices with 16-bit activations are not of the kinds that the description says",
            });
        }
        if end != data.len() as u64 {
            return Err(Error::Section {
                section: "tensor data",
                problem: "there are bytes after the last tensor",
            });
        }
        Ok(Self { slots, table, data })
    }

    /// The order of the tensors.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// All entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = TensorEntry> {
        let table = self.table;
        self.slots
            .iter()
            .zip(table.as_chunks().0)
            .map(|((role, layer), bytes)| proven_entry(bytes, role, layer))
    }

    /// A weight matrix, or `None` where the model has none of that role, or not that layer.
    // What `parse` has proven is looked up as if it might not be there: no index can then panic, or quote an error.
    pub fn matrix(&self, role: Role, layer: usize) -> Option<Matrix<'a>> {
        let index = self.slots.index(role, layer)?;
        let entry = read_entry(self.row(index)?, role, layer as u16).ok()?;
        let (rows, cols) = (entry.rows as usize, entry.cols as usize);
        let layout = entry.encoding.layout(rows, cols);
        let part = |at: u64, len: u64| self.part(entry.offset + at, len);
        let row_scales = part(0, layout.row_scales)?;
        let numbers = part(layout.numbers_at(), layout.numbers)?;
        match entry.encoding {
            Encoding::F32 => MatrixF32::new(rows, cols, words(numbers)?).map(Matrix::F32),
            Encoding::F16 => MatrixF16::new(rows, cols, words(numbers)?).map(Matrix::F16),
            Encoding::I8 => MatrixI8::new(rows, cols, words(row_scales)?, bytemuck::cast_slice(numbers))
                .map(|matrix| Matrix::I8(matrix.with_activations(entry.activations).among(self.data.len()))),
            Encoding::I4 { group } => MatrixI4::new(
                rows,
                cols,
                usize::from(group),
                words(row_scales)?,
                bytemuck::cast_slice(part(layout.group_scales_at(), layout.group_scales)?),
                numbers,
            )
            .map(|matrix| Matrix::I4(matrix.with_activations(entry.activations).among(self.data.len()))),
        }
    }

    /// An f32 vector; empty where the model has none of that role, or not that layer.
    pub fn vector(&self, role: Role, layer: usize) -> &'a [f32] {
        let vector = |index| {
            let entry = self.row(index)?;
            words(self.part(read_u64(entry, 16), read_u64(entry, 24))?)
        };
        self.slots.index(role, layer).and_then(vector).unwrap_or_default()
    }

    /// The entry of a tensor.
    fn row(&self, index: usize) -> Option<&'a [u8; TENSOR_ENTRY_LEN]> {
        self.table.as_chunks().0.get(index)
    }

    /// Bytes of the data.
    fn part(&self, offset: u64, len: u64) -> Option<&'a [u8]> {
        self.data.get(offset as usize..)?.get(..len as usize)
    }
}

/// Bytes as wider numbers.
fn words<T: Pod>(bytes: &[u8]) -> Option<&[T]> {
    bytemuck::try_cast_slice(bytes).ok()
}

/// An entry that `parse` has read before. To quote the error in a panic would be 7 kB of code.
#[inline]
fn proven_entry(bytes: &[u8; TENSOR_ENTRY_LEN], role: Role, layer: u16) -> TensorEntry {
    let Ok(entry) = read_entry(bytes, role, layer) else { unreachable!("parse proved the entry") };
    entry
}

/// Whether the tensor, which follows one that ends at `end` and has `len` bytes, is the one that the description asks for.
const fn check_entry(
    architecture: &Architecture,
    entry: &TensorEntry,
    len: u64,
    end: u64,
) -> Result<(), &'static str> {
    let role = entry.role;
    let (rows, cols) = architecture.shape(role, entry.layer);
    if entry.rows as usize != rows || entry.cols as usize != cols {
        return Err("its shape is not the one that the description asks for");
    }
    if !role.is_matrix() && !matches!(entry.encoding, Encoding::F32) {
        return Err("vectors are stored as f32");
    }
    if cols > entry.encoding.max_cols() {
        return Err("it has too many columns for its encoding: int4 allows 16643, int8 131071");
    }
    if matches!(entry.activations, ActivationBits::Sixteen) {
        proven!(check_wide(architecture, entry));
    }
    if entry.offset != align(end) {
        return Err("it does not start at the first multiple of 64 after the tensor before it");
    }
    if len != entry.len() {
        return Err("its length does not follow from its shape and encoding");
    }
    Ok(())
}

#[inline]
const fn read_entry(
    bytes: &[u8; TENSOR_ENTRY_LEN],
    role: Role,
    layer: u16,
) -> Result<TensorEntry, &'static str> {
    if read_u16(bytes, 0) != role as u16 || read_u16(bytes, 2) != layer {
        return Err("another tensor stands in its place");
    }
    let Some(encoding) = Encoding::from_code(bytes[4], read_u16(bytes, 6)) else {
        return Err("its encoding is not known");
    };
    let activations = match bytes[5] {
        0 => ActivationBits::Eight,
        1 => ActivationBits::Sixteen,
        _ => return Err("the bits of its activations are neither 0, for 8, nor 1, for 16"),
    };
    let offset = read_u64(bytes, 16);
    if !offset.is_multiple_of(ALIGNMENT as u64) {
        return Err("its offset is not a multiple of 64");
    }
    let (rows, cols) = (read_u32(bytes, 8), read_u32(bytes, 12));
    Ok(TensorEntry { role, layer, encoding, activations, rows, cols, offset })
}

/// Whether a matrix can ask for 16-bit activations.
const fn check_wide(architecture: &Architecture, entry: &TensorEntry) -> Result<(), &'static str> {
    if matches!(entry.encoding, Encoding::F32 | Encoding::F16) {
        Err("16-bit activations are for int8 and int4; floats take theirs as they are")
    } else if !architecture.may_be_wide(entry.role) {
        Err("16-bit activations are for the projections and the head of a transformer")
    } else {
        Ok(())
    }
}
