//! Frames of real numbers in files: NumPy's `.npy`, or bare little-endian binary32.
//!
//! Format: the `numpy.lib.format` text, versions 1.0 and 2.0; f32 in row-major order.

/// The numbers of a file, whatever its shape; the text says what is wrong with it.
///
/// # Errors
/// If a `.npy` file holds anything but f32 in row-major order, or the length is not one of whole numbers.
pub fn read(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let data = match bytes.strip_prefix(b"\x93NUMPY") {
        Some(rest) => numpy(rest)?,
        None => bytes,
    };
    let (numbers, rest) = data.as_chunks();
    if !rest.is_empty() {
        return Err(format!("expected numbers of 4 bytes (f32), found {} bytes", data.len()));
    }
    Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
}

/// The data behind version and header.
fn numpy(rest: &[u8]) -> Result<&[u8], String> {
    let damaged = || "expected the header of a .npy file, found its beginning only".to_owned();
    let (len, start) = match *rest {
        [1, _, low, high, ..] => (usize::from(u16::from_le_bytes([low, high])), 4),
        [2, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 6),
        [version, ..] => return Err(format!("expected a .npy file of version 1 or 2, found {version}")),
        [] => return Err(damaged()),
    };
    let (header, data) = rest[start..].split_at_checked(len).ok_or_else(damaged)?;
    let header = String::from_utf8_lossy(header);
    let right = header.contains("'<f4'") && header.contains("'fortran_order': False");
    right
        .then_some(data)
        .ok_or_else(|| format!("expected f32 ('<f4') in row-major order, found {}", header.trim_end()))
}

/// A `.npy` file of `rows` × `width` numbers.
pub fn to_npy(numbers: &[f32], width: usize) -> Vec<u8> {
    let rows = numbers.len() / width.max(1);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version, length, header and its line's end are a multiple of 64.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', padded - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [1.0, -0.5, f32::MAX, 1e-40, 3.0, 4.0];
        let file = to_npy(&numbers, 3);
        assert_eq!(read(&file).expect("a whole file"), numbers);
        assert_eq!((file.len() - 24) % 64, 0);
        assert!(String::from_utf8_lossy(&file).contains("'shape': (2, 3)"));
        let bare: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(read(&bare).expect("whole numbers"), numbers);
    }

    #[test]
    fn what_is_not_f32_is_refused() {
        let file = to_npy(&[1.0, 2.0], 2);
        for len in 6..file.len() - 8 {
            // Shorter than the magic it is bare numbers; then there is no header, or no whole number.
            assert!(read(&file[..len]).is_err(), "{len}");
        }
        let mut doubles = file.clone();
        let at =
            file.windows(3).position(|bytes| bytes == b"<f4").expect("the header says what the numbers are");
        doubles[at + 2] = b'8';
        assert!(read(&doubles).expect_err("f64").contains("expected f32"));
        assert!(read(b"abc").expect_err("no number").contains("3 bytes"));
        assert!(read(b"\x93NUMPY\x03\x00").expect_err("no such version").contains("version 1 or 2"));
    }
}
