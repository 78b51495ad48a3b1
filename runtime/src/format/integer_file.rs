//! A file that holds a chain of integer layers: the same container, its own description, tensors and golden record.

use super::file::{fingerprint, parse_sections, verify_payload};
use super::{Chain, IntegerTensors, Metadata, read_u32};
use crate::error::Error;

/// What a chain makes of stated frames, see [`IntegerGolden::to_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerGolden {
    /// Frames that are fed from the start, made by the sampler's generator with seed 0: the top byte of each number.
    pub frames: u32,
    /// Vectors that come out.
    pub outputs: u32,
    /// CRC-32 of all of them.
    pub crc: u32,
}

impl IntegerGolden {
    /// Bytes of the section.
    pub const LEN: usize = 12;
    /// Most frames: a check that nobody waits for proves nothing.
    pub const MOST_FRAMES: u32 = 1 << 16;

    fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let fail = |problem| Err(Error::Section { section: "golden transcript", problem });
        match bytes.len() {
            0 => Ok(None),
            Self::LEN if !(1..=Self::MOST_FRAMES).contains(&read_u32(bytes, 0)) => {
                fail("it is empty or longer than 65536 frames")
            }
            Self::LEN => Ok(Some(Self {
                frames: read_u32(bytes, 0),
                outputs: read_u32(bytes, 4),
                crc: read_u32(bytes, 8),
            })),
            _ => fail("must have 0 or 12 bytes"),
        }
    }

    /// The section's contents.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip([self.frames, self.outputs, self.crc]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// A file whose structure is proven.
#[derive(Clone, Copy, Debug)]
pub struct IntegerFile<'a> {
    bytes: &'a [u8],
    /// The layers.
    pub chain: Chain<'a>,
    /// Their tensors.
    pub tensors: IntegerTensors<'a>,
    /// What proves a device's arithmetic.
    pub golden: Option<IntegerGolden>,
    /// Name, licence, origin.
    pub metadata: Metadata<'a>,
}

impl<'a> IntegerFile<'a> {
    /// Proves the structure of a file, in time proportional to its tables.
    ///
    /// # Errors
    /// What is wrong, and where; damage in the tensor data is not looked for.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let [description, table, sampling, golden, metadata, tokenizer, data] = parse_sections(bytes)?;
        let chain = Chain::parse(description)?;
        for (section, contents) in [("sampling", sampling), ("tokenizer", tokenizer)] {
            if !contents.is_empty() {
                return Err(Error::Section { section, problem: "a chain of integer layers has none" });
            }
        }
        Ok(Self {
            bytes,
            chain,
            tensors: IntegerTensors::parse(chain, table, data)?,
            golden: IntegerGolden::parse(golden)?,
            metadata: Metadata::parse(metadata)?,
        })
    }

    /// Whether `bytes` are a file that holds a chain of integer layers, rather than another model or no file at all.
    pub fn is_one(bytes: &[u8]) -> bool {
        parse_sections(bytes).is_ok_and(|[description, ..]| Chain::is_one(description))
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
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
