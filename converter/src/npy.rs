//! Arrays of NumPy's `.npy` files, or bare numbers: frames or tokens in, vectors out.
//!
//! Format: the text of `numpy.lib.format`, versions 1.0 and 2.0.

/// Numbers with a shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// The numbers.
    pub numbers: Numbers,
    /// Whether they stood in the file without a shape: `shape` is then their count.
    pub bare: bool,
}

/// What an array holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Of `<f4` or `<f8`, rounded to f32.
    Real(Vec<f32>),
    /// Of whole numbers of any width.
    Whole(Vec<i64>),
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads an array: a `.npy` file, or bare little-endian binary32.
///
/// # Errors
/// What was expected, and what was found.
pub fn read(bytes: &[u8]) -> Result<Array, String> {
    if bytes.starts_with(MAGIC) {
        return parse(bytes);
    }
    if !bytes.len().is_multiple_of(4) {
        return Err(format!(
            "expected a .npy file or bare numbers of 4 bytes (f32), found {} bytes",
            bytes.len()
        ));
    }
    let numbers = words(bytes, f32::from_le_bytes);
    Ok(Array { shape: vec![numbers.len()], numbers: Numbers::Real(numbers), bare: true })
}

/// Reads a `.npy` file.
///
/// # Errors
/// What was expected, and what was found.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    let (header, data) = split(bytes).ok_or("expected a .npy file, found something else")?;
    if !header.contains("'fortran_order': False") {
        return Err("expected numbers row by row, found them column by column; save a copy in C order".into());
    }
    let shape = shape(header).ok_or("expected a shape in the header, found none")?;
    let kind =
        header.split_once("'descr': '").and_then(|(_, rest)| rest.split_once('\'')).map_or("", |it| it.0);
    let numbers = match kind {
        "<f4" => Numbers::Real(words(data, f32::from_le_bytes)),
        "<f8" => Numbers::Real(words(data, |word| f64::from_le_bytes(word) as f32)),
        "|u1" => Numbers::Whole(data.iter().map(|&byte| byte.into()).collect()),
        "<u2" => Numbers::Whole(words(data, |word| u16::from_le_bytes(word).into())),
        "<u4" => Numbers::Whole(words(data, |word| u32::from_le_bytes(word).into())),
        "<i4" => Numbers::Whole(words(data, |word| i32::from_le_bytes(word).into())),
        "<i8" => Numbers::Whole(words(data, i64::from_le_bytes)),
        other => return Err(format!("expected float32, float64 or whole numbers, found `{other}`")),
    };
    let found = match &numbers {
        Numbers::Real(numbers) => numbers.len(),
        Numbers::Whole(numbers) => numbers.len(),
    };
    if shape.iter().try_fold(1, |n: usize, &size| n.checked_mul(size)) != Some(found) {
        return Err(format!("expected the numbers of the shape {shape:?}, found {found}"));
    }
    Ok(Array { shape, numbers, bare: false })
}

/// The bytes of a `.npy` file of f32 with this shape.
pub fn encode(shape: &[usize], numbers: &[f32]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    // Magic, version and length take ten bytes; the header ends in a line feed at a multiple of 64.
    let padding = 63 - (10 + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// Header and data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (len, rest) = match version {
        [1, 0] => {
            let (len, rest) = rest.split_first_chunk()?;
            (u16::from_le_bytes(*len).into(), rest)
        }
        [2, 0] => {
            let (len, rest) = rest.split_first_chunk()?;
            (u32::from_le_bytes(*len) as usize, rest)
        }
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(len)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let sizes = header.split_once("'shape': (")?.1.split_once(')')?.0;
    sizes.split(',').map(str::trim).filter(|size| !size.is_empty()).map(|size| size.parse().ok()).collect()
}

fn words<const N: usize, T>(data: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|&word| number(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![2, 3], vec![6], vec![1, 6, 1]] {
            let numbers: Vec<f32> = (0..6).map(|i| i as f32 - 2.5).collect();
            let bytes = encode(&shape, &numbers);
            assert_eq!((bytes.len() - 24) % 64, 0);
            assert_eq!(parse(&bytes), Ok(Array { shape, numbers: Numbers::Real(numbers), bare: false }));
        }
    }

    #[test]
    fn numbers_without_a_header_are_bare() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let expected = Array { shape: vec![2], numbers: Numbers::Real(vec![1.5, -2.0]), bare: true };
        assert_eq!(read(&bytes), Ok(expected));
        assert!(read(b"texts").expect_err("no whole number").contains("found 5 bytes"));
        assert!(!read(&encode(&[2], &[1.5, -2.0])).expect("an array").bare);
    }

    /// The header that NumPy 2 writes for `np.arange(3, dtype=…)`.
    fn of(kind: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (3,), }}\n");
        let len = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn whole_numbers_of_every_width_are_tokens() {
        let whole = |numbers: &[i64]| {
            Ok(Array { shape: vec![3], numbers: Numbers::Whole(numbers.into()), bare: false })
        };
        assert_eq!(parse(&of("|u1", &[0, 1, 255])), whole(&[0, 1, 255]));
        assert_eq!(parse(&of("<u2", &[0, 0, 1, 0, 2, 1])), whole(&[0, 1, 258]));
        let words = [-1i32, 7, i32::MAX];
        assert_eq!(parse(&of("<i4", &words.map(i32::to_le_bytes).concat())), whole(&words.map(i64::from)));
        let words = [u32::MAX, 0, 3];
        assert_eq!(parse(&of("<u4", &words.map(u32::to_le_bytes).concat())), whole(&words.map(i64::from)));
        let words = [i64::MIN, 0, 3];
        assert_eq!(parse(&of("<i8", &words.map(i64::to_le_bytes).concat())), whole(&words));
        let words = [0.5f64, 1.0, -2.0];
        let real = Array { shape: vec![3], numbers: Numbers::Real(vec![0.5, 1.0, -2.0]), bare: false };
        assert_eq!(parse(&of("<f8", &words.map(f64::to_le_bytes).concat())), Ok(real));
    }

    #[test]
    fn what_is_no_array_is_an_error() {
        let good = encode(&[2, 2], &[1.0; 4]);
        for len in 0..good.len() {
            assert!(parse(&good[..len]).is_err(), "{len} bytes");
        }
        assert!(parse(&of("<c8", &[0; 24])).is_err());
        assert!(parse(&[&good[..], &[0; 4]].concat()).is_err());
        let columns = String::from_utf8_lossy(&good).replace("False", "True ").into_bytes();
        assert!(parse(&columns).is_err());
    }
}
