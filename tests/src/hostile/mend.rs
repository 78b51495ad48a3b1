//! A file put into shape around what someone changed in it, so that a change reaches the code behind the checks of
//! structure.

use whit::AlignedBytes;
use whit::format::{
    Architecture, Crc32, Description, DescriptionSection, Encoding, HEADER_LEN, Slots, TENSOR_ENTRY_LEN,
    TensorEntry, WideInputs, Writer, align,
};
use whit::tensor::ActivationBits;
use whit::tokenizer::layout::Header;

/// Files with more bytes of tensors than this are not made: a run is meant to be short.
const MOST_DATA: u64 = 1 << 16;
/// Nor are tables of more layers than this.
const MOST_LAYERS: u32 = 32;
/// Nor are tokenizer sections longer than this.
const MOST_TOKENIZER: usize = 1 << 18;

/// `bytes` with places, lengths, tensor table and checksums that follow from its description and its sections'
/// contents; `None` if the description is refused or asks for too much.
pub fn mend(bytes: &[u8]) -> Option<AlignedBytes> {
    let [description, table, sampling, golden, metadata, tokenizer, data] = sections(bytes)?;
    let mut architecture = Architecture::parse(description).ok()?;
    let (tensor_table, data_len) = tensor_table(&mut architecture, table)?;
    let tokenizer = mend_tokenizer(tokenizer);
    let mut payload = tokenizer.clone();
    payload.resize(align(tokenizer.len() as u64) as usize, 0);
    payload.extend(data.iter().chain([&0]).cycle().take(data_len as usize));
    let writer = Writer {
        description: DescriptionSection::Model(&architecture),
        tensor_table: &tensor_table,
        sampling,
        golden,
        metadata,
        tokenizer_len: tokenizer.len() as u64,
        data_len,
        payload_crc: Crc32::of(&payload),
    };
    let mut file = vec![0; writer.tables_len() as usize];
    writer.write_tables(&mut file).ok()?;
    file.extend(payload);
    Some(AlignedBytes::from(&file[..]))
}

/// A tokenizer section cut or filled up with zeros to the length that its header asks for.
pub fn mend_tokenizer(section: &[u8]) -> Vec<u8> {
    let mut section = section.to_vec();
    let places = Header::parse(&section).ok().and_then(|header| header.places());
    if let Some(end) = places.map(|places| places.added.end).filter(|&end| end <= MOST_TOKENIZER) {
        section.resize(end, 0);
    }
    section
}

/// The sections, as far as the bytes reach, one behind the other with the lengths that the section table says.
fn sections(bytes: &[u8]) -> Option<[&[u8]; 7]> {
    let mut start = HEADER_LEN + 7 * 24;
    let mut sections: [&[u8]; 7] = [&[]; 7];
    for (i, section) in sections.iter_mut().enumerate() {
        let len = bytes.get(HEADER_LEN + 24 * i + 16..)?.first_chunk().map(|len| u64::from_le_bytes(*len))?;
        start = (align(start as u64) as usize).min(bytes.len());
        let end = start + usize::try_from(len).ok()?.min(bytes.len() - start);
        (*section, start) = (&bytes[start..end], end);
    }
    Some(sections)
}

/// The entries that the description asks for, with encodings and activations as `table` has them, and the length of the
/// tensors. The description then says which activations have 16 bits.
fn tensor_table(architecture: &mut Architecture, table: &[u8]) -> Option<(Vec<u8>, u64)> {
    if architecture.layers() > MOST_LAYERS {
        return None;
    }
    let (mut entries, mut end, mut wide_inputs) = (Vec::new(), 0, WideInputs::NONE);
    for (i, (role, layer)) in Slots::new(architecture).iter().enumerate() {
        let (rows, cols) = architecture.shape(role, layer);
        let raw = table.get(i * TENSOR_ENTRY_LEN..).unwrap_or_default();
        let encoding = if role.is_matrix() { encoding(raw, cols) } else { Encoding::F32 };
        let offset = align(end);
        let integers = matches!(encoding, Encoding::I8 | Encoding::I4 { .. });
        let mut activations = ActivationBits::Eight;
        if integers && architecture.may_be_wide(role) && raw.get(5).is_some_and(|bits| bits % 2 == 1) {
            activations = ActivationBits::Sixteen;
            wide_inputs = wide_inputs.with(role);
        }
        let (rows, cols) = (rows as u32, cols as u32);
        let entry = TensorEntry { role, layer, encoding, activations, rows, cols, offset };
        end = offset + entry.len();
        if end > MOST_DATA {
            return None;
        }
        entries.extend(entry.to_bytes());
    }
    if let Architecture::Transformer(description) = *architecture {
        *architecture = Description { wide_inputs, ..description }.into();
    }
    Some((entries, end))
}

/// An encoding for every value of the entry's fields; f32 where the entry is missing or the matrix too wide.
fn encoding(entry: &[u8], cols: usize) -> Encoding {
    let [code, group] = [4, 6].map(|at| entry.get(at).copied().unwrap_or(0));
    let group = match group {
        16 | 32 | 64 | 128 => u16::from(group),
        _ => 0,
    };
    let encoding =
        [Encoding::F32, Encoding::F16, Encoding::I8, Encoding::I4 { group }][usize::from(code % 4)];
    if cols > encoding.max_cols() { Encoding::F32 } else { encoding }
}
