//! Arrays that NumPy wrote: `.npz`, a zip archive of `.npy` files, stored or deflated. Just what golden files need.
//!
//! Formats: the `numpy.lib.format` text, version 1.0; PKWARE APPNOTE 6.3 for the archive.

use std::path::Path;

/// An array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// All numbers; u8, i32 and f32 fit exactly.
    pub values: Vec<f64>,
}

/// The array `name` in the archive at `path`.
///
/// # Errors
/// A text that says what is wrong with the file.
pub fn read(path: &Path, name: &str) -> Result<Array, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file =
        member(&bytes, &format!("{name}.npy")).ok_or("no such array, or an archive of another kind")?;
    parse_npy(&file).ok_or_else(|| format!("`{name}` is not an array of u8, i32 or f32 in row-major order"))
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let mut word = [0; 8];
    word[..N].copy_from_slice(bytes.get(at..at + N)?);
    usize::try_from(u64::from_le_bytes(word)).ok()
}

/// The bytes of one file of a zip archive, found through the central directory.
fn member(zip: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let end = zip.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let mut at = number::<4>(zip, end + 16)?;
    for _ in 0..number::<2>(zip, end + 10)? {
        let method = number::<2>(zip, at + 10)?;
        let len = number::<4>(zip, at + 20)?;
        let name_len = number::<2>(zip, at + 28)?;
        let local = number::<4>(zip, at + 42)?;
        if zip.get(at + 46..at + 46 + name_len)? == wanted.as_bytes() {
            let start = local + 30 + number::<2>(zip, local + 26)? + number::<2>(zip, local + 28)?;
            let data = zip.get(start..start + len)?;
            return match method {
                0 => Some(data.to_vec()),
                8 => miniz_oxide::inflate::decompress_to_vec(data).ok(),
                _ => None,
            };
        }
        at += 46 + name_len + number::<2>(zip, at + 30)? + number::<2>(zip, at + 32)?;
    }
    None
}

fn parse_npy(bytes: &[u8]) -> Option<Array> {
    let rest = bytes.strip_prefix(b"\x93NUMPY\x01\x00")?;
    let (header, data) = rest.get(2..)?.split_at_checked(number::<2>(rest, 0)?)?;
    let header = std::str::from_utf8(header).ok()?;
    if !header.contains("'fortran_order': False") {
        return None;
    }
    let sizes = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape = sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()?;
    let words = data.as_chunks::<4>().0.iter();
    let values: Vec<f64> = if header.contains("'<f4'") {
        words.map(|&word| f64::from(f32::from_le_bytes(word))).collect()
    } else if header.contains("'<i4'") {
        words.map(|&word| f64::from(i32::from_le_bytes(word))).collect()
    } else if header.contains("'|u1'") {
        data.iter().map(|&byte| byte.into()).collect()
    } else {
        return None;
    };
    (values.len() == shape.iter().product::<usize>()).then_some(Array { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::data;

    #[test]
    fn golden_logits_have_their_greedy_tokens_as_maxima() {
        let Some(path) = data("goldens/stories260K/greedy.npz") else { return };
        let tokens = read(&path, "token_ids").expect("token ids");
        let logits = read(&path, "logits").expect("logits");
        assert_eq!((tokens.shape, &logits.shape[..]), (vec![201], &[201, 512][..]));
        for (row, next) in logits.values.chunks(512).zip(&tokens.values[1..]) {
            let best = (0..512).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("512 logits");
            assert_eq!(best as f64, *next);
        }
    }

    #[test]
    fn an_array_that_is_not_there_is_an_error() {
        let Some(path) = data("goldens/stories260K/greedy.npz") else { return };
        assert!(read(&path, "weights").is_err());
    }
}
