//! The tensor table and the tensors' bytes.
//!
//! Tensors stand in one canonical order that follows from the model description, each at the next multiple of 64:
//! so the table proves itself in one pass, and a tensor is found by arithmetic instead of by name.

use super::{ALIGNMENT, Description, align, read_u16, read_u32, read_u64};
use crate::error::Error;
use crate::tensor::{
    MAX_COLS_I4, MAX_COLS_I8, Matrix, MatrixF16, MatrixF32, MatrixI4, MatrixI8, padded_rows,
};

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Role {
    /// Token embedding, `[vocabulary, width]`; also the output head where it is tied.
    Embedding = 1,
    /// Learned positions, `[context, width]`.
    Positions = 2,
    /// Rotary frequencies in radians per position, `[rotary_width / 2]`.
    RotaryFrequencies = 3,
    /// Weight of the norm of the attention half, `[width]`.
    AttentionNorm = 4,
    /// Its bias.
    AttentionNormBias = 5,
    /// Query, key and value projections, `[query_width + 2 kv_width, width]`.
    Qkv = 6,
    /// Their bias.
    QkvBias = 7,
    /// Attention output projection, `[width, query_width]`.
    AttentionOut = 8,
    /// Its bias.
    AttentionOutBias = 9,
    /// Weight of the norm of the feed-forward half, `[width]`.
    FfnNorm = 10,
    /// Its bias.
    FfnNormBias = 11,
    /// Feed-forward input projection, `[hidden, width]`, or gate then up, `[2 hidden, width]`.
    FfnUp = 12,
    /// Its bias.
    FfnUpBias = 13,
    /// Feed-forward output projection, `[width, hidden]`.
    FfnDown = 14,
    /// Its bias.
    FfnDownBias = 15,
    /// Weight of the last norm, `[width]`.
    FinalNorm = 16,
    /// Its bias.
    FinalNormBias = 17,
    /// Output head, `[vocabulary, width]`.
    Head = 18,
    /// Its bias.
    HeadBias = 19,
}

impl Role {
    /// All roles in the order of a file; those from [`Role::AttentionNorm`] to [`Role::FfnDownBias`] repeat for
    /// every layer.
    pub const ALL: [Self; 19] = [
        Self::Embedding,
        Self::Positions,
        Self::RotaryFrequencies,
        Self::AttentionNorm,
        Self::AttentionNormBias,
        Self::Qkv,
        Self::QkvBias,
        Self::AttentionOut,
        Self::AttentionOutBias,
        Self::FfnNorm,
        Self::FfnNormBias,
        Self::FfnUp,
        Self::FfnUpBias,
        Self::FfnDown,
        Self::FfnDownBias,
        Self::FinalNorm,
        Self::FinalNormBias,
        Self::Head,
        Self::HeadBias,
    ];

    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Positions => "positions",
            Self::RotaryFrequencies => "rotary.frequencies",
            Self::AttentionNorm => "attention.norm",
            Self::AttentionNormBias => "attention.norm.bias",
            Self::Qkv => "attention.qkv",
            Self::QkvBias => "attention.qkv.bias",
            Self::AttentionOut => "attention.out",
            Self::AttentionOutBias => "attention.out.bias",
            Self::FfnNorm => "ffn.norm",
            Self::FfnNormBias => "ffn.norm.bias",
            Self::FfnUp => "ffn.up",
            Self::FfnUpBias => "ffn.up.bias",
            Self::FfnDown => "ffn.down",
            Self::FfnDownBias => "ffn.down.bias",
            Self::FinalNorm => "final.norm",
            Self::FinalNormBias => "final.norm.bias",
            Self::Head => "head",
            Self::HeadBias => "head.bias",
        }
    }

    /// Whether every layer has one.
    pub const fn per_layer(self) -> bool {
        let id = self as u16;
        id >= Self::AttentionNorm as u16 && id <= Self::FfnDownBias as u16
    }

    /// Whether it is a weight matrix, which may have any encoding; the others are f32 vectors.
    pub const fn is_matrix(self) -> bool {
        matches!(
            self,
            Self::Embedding
                | Self::Positions
                | Self::Qkv
                | Self::AttentionOut
                | Self::FfnUp
                | Self::FfnDown
                | Self::Head
        )
    }
}

/// How the numbers of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// IEEE binary32, row-major.
    F32,
    /// IEEE binary16, row-major.
    F16,
    /// int8 with one f32 scale per row, packed by 16 rows × 4 columns.
    I8,
    /// int4 with one f32 scale per row and, unless `group` is 0, one int8 scale per group of columns; packed by 16
    /// rows × 8 columns.
    I4 {
        /// Columns in a group: 16, 32, 64, 128, or 0 for the whole row.
        group: u16,
    },
}

