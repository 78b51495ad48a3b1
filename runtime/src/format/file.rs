//! The header, the section table, and the order of everything.

use super::{
    ALIGNMENT, Architecture, Chain, Crc32, Golden, Metadata, SamplingDefaults, Tensors, align, is_zero, part,
    read_u16, read_u32, read_u64,
};
use crate::error::{Error, proven};

/// The first eight bytes: not text, and damaged by every transfer that treats them as text.
pub const MAGIC: [u8; 8] = *b"\x8fwhit\r\n\x1a";

/// The version of the format that this runtime reads and writes.
pub const VERSION: u16 = 1;

/// Bytes of the header.
pub const HEADER_LEN: usize = 64;

const SECTIONS: usize = Section::ALL.len();
const SECTION_ENTRY_LEN: usize = 24;
const TABLE_END: usize = HEADER_LEN + SECTIONS * SECTION_ENTRY_LEN;
const TABLES_CRC: usize = 32;

/// The sections in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Section {
    /// [`Architecture`].
    Description = 1,
    /// The tensor table, see [`Tensors`].
    TensorTable = 2,
    /// [`SamplingDefaults`].
    Sampling = 3,
    /// [`Golden`].
    Golden = 4,
    /// [`Metadata`].
    Metadata = 5,
    /// See [`crate::tokenizer`].
    Tokenizer = 6,
    /// The tensors' numbers, see [`Tensors`].
    TensorData = 7,
}

/// The first sections are tables, covered by the header's checksum; the rest is payload.
pub const TABLE_SECTIONS: usize = 5;

impl Section {
    /// All sections, in order.
    pub const ALL: [Self; 7] = [
        Self::Description,
        Self::TensorTable,
        Self::Sampling,
        Self::Golden,
        Self::Metadata,
        Self::Tokenizer,
        Self::TensorData,
    ];

    /// The name that messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::TensorTable => "tensor table",
            Self::Sampling => "sampling",
            Self::Golden => "golden transcript",
            Self::Metadata => "metadata",
            Self::Tokenizer => "tokenizer",
            Self::TensorData => "tensor data",
        }
    }
}

/// A file whose structure is proven.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    /// What the model computes.
    pub architecture: Architecture,
    /// The tensors.
    pub tensors: Tensors<'a>,
    /// How to sample where the user does not say.
    pub sampling: SamplingDefaults<'a>,
    /// The transcript that proves a device's arithmetic.
    pub golden: Golden<'a>,
    /// Name, licence, origin.
    pub metadata: Metadata<'a>,
    /// The bytes of the tokenizer section.
    pub tokenizer: &'a [u8],
}

impl<'a> File<'a> {
    /// Proves the structure of a file, in time proportional to its tables.
    ///
    /// # Errors
    /// What is wrong, and where. Damage in the payload (tokenizer, tensor data) is not looked for: see
    /// [`File::verify_payload`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        check_alignment(bytes)?;
        Self::prove(bytes)
    }

    /// As [`File::parse`], of bytes that are aligned, in constants too.
    pub(crate) const fn prove(bytes: &'a [u8]) -> Result<Self, Error> {
        let sections = proven!(prove_sections(bytes));
        if Chain::is_one(sections[0]) {
            let request = "the file holds a chain of integer layers";
            return Err(Error::Unsupported { request, remedy: "open it as an IntegerModel" });
        }
        let architecture = proven!(Architecture::parse(sections[0]));
        Ok(Self {
            bytes,
            architecture,
            tensors: proven!(Tensors::prove(&architecture, sections[1], sections[6])),
            sampling: proven!(SamplingDefaults::parse(sections[2], architecture.vocabulary())),
            golden: proven!(Golden::parse(sections[3], &architecture)),
            metadata: proven!(Metadata::parse(sections[4])),
            tokenizer: sections[5],
        })
    }

    /// What the model in `bytes` computes, whatever their alignment and checksums: for sizing an arena at
    /// compile time.
    ///
    /// # Errors
    /// As [`File::parse`] for the parts that are read.
    pub const fn architecture(bytes: &[u8]) -> Result<Architecture, Error> {
        if bytes.len() < TABLE_END {
            return Err(Error::Truncated { needed: TABLE_END as u64, found: bytes.len() as u64 });
        }
        let offset = read_u64(bytes, HEADER_LEN + 8);
        let len = read_u64(bytes, HEADER_LEN + 16);
        if len != Architecture::LEN as u64 || offset > bytes.len() as u64 - len {
            return Err(Error::Section { section: "description", problem: "it lies outside of the file" });
        }
        let (_, rest) = bytes.split_at(offset as usize);
        let (description, _) = rest.split_at(Architecture::LEN);
        Architecture::parse(description)
    }

    /// The whole file.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of one section.
    pub fn section(&self, section: Section) -> &'a [u8] {
        let entry = HEADER_LEN + (section as usize - 1) * SECTION_ENTRY_LEN;
        let (offset, len) = (read_u64(self.bytes, entry + 8), read_u64(self.bytes, entry + 16));
        &self.bytes[offset as usize..][..len as usize]
    }

    /// Compares the payload with its checksum: reads every byte.
    ///
    /// # Errors
    /// [`Error::Checksum`] if they differ.
    pub fn verify_payload(&self) -> Result<(), Error> {
        verify_payload(self.bytes)
    }

    /// A number that differs between files with different contents: both checksums.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.bytes)
    }
}

