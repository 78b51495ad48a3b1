//! The runtime's pre-tokenizers and character classes against regular expression engines.

mod support;

use fancy_regex::Regex;
use support::Random;
use whit::tokenizer::{CharClass, PreTokenizer};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn pieces(rule: PreTokenizer, text: &str) -> Vec<&str> {
    rule.pieces(text.as_bytes())
        .map(|piece| std::str::from_utf8(piece).expect("cut between characters"))
        .collect()
}

fn matches<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    regex.find_iter(text).map(|found| found.expect("no backtracking limit").as_str()).collect()
}

/// Numbers one by one, the expression on what lies between.
fn gpt2_with_digits<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    let number = regex::Regex::new(r"\p{N}").expect("valid");
    let (mut cut, mut done) = (Vec::new(), 0);
    for found in number.find_iter(text) {
        cut.extend(matches(regex, &text[done..found.start()]));
        cut.push(found.as_str());
        done = found.end();
    }
    cut.extend(matches(regex, &text[done..]));
    cut
}

#[test]
fn scanners_cut_where_the_expressions_do() {
    let (gpt2, llama3) = (Regex::new(GPT2).expect("valid"), Regex::new(LLAMA3).expect("valid"));
    let mut random = Random(2);
    for _ in 0..4000 {
        let len = random.below(30);
        let text = random.text(len);
        assert_eq!(pieces(PreTokenizer::Gpt2, &text), matches(&gpt2, &text), "{text:?}");
        assert_eq!(pieces(PreTokenizer::Gpt2Digits, &text), gpt2_with_digits(&gpt2, &text), "{text:?}");
        assert_eq!(pieces(PreTokenizer::Llama3, &text), matches(&llama3, &text), "{text:?}");
    }
}

#[test]
fn short_texts_of_every_class_are_cut_where_the_expressions_do() {
    let (gpt2, llama3) = (Regex::new(GPT2).expect("valid"), Regex::new(LLAMA3).expect("valid"));
    let alphabet = [" ", "\n", "\t", "s", "'", "1", "!", "\u{a0}"];
    for code in 0..8usize.pow(6) {
        let text: String = (0..6).map(|place| alphabet[code >> (3 * place) & 7]).collect();
        assert_eq!(pieces(PreTokenizer::Gpt2, &text), matches(&gpt2, &text), "{text:?}");
        assert_eq!(pieces(PreTokenizer::Llama3, &text), matches(&llama3, &text), "{text:?}");
    }
}

#[test]
fn every_character_has_the_class_of_unicode_16() {
    let class = |expression| regex::Regex::new(expression).expect("valid");
    let (letter, number, space) = (class(r"^\p{L}$"), class(r"^\p{N}$"), class(r"^\s$"));
    for c in '\0'..=char::MAX {
        let text = c.encode_utf8(&mut [0; 4]).to_owned();
        let expected = match (letter.is_match(&text), number.is_match(&text), space.is_match(&text)) {
            (true, ..) => CharClass::Letter,
            (_, true, _) => CharClass::Number,
            (.., true) => CharClass::Space,
            _ => CharClass::Other,
        };
        assert_eq!(CharClass::of(c), expected, "U+{:04X}", c as u32);
    }
}
