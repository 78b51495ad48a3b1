//! The tables of a file to be written, proven by the format's own readers before a byte of payload is.

use super::error::ExportError;
use super::options::{ExportOptions, encoding_name};
use crate::checkpoint::{Checkpoint, Tensor};
use std::collections::BTreeMap;
use whit::format::{
    Architecture, DescriptionSection, Golden, Metadata, Role, SamplingDefaults, Slots, TensorEntry, Writer,
    align, encode_entry,
};

/// Everything in front of the payload.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) architecture: Architecture,
    pub(super) entries: Vec<TensorEntry>,
    pub(super) golden: Vec<u8>,
    pub(super) data_len: u64,
    pub(super) payload_crc: u32,
    table: Vec<u8>,
    sampling: Vec<u8>,
    metadata: Vec<u8>,
    tokenizer_len: u64,
}

impl Tables {
    /// Lays out the file, with a placeholder as golden transcript.
    pub(super) fn new(checkpoint: &Checkpoint<'_>, options: &ExportOptions) -> Result<Self, ExportError> {
        checkpoint.architecture.check()?;
        options.check(&checkpoint.architecture)?;
        let entries = entries(checkpoint, options)?;
        let architecture = options.apply(checkpoint.architecture, &entries);
        let golden = options.golden.map_or(Vec::new(), |shape| shape.placeholder());
        let tables = Self {
            architecture,
            table: entries.iter().flat_map(TensorEntry::to_bytes).collect(),
            data_len: entries.last().map_or(0, |entry| entry.offset + entry.len()),
            entries,
            golden,
            payload_crc: 0,
            sampling: sampling(checkpoint, options),
            metadata: metadata(checkpoint, options),
            tokenizer_len: checkpoint.tokenizer.len() as u64,
        };
        Golden::parse(&tables.golden, &architecture)?;
        SamplingDefaults::parse(&tables.sampling, architecture.vocabulary())?;
        Metadata::parse(&tables.metadata)?;
        Ok(tables)
    }

    /// The format's writer over these tables.
    pub(super) fn writer(&self) -> Writer<'_> {
        Writer {
            description: DescriptionSection::Model(&self.architecture),
            tensor_table: &self.table,
            sampling: &self.sampling,
            golden: &self.golden,
            metadata: &self.metadata,
            tokenizer_len: self.tokenizer_len,
            data_len: self.data_len,
            payload_crc: self.payload_crc,
        }
    }

    /// Header and tables as they stand in the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, ExportError> {
        let writer = self.writer();
        let mut bytes = vec![0; writer.tables_len() as usize];
        writer.write_tables(&mut bytes)?;
        Ok(bytes)
    }
}

/// The tensor table of a checkpoint that has what its description asks for.
fn entries(checkpoint: &Checkpoint<'_>, options: &ExportOptions) -> Result<Vec<TensorEntry>, ExportError> {
    let slots = Slots::new(&checkpoint.architecture);
    let fail = |tensor: &str, expected: String, found: String| {
        Err(ExportError::Tensor { tensor: tensor.into(), expected, found })
    };
    if checkpoint.tensors.len() != slots.total() {
        let found = format!("{} tensors", checkpoint.tensors.len());
        return fail("(all)", format!("{} tensors", slots.total()), found);
    }
    let mut offset = 0;
    let mut entries = Vec::with_capacity(slots.total());
    for ((role, layer), tensor) in slots.iter().zip(&checkpoint.tensors) {
        if (tensor.role, tensor.layer) != (role, layer) {
            return fail(&tensor.source, place(role, layer), place(tensor.role, tensor.layer));
        }
        let found = (tensor.rows.rows(), tensor.rows.cols());
        let expected = checkpoint.architecture.shape(role, layer);
        if found != expected {
            return fail(&tensor.source, format!("shape {expected:?}"), format!("{found:?}"));
        }
        let entry = entry(tensor, options, offset)?;
        offset = align(offset + entry.len());
        entries.push(entry);
    }
    Ok(entries)
}

fn place(role: Role, layer: u16) -> String {
    if role.per_layer() {
        format!("`{}` of layer {layer}", role.name())
    } else {
        format!("`{}`", role.name())
    }
}

fn entry(tensor: &Tensor<'_>, options: &ExportOptions, offset: u64) -> Result<TensorEntry, ExportError> {
    let (role, layer) = (tensor.role, tensor.layer);
    let (encoding, activations) = (options.encoding(role, layer), options.activations(role, layer));
    let (rows, cols) = (tensor.rows.rows(), tensor.rows.cols());
    if cols > encoding.max_cols() {
        return Err(ExportError::TooWide {
            tensor: tensor.source.clone(),
            encoding: encoding_name(encoding),
            most: encoding.max_cols(),
            found: cols,
        });
    }
    // A description's shapes are below 2³².
    let (rows, cols) = (rows as u32, cols as u32);
    Ok(TensorEntry { role, layer, encoding, activations, rows, cols, offset })
}

fn sampling(checkpoint: &Checkpoint<'_>, options: &ExportOptions) -> Vec<u8> {
    let mut bytes = options.sampling.to_bytes().to_vec();
    bytes.extend((checkpoint.stop_tokens.len() as u32).to_le_bytes());
    bytes.extend(checkpoint.stop_tokens.iter().flat_map(|token| token.to_le_bytes()));
    let stop_strings = 0u32;
    bytes.extend(stop_strings.to_le_bytes());
    bytes
}

/// The checkpoint's metadata and how the file was made, sorted; the same input gives the same text.
fn metadata(checkpoint: &Checkpoint<'_>, options: &ExportOptions) -> Vec<u8> {
    let mut pairs: BTreeMap<&str, &str> =
        checkpoint.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let weights = options.describe();
    pairs.insert("weights", &weights);
    pairs.insert("converter", concat!("whit ", env!("CARGO_PKG_VERSION")));
    let mut bytes = Vec::new();
    for (key, value) in pairs {
        encode_entry(key, value, |part| bytes.extend(part));
    }
    bytes
}