/// Compares the payload of a proven file with its checksum.
pub(super) fn verify_payload(bytes: &[u8]) -> Result<(), Error> {
    let stored = read_u32(bytes, TABLES_CRC + 4);
    let computed = Crc32::of(&bytes[read_u64(bytes, 24) as usize..]);
    if stored == computed {
        Ok(())
    } else {
        Err(Error::Checksum { part: "tokenizer and weights", stored, computed })
    }
}

/// Both checksums of a proven file.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    read_u64(bytes, TABLES_CRC)
}

/// Whether a file's bytes start at a multiple of 64: what constants cannot know.
pub(crate) fn check_alignment(bytes: &[u8]) -> Result<(), Error> {
    let excess = bytes.as_ptr().addr() % ALIGNMENT;
    if excess == 0 { Ok(()) } else { Err(Error::Misaligned { part: "the file's bytes", excess }) }
}

/// The sections of a file, once alignment, header and table are proven.
pub(super) fn parse_sections(bytes: &[u8]) -> Result<[&[u8]; SECTIONS], Error> {
    check_alignment(bytes)?;
    prove_sections(bytes)
}

/// The sections of a file, once header and table are proven.
const fn prove_sections(bytes: &[u8]) -> Result<[&[u8]; SECTIONS], Error> {
    proven!(check_header(bytes));
    let mut sections: [&[u8]; SECTIONS] = [&[]; SECTIONS];
    let (mut end, mut i) = (TABLE_END as u64, 0);
    while i < SECTIONS {
        let section = Section::ALL[i];
        let (from, to) = match place(bytes, section, end) {
            Ok(place) => place,
            Err(problem) => return Err(Error::Section { section: section.name(), problem }),
        };
        sections[i] = part(bytes, from as usize, to as usize);
        end = to;
        i += 1;
    }
    if end != bytes.len() as u64 {
        return Err(header("there are bytes after the last section"));
    }
    Ok(sections)
}

const fn check_header(bytes: &[u8]) -> Result<(), Error> {
    let found = bytes.len() as u64;
    if let Some(&magic) = bytes.first_chunk()
        && u64::from_le_bytes(magic) != u64::from_le_bytes(MAGIC)
    {
        return Err(Error::NotWhit);
    }
    if bytes.len() < TABLE_END {
        return Err(Error::Truncated { needed: TABLE_END as u64, found });
    }
    if read_u16(bytes, 8) != VERSION {
        return Err(Error::Version { found: read_u16(bytes, 8) });
    }
    let needed = read_u64(bytes, 16);
    if needed > found {
        return Err(Error::Truncated { needed, found });
    }
    if needed < found {
        return Err(header("there are bytes after the end of the file"));
    }
    let tables_len = read_u64(bytes, 24);
    if tables_len < TABLE_END as u64 || tables_len > found {
        return Err(header("the tables end outside of the file"));
    }
    proven!(check_tables(part(bytes, 0, tables_len as usize)));
    if read_u16(bytes, 10) != HEADER_LEN as u16 || read_u32(bytes, 12) != SECTIONS as u32 {
        return Err(header("the header's length or the number of sections is not that of version 1"));
    }
    if !is_zero(part(bytes, 40, HEADER_LEN)) {
        return Err(header("reserved bytes are not zero"));
    }
    Ok(())
}

const fn header(problem: &'static str) -> Error {
    Error::Section { section: "header", problem }
}

/// Where a section begins and ends, which follows one that ends at `end`.
const fn place(bytes: &[u8], section: Section, end: u64) -> Result<(u64, u64), &'static str> {
    let at = HEADER_LEN + (section as usize - 1) * SECTION_ENTRY_LEN;
    if read_u32(bytes, at) != section as u32 || read_u32(bytes, at + 4) != 0 {
        return Err("another section stands in its place");
    }
    let (offset, len) = (read_u64(bytes, at + 8), read_u64(bytes, at + 16));
    if offset != align(end) {
        return Err("it does not start at the first multiple of 64 after the section before it");
    }
    if section as usize == TABLE_SECTIONS + 1 && offset != read_u64(bytes, 24) {
        return Err("it does not start where the tables end");
    }
    let found = bytes.len() as u64;
    if offset > found || len > found - offset {
        return Err("it ends beyond the file");
    }
    if !is_zero(part(bytes, end as usize, offset as usize)) {
        return Err("the bytes before it are not zero");
    }
    Ok((offset, offset + len))
}

