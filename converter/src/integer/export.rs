//! A chain to a `.whit` file, made whole in memory: such models are small.

use super::{Checkpoint, Layer};
use crate::export::{ExportError, write_whole};
use std::collections::BTreeMap;
use std::path::Path;
use whit::format::{
    Chain, Crc32, DescriptionSection, IntegerEntry, IntegerGolden, Writer, align, encode_entry,
};
use whit::integer::IntegerModel;
use whit::quant::pack_digits_i8;
use whit::tensor::{LANES, MatrixI8};
use whit::{AlignedBytes, Error};

/// Frames of the golden record, unless more are needed for two output vectors.
const FRAMES: u64 = 32;

/// Writes the file of `checkpoint`, golden record included; it appears whole or not at all.
///
/// # Errors
/// If the layers do not fit together, or the file cannot be written.
pub fn write(checkpoint: &Checkpoint, out: &Path) -> Result<(), ExportError> {
    write_whole(out, &to_bytes(checkpoint)?)
}

/// The file of `checkpoint`.
///
/// # Errors
/// If the layers do not fit together, or their tensors are not those that they ask for.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>, Error> {
    let without = file(checkpoint, &[])?;
    let without = AlignedBytes::from(&without[..]);
    let model = IntegerModel::parse(&without)?;
    let mut arena = AlignedBytes::zeroed(model.arena_size());
    let frames =
        FRAMES.max(2 * model.file().chain.frames_per_output()).min(u64::from(IntegerGolden::MOST_FRAMES));
    let golden = model.session(&mut arena)?.transcript(frames as u32);
    file(checkpoint, &golden.to_bytes())
}

fn file(checkpoint: &Checkpoint, golden: &[u8]) -> Result<Vec<u8>, Error> {
    let records: Vec<_> = checkpoint.layers.iter().map(|layer| layer.layer).collect();
    let mut description = Chain::head(&records, checkpoint.input, checkpoint.output).to_vec();
    description.extend(records.iter().flat_map(|record| record.to_bytes()));
    Chain::parse(&description)?;
    let entries: Vec<_> = IntegerEntry::of(records.into_iter()).collect();
    let data = data(&checkpoint.layers, &entries)?;
    let metadata = metadata(checkpoint);
    let writer = Writer {
        description: DescriptionSection::Integer(&description),
        tensor_table: &entries.iter().flat_map(IntegerEntry::to_bytes).collect::<Vec<_>>(),
        sampling: &[],
        golden,
        metadata: &metadata,
        tokenizer_len: 0,
        data_len: data.len() as u64,
        payload_crc: Crc32::of(&data),
    };
    let mut bytes = vec![0; writer.tables_len() as usize];
    writer.write_tables(&mut bytes)?;
    bytes.extend(data);
    Ok(bytes)
}

/// The tensors' bytes, each where its entry says.
fn data(layers: &[Layer], entries: &[IntegerEntry]) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    let mut matrices = layers.iter().flat_map(|layer| &layer.weights);
    let mut vectors = layers.iter().flat_map(|layer| &layer.vectors);
    for entry in entries {
        data.resize(align(data.len() as u64) as usize, 0);
        let (rows, cols) = (entry.rows as usize, entry.cols as usize);
        let written = if entry.role.is_matrix() {
            let matrix = matrices.next().filter(|matrix| matrix.len() == rows * cols);
            matrix.map(|matrix| data.extend(pack(matrix, cols).iter().map(|&weight| weight as u8)))
        } else {
            let vector = vectors.next().filter(|vector| vector.len() == cols);
            vector.map(|vector| data.extend(vector.iter().flat_map(|number| number.to_le_bytes())))
        };
        let problem = "its numbers are not as many as its shape asks for";
        written.ok_or(Error::IntegerTensor { role: entry.role, layer: entry.layer, problem })?;
    }
    Ok(data)
}

fn pack(weights: &[i8], cols: usize) -> Vec<i8> {
    let mut packed = vec![0; MatrixI8::data_len(weights.len() / cols, cols)];
    let blocks = packed.chunks_exact_mut(MatrixI8::data_len(LANES, cols));
    for (rows, block) in weights.chunks(LANES * cols).zip(blocks) {
        pack_digits_i8(rows, cols, block);
    }
    packed
}

/// The checkpoint's metadata and how the file was made, sorted; the same input gives the same text.
fn metadata(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut pairs: BTreeMap<&str, &str> =
        checkpoint.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    pairs.insert("weights", "int8");
    pairs.insert("converter", concat!("whit ", env!("CARGO_PKG_VERSION")));
    let mut bytes = Vec::new();
    for (key, value) in pairs {
        encode_entry(key, value, |part| bytes.extend(part));
    }
    bytes
}
