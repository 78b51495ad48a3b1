//! Small models, and tensors of ONNX's node tests: the fields of a `TensorProto` that they use, read from the protobuf wire format.
//!
//! Formats: onnx.proto (`TensorProto`: 1 dims, 2 data_type, 9 raw_data); Protocol Buffers, "Encoding".

mod write;

pub use write::{gru, gru_constants, gru_nodes, int, list, model, node, real, tagger, text, with_constants};

use std::path::Path;

/// A tensor of f32 or i64 numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// All numbers.
    pub values: Vec<f32>,
}

/// The tensor in the file at `path`; `None` if there is no such file.
///
/// # Panics
/// If it is not such a tensor.
pub fn read(path: &Path) -> Option<Tensor> {
    let bytes = std::fs::read(path).ok()?;
    Some(parse(&bytes).unwrap_or_else(|| panic!("{}: not a tensor of f32 or i64", path.display())))
}

fn parse(mut bytes: &[u8]) -> Option<Tensor> {
    let (mut shape, mut kind, mut raw) = (Vec::new(), 0, &[][..]);
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let number = varint(&mut bytes)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => shape.push(usize::try_from(number).ok()?),
            (2, 0) => kind = number,
            (field, 2) => {
                let (value, rest) = bytes.split_at_checked(usize::try_from(number).ok()?)?;
                raw = if field == 9 { value } else { raw };
                bytes = rest;
            }
            _ => return None,
        }
    }
    let values: Vec<f32> = match kind {
        1 => raw.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect(),
        7 => raw.as_chunks().0.iter().map(|&word| i64::from_le_bytes(word) as f32).collect(),
        _ => return None,
    };
    (values.len() == shape.iter().product::<usize>()).then_some(Tensor { shape, values })
}

/// Seven bits a byte, the lowest first; the eighth bit says that more follow.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_written_by_hand_is_read() {
        let mut bytes = vec![0x08, 2, 0x08, 1, 0x10, 1, 0x42, 1, b'x', 0x4a, 8];
        bytes.extend([1.5f32, -2.0].iter().flat_map(|number| number.to_le_bytes()));
        let expected = Tensor { shape: vec![2, 1], values: vec![1.5, -2.0] };
        assert_eq!(parse(&bytes), Some(expected));
        assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
        assert_eq!(varint(&mut &[0xac, 0x02][..]), Some(300));
    }
}
