//! Free metadata: text under text keys (name, licence, how the file was made).

use super::read_u32;
use crate::error::Error;

/// Key and value pairs: u32 key length, u32 value length, key, value; UTF-8, without padding.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    bytes: &'a [u8],
}

impl<'a> Metadata<'a> {
    /// Proves the lengths, and that everything is UTF-8.
    ///
    /// # Errors
    /// [`Error::Section`] saying what is wrong.
    pub const fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = match split(rest) {
                Some(entry) => entry,
                None => {
                    let problem = "an entry is cut short or not UTF-8";
                    return Err(Error::Section { section: "metadata", problem });
                }
            };
        }
        Ok(Self { bytes })
    }

    /// All pairs, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (entry, next) = split(rest)?;
            rest = next;
            Some(entry)
        })
    }

    /// The value of `key`.
    pub fn find(&self, key: &str) -> Option<&'a str> {
        self.iter().find(|(found, _)| *found == key).map(|(_, value)| value)
    }
}

type Entry<'a> = (&'a str, &'a str);

const fn split(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    if let Some((lengths, rest)) = bytes.split_at_checked(8)
        && let Some((key, rest)) = rest.split_at_checked(read_u32(lengths, 0) as usize)
        && let Some((value, rest)) = rest.split_at_checked(read_u32(lengths, 4) as usize)
        && let (Ok(key), Ok(value)) = (core::str::from_utf8(key), core::str::from_utf8(value))
    {
        return Some(((key, value), rest));
    }
    None
}

/// Hands the bytes of one entry to `write`.
pub fn encode_entry(key: &str, value: &str, mut write: impl FnMut(&[u8])) {
    write(&(key.len() as u32).to_le_bytes());
    write(&(value.len() as u32).to_le_bytes());
    write(key.as_bytes());
    write(value.as_bytes());
}
