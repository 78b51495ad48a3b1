//! Just enough of FlatBuffers to read a `.tflite` file: tables, vectors, scalars, strings.
//!
//! Every offset is followed through [`slice::get`], so that a damaged file gives an error; nothing is copied, so that a
//! small file cannot ask for much memory. Format: flatbuffers.dev, "FlatBuffers internals".

use std::fmt;

/// What of the file contradicts the format, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// What lies outside, or is none.
    what: &'static str,
    /// Offset in the file.
    at: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} that it does not hold, at byte {}", self.what, self.at)
    }
}

/// `N` bytes at `at`.
fn word<const N: usize>(bytes: &[u8], at: usize, what: &'static str) -> Result<[u8; N], Damage> {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().ok_or(Damage { what, at })
}

/// Where the offset at `at` points: always forward.
fn follow(bytes: &[u8], at: usize) -> Result<usize, Damage> {
    let offset = u32::from_le_bytes(word(bytes, at, "an offset")?) as usize;
    let target = at.checked_add(offset).filter(|&target| offset > 0 && target < bytes.len());
    target.ok_or(Damage { what: "the target of an offset", at })
}

/// A table: fields by number, each with a default where it is absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offsets of the fields from `at`, u16 each; 0 for an absent one.
    fields: &'a [u8],
}

impl<'a> Table<'a> {
    /// The table that the file starts with.
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self, Damage> {
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Damage> {
        let damage = Damage { what: "a table's list of fields", at };
        let back = i64::from(i32::from_le_bytes(word(bytes, at, "a table")?));
        let start = usize::try_from(at as i64 - back).map_err(|_| damage)?;
        let len = usize::from(u16::from_le_bytes(word(bytes, start, damage.what)?));
        let list = bytes.get(start..).and_then(|bytes| bytes.get(..len)).ok_or(damage)?;
        Ok(Self { bytes, at, fields: list.get(4..).ok_or(damage)? })
    }

    /// Where a field lies, if it is there.
    fn field(&self, number: usize) -> Option<usize> {
        let offset = u16::from_le_bytes(*self.fields.get(2 * number..)?.first_chunk()?);
        (offset > 0).then_some(self.at + usize::from(offset))
    }

    fn scalar<const N: usize>(&self, number: usize, default: [u8; N]) -> Result<[u8; N], Damage> {
        self.field(number).map_or(Ok(default), |at| word(self.bytes, at, "a field"))
    }

    pub(super) fn u8(&self, number: usize) -> Result<u8, Damage> {
        self.scalar(number, [0]).map(|[byte]| byte)
    }

    pub(super) fn u32(&self, number: usize) -> Result<u32, Damage> {
        self.scalar(number, [0; 4]).map(u32::from_le_bytes)
    }

    pub(super) fn f32(&self, number: usize) -> Result<f32, Damage> {
        self.scalar(number, [0; 4]).map(f32::from_le_bytes)
    }

    /// A table in a field, if it is there.
    pub(super) fn table(&self, number: usize) -> Result<Option<Self>, Damage> {
        let Some(at) = self.field(number) else { return Ok(None) };
        Self::at(self.bytes, follow(self.bytes, at)?).map(Some)
    }

    /// The elements of a vector of `size` bytes each; an absent one is empty.
    fn vector(&self, number: usize, size: usize) -> Result<(usize, &'a [u8]), Damage> {
        let Some(at) = self.field(number) else { return Ok((0, &[])) };
        let start = follow(self.bytes, at)?;
        let damage = Damage { what: "a vector", at: start };
        let count = u32::from_le_bytes(word(self.bytes, start, damage.what)?) as usize;
        let len = count.checked_mul(size).ok_or(damage)?;
        let elements = self.bytes.get(start + 4..).and_then(|bytes| bytes.get(..len)).ok_or(damage)?;
        Ok((start + 4, elements))
    }

    pub(super) fn bytes(&self, number: usize) -> Result<&'a [u8], Damage> {
        self.vector(number, 1).map(|(_, bytes)| bytes)
    }

    /// The beginning of a text, for messages; what is not UTF-8 is replaced.
    pub(super) fn name(&self, number: usize) -> Result<String, Damage> {
        const MOST: usize = 200;
        let bytes = self.bytes(number)?;
        Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned())
    }

    pub(super) fn i32s(&self, number: usize) -> Result<Numbers<'a, 4>, Damage> {
        self.vector(number, 4).map(|(_, bytes)| Numbers(bytes))
    }

    pub(super) fn i64s(&self, number: usize) -> Result<Numbers<'a, 8>, Damage> {
        self.vector(number, 8).map(|(_, bytes)| Numbers(bytes))
    }

    /// The tables of a vector.
    pub(super) fn tables(
        &self,
        number: usize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Self, Damage>>, Damage> {
        let (start, elements) = self.vector(number, 4)?;
        let bytes = self.bytes;
        Ok((0..elements.len() / 4).map(move |i| Self::at(bytes, follow(bytes, start + 4 * i)?)))
    }
}

/// A vector of numbers of `N` bytes, where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers<'a, const N: usize>(&'a [u8]);

impl<'a, const N: usize> Numbers<'a, N> {
    pub(super) const EMPTY: Self = Self(&[]);

    pub(super) fn len(&self) -> usize {
        self.0.len() / N
    }

    fn words(self) -> impl ExactSizeIterator<Item = [u8; N]> + use<'a, N> {
        self.0.as_chunks().0.iter().copied()
    }
}

impl<'a> Numbers<'a, 4> {
    pub(super) fn i32(self) -> impl ExactSizeIterator<Item = i32> + use<'a> {
        self.words().map(i32::from_le_bytes)
    }

    pub(super) fn f32(self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        self.words().map(f32::from_le_bytes)
    }
}

impl<'a> Numbers<'a, 8> {
    pub(super) fn i64(self) -> impl ExactSizeIterator<Item = i64> + use<'a> {
        self.words().map(i64::from_le_bytes)
    }
}
