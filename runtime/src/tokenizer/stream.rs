//! Bytes to text, in pieces, never half a character.
//!
//! Knows nothing of tokens: bytes go in as they come, complete characters come out.

/// Holds back an unfinished UTF-8 character, at most three bytes, until its rest arrives.
///
/// All pieces together are what `String::from_utf8_lossy` makes of all bytes together: every maximal prefix of a valid
/// character that is not continued becomes one U+FFFD, every other stray byte one U+FFFD (the Unicode Standard, 3.9,
/// "substitution of maximal subparts").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8Stream {
    held: [u8; 4],
    len: usize,
}

impl Utf8Stream {
    /// Takes in `bytes` and hands every character that is complete to `emit`, in one or more non-empty pieces.
    pub fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(&str)) {
        let mut rest = bytes;
        while self.len > 0 {
            let Some((&byte, after)) = rest.split_first() else { return };
            rest = after;
            self.extend_held(byte, &mut emit);
        }
        let tail = complete(rest, &mut emit);
        self.hold(tail);
    }

    /// Ends the text: an unfinished character becomes U+FFFD. The stream can then be used again.
    pub fn finish(&mut self, mut emit: impl FnMut(&str)) {
        if self.len > 0 {
            emit("\u{fffd}");
        }
        self.len = 0;
    }

    /// How many bytes are held back: 0 to 3.
    pub fn held(&self) -> usize {
        self.len
    }

    /// Adds one byte to the held ones and emits what has become decided.
    fn extend_held(&mut self, byte: u8, emit: &mut impl FnMut(&str)) {
        let mut now = self.held;
        if let Some(place) = now.get_mut(self.len) {
            *place = byte;
        }
        let tail = complete(now.get(..self.len + 1).unwrap_or_default(), emit);
        self.hold(tail);
    }

    /// Holds back an unfinished character.
    fn hold(&mut self, tail: &[u8]) {
        for (place, &byte) in self.held.iter_mut().zip(tail) {
            *place = byte;
        }
        self.len = tail.len();
    }
}

/// Emits all of `bytes` but an unfinished character at the end, which is returned (at most three bytes).
fn complete<'b>(mut bytes: &'b [u8], emit: &mut impl FnMut(&str)) -> &'b [u8] {
    loop {
        let error = match core::str::from_utf8(bytes) {
            Ok(text) => {
                emit_text(text, emit);
                return &[];
            }
            Err(error) => error,
        };
        let (valid, rest) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
        emit_text(core::str::from_utf8(valid).unwrap_or_default(), emit);
        let Some(bad) = error.error_len() else { return rest };
        emit("\u{fffd}");
        bytes = rest.get(bad..).unwrap_or_default();
    }
}

fn emit_text(text: &str, emit: &mut impl FnMut(&str)) {
    if !text.is_empty() {
        emit(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn streamed(chunks: &[&[u8]]) -> String {
        let mut text = String::new();
        let mut stream = Utf8Stream::default();
        for chunk in chunks {
            stream.push(chunk, |piece| {
                assert!(!piece.is_empty());
                text.push_str(piece);
            });
            assert!(stream.held() <= 3);
        }
        stream.finish(|piece| text.push_str(piece));
        text
    }

    #[test]
    fn a_character_comes_out_only_when_complete() {
        let mut stream = Utf8Stream::default();
        let mut seen = Vec::new();
        for &byte in "a€😀".as_bytes() {
            let mut pieces = String::new();
            stream.push(&[byte], |piece| pieces.push_str(piece));
            seen.push(pieces);
        }
        assert_eq!(seen, ["a", "", "", "€", "", "", "", "😀"]);
    }

    #[test]
    fn every_split_of_damaged_text_reads_like_the_lossy_whole() {
        // Lead bytes of each length, continuation bytes at the edges of their ranges, overlong and surrogate starts.
        let alphabet = [
            b'a', 0x7f, 0x80, 0xbf, 0xc2, 0xc1, 0xdf, 0xe0, 0xa0, 0xed, 0x9f, 0xef, 0xf0, 0x90, 0xf4, 0x8f,
            0xf5, 0xff,
        ];
        let mut state = 1u64;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..next(12)).map(|_| alphabet[next(alphabet.len())]).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(1 + next(4)).collect();
            assert_eq!(streamed(&chunks), String::from_utf8_lossy(&bytes), "{bytes:x?}");
        }
    }
}