const fn check_tables(tables: &[u8]) -> Result<(), Error> {
    let stored = read_u32(tables, TABLES_CRC);
    let computed = tables_crc(tables);
    if stored == computed {
        Ok(())
    } else {
        Err(Error::Checksum { part: "header and tables", stored, computed })
    }
}

const fn tables_crc(tables: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(part(tables, 0, TABLES_CRC));
    crc.update(&[0; 4]);
    crc.update(part(tables, TABLES_CRC + 4, tables.len()));
    crc.value()
}

/// The description to write.
#[derive(Clone, Copy, Debug)]
pub enum DescriptionSection<'a> {
    /// A model of language or frames in real numbers.
    Model(&'a Architecture),
    /// The records of a [`Chain`].
    Integer(&'a [u8]),
}

impl DescriptionSection<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Model(_) => Architecture::LEN,
            Self::Integer(records) => records.len(),
        }
    }

    fn write(&self, out: &mut [u8]) {
        match self {
            Self::Model(architecture) => out.copy_from_slice(&architecture.to_bytes()),
            Self::Integer(records) => out.copy_from_slice(records),
        }
    }
}

/// Writes the tables of a file: the writer that belongs to [`File::parse`].
///
/// The payload is not held here: the caller streams it after the tables, in the same order, and brings its
/// checksum.
#[derive(Debug)]
pub struct Writer<'a> {
    /// What the model computes.
    pub description: DescriptionSection<'a>,
    /// Contents of the tensor table: the entries in canonical order.
    pub tensor_table: &'a [u8],
    /// Contents of the sampling section.
    pub sampling: &'a [u8],
    /// Contents of the golden section.
    pub golden: &'a [u8],
    /// Contents of the metadata section.
    pub metadata: &'a [u8],
    /// Bytes of the tokenizer section.
    pub tokenizer_len: u64,
    /// Bytes of the tensor data.
    pub data_len: u64,
    /// CRC-32 of everything from the tokenizer section to the end, gaps (zeros) included.
    pub payload_crc: u32,
}

impl Writer<'_> {
    /// Offsets of all sections and the file's length.
    pub fn offsets(&self) -> ([u64; SECTIONS], u64) {
        let mut offsets = [0; SECTIONS];
        let mut end = TABLE_END as u64;
        for (offset, len) in offsets.iter_mut().zip(self.lengths()) {
            *offset = align(end);
            end = *offset + len;
        }
        (offsets, end)
    }

    /// Bytes of header and tables: where the tokenizer section starts.
    pub fn tables_len(&self) -> u64 {
        self.offsets().0[TABLE_SECTIONS]
    }

    /// Writes header and tables to `out`, which has [`Writer::tables_len`] bytes.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] if it has fewer.
    pub fn write_tables(&self, out: &mut [u8]) -> Result<(), Error> {
        let (offsets, total) = self.offsets();
        let (needed, found) = (self.tables_len() as usize, out.len());
        let out = out.get_mut(..needed).ok_or(Error::BufferTooSmall { needed, found })?;
        out.fill(0);
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        out[12..16].copy_from_slice(&(SECTIONS as u32).to_le_bytes());
        out[16..24].copy_from_slice(&total.to_le_bytes());
        out[24..32].copy_from_slice(&(needed as u64).to_le_bytes());
        out[TABLES_CRC + 4..TABLES_CRC + 8].copy_from_slice(&self.payload_crc.to_le_bytes());
        for (i, section) in Section::ALL.into_iter().enumerate() {
            let entry = &mut out[HEADER_LEN + i * SECTION_ENTRY_LEN..][..SECTION_ENTRY_LEN];
            entry[..4].copy_from_slice(&(section as u32).to_le_bytes());
            entry[8..16].copy_from_slice(&offsets[i].to_le_bytes());
            entry[16..24].copy_from_slice(&self.lengths()[i].to_le_bytes());
        }
        self.description.write(&mut out[offsets[0] as usize..][..self.description.len()]);
        let tables = [self.tensor_table, self.sampling, self.golden, self.metadata];
        for (table, &offset) in tables.into_iter().zip(&offsets[1..]) {
            out[offset as usize..][..table.len()].copy_from_slice(table);
        }
        let crc = tables_crc(out);
        out[TABLES_CRC..TABLES_CRC + 4].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }

    fn lengths(&self) -> [u64; SECTIONS] {
        [
            self.description.len() as u64,
            self.tensor_table.len() as u64,
            self.sampling.len() as u64,
            self.golden.len() as u64,
            self.metadata.len() as u64,
            self.tokenizer_len,
            self.data_len,
        ]
    }
}
