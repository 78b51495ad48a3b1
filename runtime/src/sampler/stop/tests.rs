//! Tests of stop rules: written cases, then all short texts against a plain search.
use super::*;
use std::string::{String as Text, ToString};
use std::vec::Vec as List;

fn stops(strings: &[&str]) -> Stops {
    let mut stops = Stops::new();
    for string in strings {
        stops.add_string(string).expect("within the limits");
    }
    stops
}

/// What each push releases, then the held text at the end.
fn releases(strings: &[&str], pieces: &[&str]) -> List<Text> {
    let stops = stops(strings);
    let mut gate = stops.gate();
    let mut releases: List<Text> = pieces.iter().map(|piece| gate.push(piece).to_string()).collect();
    releases.push(gate.finish().to_string());
    releases
}

/// The definition: the earliest end, then the longest; all text before it.
fn text_before_stop(strings: &[&str], text: &str) -> (Text, bool) {
    let ends =
        strings.iter().filter_map(|s| text.find(s).map(|at| (at + s.len(), core::cmp::Reverse(s.len()))));
    match ends.min() {
        Some((end, length)) => (text[..end - length.0].to_string(), true),
        None => (text.to_string(), false),
    }
}

/// How much of the text could still begin a stop string.
fn must_hold(strings: &[&str], text: &str) -> usize {
    let begins = |length: &usize| strings.iter().any(|s| s.starts_with(&text[text.len() - length..]));
    (0..=text.len())
        .filter(|length| text.is_char_boundary(text.len() - length))
        .filter(begins)
        .max()
        .unwrap_or(0)
}

#[test]
fn without_stop_strings_everything_passes_at_once() {
    assert_eq!(releases(&[], &["Once", " upon", ""]), ["Once", " upon", "", ""]);
}

#[test]
fn a_stop_string_across_pieces_is_withheld_whole() {
    let pieces = ["one ", "<", "/s", "> two", "three"];
    assert_eq!(releases(&["</s>"], &pieces), ["one ", "", "", "", "", ""]);
}

#[test]
fn a_beginning_that_comes_to_nothing_is_released() {
    assert_eq!(releases(&["</s>"], &["a<", "/", "b<"]), ["a", "", "</b", "<"]);
}

#[test]
fn held_text_is_released_piecewise_when_the_match_shifts() {
    assert_eq!(releases(&["aaab"], &["aa", "a", "a", "a", "b", "c"]), ["", "", "a", "a", "", "", ""]);
}

#[test]
fn the_stop_string_that_ends_first_wins() {
    assert_eq!(releases(&["abcd", "bc"], &["xabcd"]), ["xa", ""]);
}

#[test]
fn of_stop_strings_that_end_together_the_longest_wins() {
    for strings in [["bc", "abc"], ["abc", "bc"]] {
        assert_eq!(releases(&strings, &["xab", "c"]), ["x", "", ""]);
    }
}

#[test]
fn characters_are_never_split() {
    let pieces = ["日", "本", "人", "日本語"];
    assert_eq!(releases(&["本語", "日本語"], &pieces), ["", "", "日本人", "", ""]);
    // é (C3 A9) and è (C3 A8) share their first byte.
    assert_eq!(releases(&["éé"], &["è", "é", "è"]), ["è", "", "éè", ""]);
}

#[test]
fn every_short_text_in_every_cutting_releases_exactly_the_text_before_the_stop() {
    let sets: [&[&str]; 5] =
        [&["ab"], &["aab", "ab"], &["aba", "bb"], &["abab", "ba", "bbb"], &["aaaa", "baab"]];
    for strings in sets {
        let stops = stops(strings);
        for case in 0..(1u32 << 10) {
            let text: Text = (0..10).map(|bit| if case >> bit & 1 == 0 { 'a' } else { 'b' }).collect();
            let (expected, stop) = text_before_stop(strings, &text);
            for size in [1, 2, 3, 10] {
                let mut gate = stops.gate();
                let mut released = Text::new();
                for start in (0..text.len()).step_by(size) {
                    let end = (start + size).min(text.len());
                    released += &gate.push(&text[start..end]).to_string();
                    if !gate.stopped() {
                        let held = must_hold(strings, &text[..end]);
                        assert_eq!(released, text[..end - held], "{strings:?} {text} {size}");
                    }
                }
                released += gate.finish();
                assert_eq!((&released, gate.stopped()), (&expected, stop), "{strings:?} {text} {size}");
            }
        }
    }
}

#[test]
fn a_snapshot_of_the_gate_continues_alike() {
    let stops = stops(&["END"]);
    let mut gate = stops.gate();
    gate.push("xE");
    let mut snapshot = gate;
    assert_eq!(gate.push("ND").to_string(), "");
    assert!(gate.stopped() && !snapshot.stopped());
    assert_eq!(snapshot.push("x").to_string(), "Ex");
}

#[test]
fn stop_tokens_are_found() {
    let mut stops = Stops::new();
    stops.add_token(2).expect("the first");
    assert!(stops.is_stop_token(2));
    assert!(!stops.is_stop_token(0));
}

#[test]
fn limits_are_errors() {
    let mut stops = Stops::new();
    assert_eq!(stops.add_string(""), Err(StopError::EmptyString));
    let longest = "x".repeat(MAX_STRING_BYTES);
    assert_eq!(stops.add_string(&(longest.clone() + "x")), Err(StopError::StringTooLong { bytes: 65 }));
    for _ in 0..MAX_STRINGS {
        assert_eq!(stops.add_string(&longest), Ok(()));
    }
    assert_eq!(stops.add_string("x"), Err(StopError::TooManyStrings));
    for token in 0..MAX_TOKENS as u32 {
        assert_eq!(stops.add_token(token), Ok(()));
    }
    assert_eq!(stops.add_token(99), Err(StopError::TooManyTokens));
    let mut gate = stops.gate();
    assert_eq!(gate.push(&longest[1..]).to_string(), "");
    assert_eq!(gate.push("x").to_string(), "");
    assert!(gate.stopped());
}
