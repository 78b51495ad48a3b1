//! A small file, and how to damage it in a way that only the check under attack can see.

use std::ops::{Deref, DerefMut};
use whit::Error;
use whit::format::{
    Crc32, Description, DescriptionSection, Encoding, File, Golden, NormKind, NormPlace, Positions, Role,
    SamplingDefaults, Slots, TensorEntry, WideInputs, Writer, align, encode_entry,
};
use whit::kernels::{Activation, Pairing};
use whit::tensor::ActivationBits;

/// Offset of the first section entry, and bytes of one.
pub(crate) const ENTRIES: usize = 64;
pub(crate) const ENTRY: usize = 24;

/// Bytes that start at a multiple of 64.
#[derive(Debug)]
pub(crate) struct Bytes {
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        let mut room = vec![0; bytes.len() + 64];
        let start = room.as_ptr().align_offset(64);
        room[start..start + bytes.len()].copy_from_slice(bytes);
        Self { room, start, len: bytes.len() }
    }
}

impl Clone for Bytes {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.start..][..self.len]
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..][..self.len]
    }
}

/// The parts of a file that a test may change before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) description: Description,
    pub(crate) table: Vec<u8>,
    pub(crate) sampling: Vec<u8>,
    pub(crate) golden: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// A model of two layers in which no size is a multiple of anything, with tensors in every encoding.
pub(crate) fn parts() -> Parts {
    let description = description();
    let entries = entries(&description);
    let end = entries.last().map_or(0, |entry| entry.offset + entry.len());
    let mut sampling = vec![0; SamplingDefaults::RECORD_LEN];
    sampling.extend([2u32, 0, 10, 1, 3].into_iter().flat_map(u32::to_le_bytes));
    sampling.extend(b"end");
    let mut golden = Golden::header(true, 2, 1, 77).to_vec();
    golden.extend([1u32, 2, 10].into_iter().flat_map(u32::to_le_bytes));
    let mut metadata = Vec::new();
    encode_entry("licence", "MIT", |bytes| metadata.extend(bytes));
    encode_entry("name", "ü", |bytes| metadata.extend(bytes));
    Parts {
        description,
        table: entries.iter().flat_map(TensorEntry::to_bytes).collect(),
        sampling,
        golden,
        metadata,
        tokenizer: b"any bytes".to_vec(),
        data: (0..end).map(|i| (i * 31 % 251) as u8).collect(),
    }
}

pub(crate) fn description() -> Description {
    Description {
        vocabulary: 11,
        width: 10,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_width: 6,
        hidden: 19,
        context: 9,
        window: 5,
        rotary_width: 4,
        norm: NormKind::Rms,
        norm_place: NormPlace::Before,
        positions: Positions::Rotary(Pairing::HalfSplit),
        activation: Activation::Silu,
        gated: true,
        tied: false,
        final_norm: true,
        norm_bias: false,
        qkv_bias: true,
        out_bias: false,
        up_bias: false,
        down_bias: false,
        head_bias: false,
        int8_cache: true,
        wide_inputs: WideInputs::NONE.with(Role::AttentionOut).with(Role::Head),
        epsilon: 1e-5,
        attention_scale: 0.4,
        embedding_scale: 1.0,
        logit_scale: 1.0,
    }
}

/// The tensor table of a model, the encodings in turn, 16-bit activations where there may be any that the description
/// says.
pub(crate) fn entries(description: &Description) -> Vec<TensorEntry> {
    let encodings =
        [Encoding::F32, Encoding::F16, Encoding::I8, Encoding::I4 { group: 16 }, Encoding::I4 { group: 0 }];
    let mut offset = 0;
    let mut matrices = 0;
    let entry = |(role, layer)| {
        let (rows, cols) = description.shape(role);
        let encoding = if role.is_matrix() { encodings[matrices % encodings.len()] } else { Encoding::F32 };
        matrices += usize::from(role.is_matrix());
        let integers = matches!(encoding, Encoding::I8 | Encoding::I4 { .. });
        let wide = integers && description.may_be_wide(role) && description.wide_inputs.has(role);
        let activations = if wide { ActivationBits::Sixteen } else { ActivationBits::Eight };
        let (rows, cols) = (rows as u32, cols as u32);
        let entry = TensorEntry { role, layer, encoding, activations, rows, cols, offset };
        offset = align(offset + entry.len());
        entry
    };
    Slots::new(&(*description).into()).iter().map(entry).collect()
}

impl Parts {
    pub(crate) fn write(&self) -> Bytes {
        let writer = Writer {
            description: DescriptionSection::Model(&self.description.into()),
            tensor_table: &self.table,
            sampling: &self.sampling,
            golden: &self.golden,
            metadata: &self.metadata,
            tokenizer_len: self.tokenizer.len() as u64,
            data_len: self.data.len() as u64,
            payload_crc: 0,
        };
        let ([.., tokenizer, data], end) = writer.offsets();
        let mut bytes = Bytes::from(&vec![0; end as usize][..]);
        bytes[tokenizer as usize..][..self.tokenizer.len()].copy_from_slice(&self.tokenizer);
        bytes[data as usize..].copy_from_slice(&self.data);
        let payload_crc = Crc32::of(&bytes[tokenizer as usize..]);
        Writer { payload_crc, ..writer }.write_tables(&mut bytes).expect("room for the tables");
        bytes
    }
}

/// Parses the file that `change` makes of the small one, its checksum set right again.
pub(crate) fn parse_changed(change: impl FnOnce(&mut Bytes)) -> Result<(), Error> {
    let mut bytes = parts().write();
    change(&mut bytes);
    seal(&mut bytes);
    File::parse(&bytes).map(|_| ())
}

/// Sets the checksum of the tables right, where there are tables.
pub(crate) fn seal(bytes: &mut [u8]) {
    let end = u64_at(bytes, 24) as usize;
    if let Some(tables) = bytes.get_mut(..end).filter(|tables| tables.len() >= 36) {
        tables[32..36].fill(0);
        let crc = Crc32::of(tables);
        tables[32..36].copy_from_slice(&crc.to_le_bytes());
    }
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Offset of section `index` in the file.
pub(crate) fn section_at(bytes: &[u8], index: usize) -> usize {
    u64_at(bytes, ENTRIES + index * ENTRY + 8) as usize
}