impl Encoding {
    fn code(self) -> (u16, u16) {
        match self {
            Self::F32 => (0, 0),
            Self::F16 => (1, 0),
            Self::I8 => (2, 0),
            Self::I4 { group } => (3, group),
        }
    }

    fn from_code(code: u16, group: u16) -> Option<Self> {
        match (code, group) {
            (0, 0) => Some(Self::F32),
            (1, 0) => Some(Self::F16),
            (2, 0) => Some(Self::I8),
            (3, group) if MatrixI4::is_group(group as usize) => Some(Self::I4 { group }),
            _ => None,
        }
    }

    /// Widest matrix whose sums stay exact.
    pub const fn max_cols(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::I8 => MAX_COLS_I8,
            Self::I4 { .. } => MAX_COLS_I4,
        }
    }

    /// Where the parts of a `rows` × `cols` tensor lie.
    pub const fn layout(self, rows: usize, cols: usize) -> TensorLayout {
        match self {
            Self::F32 => TensorLayout::of([0, 0], rows as u64 * cols as u64 * 4),
            Self::F16 => TensorLayout::of([0, 0], rows as u64 * cols as u64 * 2),
            Self::I8 => {
                TensorLayout::of([padded_rows(rows) as u64 * 4, 0], packed_len(rows, cols.div_ceil(4)))
            }
            Self::I4 { group } => {
                let scales = if group == 0 { 0 } else { cols.div_ceil(group as usize) as u64 };
                let scales = padded_rows(rows) as u64 * scales;
                TensorLayout::of([padded_rows(rows) as u64 * 4, scales], packed_len(rows, cols.div_ceil(8)))
            }
        }
    }
}

const fn packed_len(rows: usize, steps: usize) -> u64 {
    padded_rows(rows) as u64 / 16 * steps as u64 * 64
}

/// Lengths in bytes of the parts of a tensor: row scales, group scales, numbers. Each part starts at a multiple
/// of 64, the gaps hold zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorLayout {
    /// f32 row scales, `[padded rows]`.
    pub row_scales: u64,
    /// int8 group scales, `[rows / 16][groups][16]`.
    pub group_scales: u64,
    /// The numbers themselves.
    pub numbers: u64,
}

impl TensorLayout {
    const fn of(scales: [u64; 2], numbers: u64) -> Self {
        Self { row_scales: scales[0], group_scales: scales[1], numbers }
    }

    /// Offset of the group scales.
    pub const fn group_scales_at(&self) -> u64 {
        align(self.row_scales)
    }

    /// Offset of the numbers.
    pub const fn numbers_at(&self) -> u64 {
        self.group_scales_at() + align(self.group_scales)
    }

    /// Bytes of the whole tensor.
    pub const fn len(&self) -> u64 {
        self.numbers_at() + self.numbers
    }

    /// Whether the tensor has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

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
        bytes[4..6].copy_from_slice(&code.to_le_bytes());
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

impl Slots {
    /// The order of the tensors of a model whose description is in range.
    pub fn new(description: &Description) -> Self {
        let mut slots =
            Self { slot: [ABSENT; 19], before: 0, per_layer: 0, layers: description.layers as u16, total: 0 };
        let mut after = 0;
        for (role, slot) in Role::ALL.into_iter().zip(&mut slots.slot) {
            if !description.has(role) {
                continue;
            }
            let counter = if role.per_layer() {
                &mut slots.per_layer
            } else if slots.per_layer == 0 {
                &mut slots.before
            } else {
                &mut after
            };
            *slot = *counter as u8;
            *counter += 1;
        }
        slots.total =
            u32::from(slots.before) + u32::from(slots.per_layer) * description.layers + u32::from(after);
        slots
    }

    /// Number of tensors.
    pub fn total(&self) -> usize {
        self.total as usize
    }

    /// The tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (Role, u16)> {
        let this = *self;
        let has = move |role: &Role| this.slot[*role as usize - 1] != ABSENT;
        let before = Role::ALL.into_iter().filter(|role| *role < Role::AttentionNorm).filter(has);
        let after = Role::ALL.into_iter().filter(|role| *role > Role::FfnDownBias).filter(has);
        let layers = (0..this.layers).flat_map(move |layer| {
            Role::ALL.into_iter().filter(|role| role.per_layer()).filter(has).map(move |role| (role, layer))
        });
        before.map(|role| (role, 0)).chain(layers).chain(after.map(|role| (role, 0)))
    }

