//! The wire format of Protocol Buffers, as far as ONNX uses it: fields of a message in the order they stand.
//!
//! Specification: Protocol Buffers documentation, "Encoding". A reader of one page rather than a generated one: of the
//! thirty messages of onnx.proto seven are needed, and tensors must stay where they lie in the mapped file.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A number of variable length; negative ones in two's complement.
    Number(u64),
    /// Four bytes.
    Word([u8; 4]),
    /// A message, a text, bytes, or numbers one behind the other.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// The bytes of a message, a text or packed numbers; nothing of a number.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The text; empty if it is none.
    pub(super) fn text(self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// The number; 0 of anything else.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Number(number) => number.cast_signed(),
            _ => 0,
        }
    }

    /// The numbers, packed or a single one.
    pub(super) fn numbers(self) -> Vec<i64> {
        let mut bytes = match self {
            Self::Number(number) => return vec![number.cast_signed()],
            Self::Word(_) => return Vec::new(),
            Self::Bytes(bytes) => bytes,
        };
        std::iter::from_fn(|| varint(&mut bytes)).map(u64::cast_signed).collect()
    }
}

/// The fields of `message` with their numbers; `None` if it is not a message.
pub(super) fn fields(mut message: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut message)?),
            1 => {
                let (_, rest) = message.split_first_chunk::<8>()?;
                message = rest;
                continue;
            }
            2 => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(len)?;
                message = rest;
                Field::Bytes(bytes)
            }
            5 => {
                let (word, rest) = message.split_first_chunk()?;
                message = rest;
                Field::Word(*word)
            }
            _ => return None,
        };
        fields.push((tag >> 3, field));
    }
    Some(fields)
}

/// Seven bits a byte, the lowest first; the eighth bit says that more follow.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
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
    fn every_kind_of_field_is_read() {
        let message = [0x08, 0xac, 0x02, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x22, 3, 1, 0x80, 1];
        let found = fields(&message).expect("a message");
        let expected = [
            (1, Field::Number(300)),
            (2, Field::Bytes(b"hi")),
            (3, Field::Word(1f32.to_le_bytes())),
            (4, Field::Bytes(&[1, 0x80, 1])),
        ];
        assert_eq!(found, expected);
        assert_eq!((found[0].1.number(), found[1].1.text()), (300, "hi"));
        assert_eq!(found[3].1.numbers(), [1, 128]);
        let minus = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(fields(&minus).expect("a message")[0].1.number(), -1);
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        for message in [&[0x08][..], &[0x08, 0x80], &[0x12, 2, b'h'], &[0x1d, 0, 0], &[0x09, 1], &[0x0b]] {
            assert_eq!(fields(message), None);
        }
    }
}
