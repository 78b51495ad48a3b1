//! The `.whit` file: reader and writer side by side. `FORMAT.md` is the normative text.
//!
//! `parse` proves the structure in time proportional to the tables; afterwards every accessor is total. This
//! module knows bytes, shapes and encodings, not what is computed with them.

mod architecture;
mod checksum;
mod description;
mod encoding;
mod file;
mod golden;
mod integer;
mod integer_file;
mod integer_tensors;
mod metadata;
mod recurrent;
mod role;
mod sampling;
mod tensors;
mod wide;

pub use crate::architecture::{Cell, Direction, NormKind, NormPlace, Normalization, Positions};
pub use architecture::Architecture;
pub use checksum::Crc32;
pub use description::Description;
pub use encoding::{Encoding, TensorLayout};
pub(crate) use file::check_alignment;
pub use file::{DescriptionSection, File, HEADER_LEN, MAGIC, Section, TABLE_SECTIONS, VERSION, Writer};
pub use golden::Golden;
pub use integer::{Chain, INTEGER_RECORD_LEN, IntegerLayer, MOST_INTEGER_LAYERS, Quantization};
pub use integer_file::{IntegerFile, IntegerGolden};
pub use integer_tensors::{IntegerEntry, IntegerRole, IntegerTensors};
pub use metadata::{Metadata, encode_entry};
pub use recurrent::{MOST_RECURRENT_LAYERS, Recurrent};
pub use role::Role;
pub use sampling::SamplingDefaults;
pub use tensors::{Slots, TENSOR_ENTRY_LEN, TensorEntry, Tensors};
pub use wide::WideInputs;

/// Sections, tensors and the parts of a tensor start at multiples of this.
pub const ALIGNMENT: usize = 64;

/// `len` rounded up to a multiple of [`ALIGNMENT`].
pub const fn align(len: u64) -> u64 {
    len.div_ceil(ALIGNMENT as u64) * ALIGNMENT as u64
}

/// The little-endian u16 at `at`.
#[inline]
pub(crate) const fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The little-endian u32 at `at`.
#[inline]
pub(crate) const fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The little-endian u64 at `at`.
#[inline]
pub(crate) const fn read_u64(bytes: &[u8], at: usize) -> u64 {
    read_u32(bytes, at) as u64 | (read_u32(bytes, at + 4) as u64) << 32
}

/// Bytes `from` to `to`, which are in order and within.
pub(crate) const fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.split_at(to).0.split_at(from).1
}

/// Whether there are only zeros.
const fn is_zero(mut bytes: &[u8]) -> bool {
    while let Some((&0, rest)) = bytes.split_first() {
        bytes = rest;
    }
    bytes.is_empty()
}

/// Whether all of these u32 are below `vocabulary`.
const fn are_tokens(mut ids: &[u8], vocabulary: u32) -> bool {
    while let Some((&id, rest)) = ids.split_first_chunk() {
        if u32::from_le_bytes(id) >= vocabulary {
            return false;
        }
        ids = rest;
    }
    true
}