    /// Index of a tensor, or `None` where the model has none of that role.
    #[inline]
    pub fn index(&self, role: Role, layer: usize) -> Option<usize> {
        let slot = usize::from(self.slot[role as usize - 1]);
        let (before, per_layer) = (usize::from(self.before), usize::from(self.per_layer));
        if slot == usize::from(ABSENT) {
            None
        } else if role.per_layer() {
            Some(before + layer * per_layer + slot)
        } else if role < Role::AttentionNorm {
            Some(slot)
        } else {
            Some(before + usize::from(self.layers) * per_layer + slot)
        }
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
    /// [`Error::Description`], [`Error::Tensor`] or [`Error::Section`] saying what is wrong.
    pub fn parse(description: &Description, table: &'a [u8], data: &'a [u8]) -> Result<Self, Error> {
        description.check()?;
        let slots = Slots::new(description);
        if table.len() != slots.total() * TENSOR_ENTRY_LEN {
            return Err(Error::Section {
                section: "tensor table",
                problem: "the number of tensors is not the one that the description asks for",
            });
        }
        let mut end = 0;
        for ((role, layer), bytes) in slots.iter().zip(table.chunks_exact(TENSOR_ENTRY_LEN)) {
            let fail = |problem| Error::Tensor { role, layer, problem };
            let entry = read_entry(bytes, role, layer).map_err(fail)?;
            if (entry.rows as usize, entry.cols as usize) != description.shape(role) {
                return Err(fail("its shape is not the one that the description asks for"));
            }
            if !role.is_matrix() && entry.encoding != Encoding::F32 {
                return Err(fail("vectors are stored as f32"));
            }
            if entry.cols as usize > entry.encoding.max_cols() {
                return Err(fail("it has too many columns for its encoding: int4 allows 16643, int8 131071"));
            }
            if entry.offset != align(end) {
                return Err(fail("it does not start at the first multiple of 64 after the tensor before it"));
            }
            if read_u64(bytes, 24) != entry.len() {
                return Err(fail("its length does not follow from its shape and encoding"));
            }
            end = entry.offset + entry.len();
            if end > data.len() as u64 {
                return Err(fail("it ends beyond the tensor data"));
            }
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
            .zip(table.chunks_exact(TENSOR_ENTRY_LEN))
            .map(|((role, layer), bytes)| read_entry(bytes, role, layer).expect("parse proved the entry"))
    }

    /// A weight matrix, or `None` where the model has none of that role.
    ///
    /// # Panics
    /// If `layer` is not a layer of the model.
    pub fn matrix(&self, role: Role, layer: usize) -> Option<Matrix<'a>> {
        let index = self.slots.index(role, layer)?;
        let bytes = &self.table[index * TENSOR_ENTRY_LEN..][..TENSOR_ENTRY_LEN];
        let entry = read_entry(bytes, role, layer as u16).expect("parse proved the entry");
        let (rows, cols) = (entry.rows as usize, entry.cols as usize);
        let layout = entry.encoding.layout(rows, cols);
        let part = |at: u64, len: u64| &self.data[(entry.offset + at) as usize..][..len as usize];
        let row_scales = part(0, layout.row_scales);
        let numbers = part(layout.numbers_at(), layout.numbers);
        match entry.encoding {
            Encoding::F32 => MatrixF32::new(rows, cols, bytemuck::cast_slice(numbers)).map(Matrix::F32),
            Encoding::F16 => MatrixF16::new(rows, cols, bytemuck::cast_slice(numbers)).map(Matrix::F16),
            Encoding::I8 => {
                MatrixI8::new(rows, cols, bytemuck::cast_slice(row_scales), bytemuck::cast_slice(numbers))
                    .map(Matrix::I8)
            }
            Encoding::I4 { group } => MatrixI4::new(
                rows,
                cols,
                usize::from(group),
                bytemuck::cast_slice(row_scales),
                bytemuck::cast_slice(part(layout.group_scales_at(), layout.group_scales)),
                numbers,
            )
            .map(Matrix::I4),
        }
    }

    /// An f32 vector; empty where the model has none of that role.
    ///
    /// # Panics
    /// If `layer` is not a layer of the model.
    pub fn vector(&self, role: Role, layer: usize) -> &'a [f32] {
        let Some(index) = self.slots.index(role, layer) else { return &[] };
        let entry = &self.table[index * TENSOR_ENTRY_LEN..][..TENSOR_ENTRY_LEN];
        let bytes = &self.data[read_u64(entry, 16) as usize..][..read_u64(entry, 24) as usize];
        bytemuck::cast_slice(bytes)
    }
}

fn read_entry(bytes: &[u8], role: Role, layer: u16) -> Result<TensorEntry, &'static str> {
    if read_u16(bytes, 0) != role as u16 || read_u16(bytes, 2) != layer {
        return Err("another tensor stands in its place");
    }
    let encoding =
        Encoding::from_code(read_u16(bytes, 4), read_u16(bytes, 6)).ok_or("its encoding is not known")?;
    let offset = read_u64(bytes, 16);
    if !offset.is_multiple_of(ALIGNMENT as u64) {
        return Err("its offset is not a multiple of 64");
    }
    Ok(TensorEntry { role, layer, encoding, rows: read_u32(bytes, 8), cols: read_u32(bytes, 12), offset })
}
