//! Pre-tokenizers: the regular expressions that cut text into pieces, written out as scanners.
//!
//! The expressions stand at [`PreTokenizer`]; none looks behind, so a piece depends only on what follows its start.
//! Alternatives are tried in the order of the expression. Bytes that are not UTF-8 are of class
//! [`CharClass::Other`], one byte each.

use super::{CharClass, PreTokenizer};
use crate::parts::WORDS;

/// The pieces of a text, in order; together they are the text.
#[derive(Clone, Debug)]
pub struct Pieces<'t> {
    rule: PreTokenizer,
    rest: &'t [u8],
}

impl PreTokenizer {
    /// Cuts `text` into pieces.
    pub fn pieces(self, text: &[u8]) -> Pieces<'_> {
        Pieces { rule: self, rest: text }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let len = match self.rule {
            _ if !WORDS.is_there => self.rest.len(),
            PreTokenizer::None => self.rest.len(),
            PreTokenizer::Gpt2 => gpt2(self.rest, false),
            PreTokenizer::Gpt2Digits => gpt2(self.rest, true),
            PreTokenizer::Llama3 => llama3(self.rest),
        };
        let (piece, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(piece)
    }
}

/// Length of the first piece by the GPT-2 expression. With `digits`, every number is a piece and ends the stretch that
/// the expression sees.
fn gpt2(text: &[u8], digits: bool) -> usize {
    if text[0] == b'\'' {
        let contraction = contraction(text, <[u8]>::starts_with);
        if contraction > 0 {
            return contraction;
        }
    }
    let lead = usize::from(text[0] == b' ');
    match class_at(text, lead) {
        Some((CharClass::Number, len)) if digits && lead == 0 => len,
        Some((CharClass::Number, _)) if digits => spaces(text, digits),
        Some((CharClass::Space, _)) | None => spaces(text, digits),
        Some((class, len)) => run(text, lead + len, class),
    }
}

/// Length of the first piece by the Llama 3 expression.
fn llama3(text: &[u8]) -> usize {
    if text[0] == b'\'' {
        let contraction = contraction(text, starts_with_folded);
        if contraction > 0 {
            return contraction;
        }
        // The long s is an s where case does not count.
        if text.starts_with("'ſ".as_bytes()) {
            return "'ſ".len();
        }
    }
    let Some((class, len)) = class_at(text, 0) else { return text.len() };
    let prefix = !matches!(class, CharClass::Letter | CharClass::Number) && !is_newline(text[0]);
    match class_at(text, len) {
        _ if class == CharClass::Letter => return run(text, len, class),
        Some((CharClass::Letter, letter)) if prefix => return run(text, len + letter, CharClass::Letter),
        _ if class == CharClass::Number => return numbers(text),
        _ => {}
    }
    let lead = usize::from(text[0] == b' ');
    if let Some((CharClass::Other, len)) = class_at(text, lead) {
        let end = run(text, lead + len, CharClass::Other);
        return end + text[end..].iter().take_while(|&&byte| is_newline(byte)).count();
    }
    let space = run(text, 0, CharClass::Space);
    match text[..space].iter().rposition(|&byte| is_newline(byte)) {
        Some(newline) => newline + 1,
        None => spaces(text, false),
    }
}

/// `\s+(?!\S)|\s+` at a space: the whole run at the end of the stretch; before anything else the run less its last
/// character, unless that is all there is.
fn spaces(text: &[u8], digits: bool) -> usize {
    let (mut end, mut last) = (0, 0);
    loop {
        match class_at(text, end) {
            Some((CharClass::Space, len)) => (end, last) = (end + len, len),
            Some((CharClass::Number, _)) if digits => return end,
            Some(_) if end > last => return end - last,
            _ => return end,
        }
    }
}

/// Length of the contraction that `text` starts with, or 0.
fn contraction(text: &[u8], starts_with: fn(&[u8], &[u8]) -> bool) -> usize {
    const ENDINGS: [&[u8]; 7] = [b"'s", b"'t", b"'re", b"'ve", b"'m", b"'ll", b"'d"];
    ENDINGS.into_iter().find(|ending| starts_with(text, ending)).map_or(0, <[u8]>::len)
}

fn starts_with_folded(text: &[u8], ending: &[u8]) -> bool {
    text.get(..ending.len()).is_some_and(|start| start.eq_ignore_ascii_case(ending))
}

/// Where the run of `class` that is known to reach `from` ends.
fn run(text: &[u8], from: usize, class: CharClass) -> usize {
    let mut end = from;
    while let Some((next, len)) = class_at(text, end) {
        if next != class {
            break;
        }
        end += len;
    }
    end
}

/// `\p{N}{1,3}`
fn numbers(text: &[u8]) -> usize {
    let mut end = 0;
    for _ in 0..3 {
        match class_at(text, end) {
            Some((CharClass::Number, len)) => end += len,
            _ => break,
        }
    }
    end
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Class and length of the character at `at`, or `None` at the end.
#[inline]
fn class_at(text: &[u8], at: usize) -> Option<(CharClass, usize)> {
    let rest = text.get(at..)?;
    let &first = rest.first()?;
    if first.is_ascii() {
        return Some((CharClass::of(char::from(first)), 1));
    }
    Some(match scalar(rest) {
        Some(c) => (CharClass::of(c), c.len_utf8()),
        None => (CharClass::Other, 1),
    })
}

/// The character that `bytes` starts with, if they start with a whole one.
pub(super) fn scalar(bytes: &[u8]) -> Option<char> {
    let len = match bytes.first()? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    core::str::from_utf8(bytes.get(..len)?).ok()?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn cut(rule: PreTokenizer, text: &str) -> Vec<&str> {
        rule.pieces(text.as_bytes())
            .map(|piece| core::str::from_utf8(piece).expect("cut between characters"))
            .collect()
    }

    #[test]
    fn gpt2_keeps_one_space_with_the_word_and_the_rest_apart() {
        assert_eq!(cut(PreTokenizer::Gpt2, "I'm  here\n\n x"), ["I", "'m", " ", " here", "\n\n", " x"]);
        assert_eq!(cut(PreTokenizer::Gpt2, "a\tb  "), ["a", "\t", "b", "  "]);
        assert_eq!(cut(PreTokenizer::Gpt2, "x² 12345!? 'S"), ["x", "²", " 12345", "!?", " '", "S"]);
    }

    #[test]
    fn digits_stand_alone_and_end_the_stretch() {
        assert_eq!(cut(PreTokenizer::Gpt2Digits, "in  2024"), ["in", "  ", "2", "0", "2", "4"]);
        assert_eq!(cut(PreTokenizer::Gpt2Digits, "a 1"), ["a", " ", "1"]);
    }

    #[test]
    fn llama3_takes_three_digits_any_lead_and_trailing_newlines() {
        assert_eq!(
            cut(PreTokenizer::Llama3, "12345 (abc) !\n\nx"),
            ["123", "45", " (", "abc", ")", " !\n\n", "x"]
        );
        assert_eq!(cut(PreTokenizer::Llama3, "I'LL (a \n  b"), ["I", "'LL", " (", "a", " \n", " ", " b"]);
        assert_eq!(cut(PreTokenizer::Llama3, "\u{a0}x"), ["\u{a0}x"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_too() {
        for rule in [PreTokenizer::None, PreTokenizer::Gpt2, PreTokenizer::Gpt2Digits, PreTokenizer::Llama3] {
            let text = [b'a', 0xff, 0xe2, 0x82, b' ', 0xc0, b'7', 0xf0];
            assert_eq!(rule.pieces(&text).collect::<Vec<_>>().concat(), text);
        }
    }
}
