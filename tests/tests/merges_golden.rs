//! The tokenizers' trainer against the published worked examples: merges learned from counted words.

use serde_json::Value;
use std::collections::BTreeMap;
use whit_converter::train::tokenizer::{Learned, Ties, learn};
use whit_tests::examples::{examples, list, number};

/// Words as lists of symbols, with their counts.
fn corpus(value: &Value) -> Vec<(Vec<String>, u64)> {
    let word = |word: &Value| list(word).iter().map(text).collect();
    list(value).iter().map(|pair| (word(&pair[0]), number(&pair[1]) as u64)).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn learned(corpus: &[(Vec<String>, u64)], merges: usize, ties: Ties) -> Learned {
    let symbols = corpus.iter().flat_map(|(word, _)| word);
    let mut ids: BTreeMap<&String, u32> = BTreeMap::new();
    symbols.for_each(|symbol| {
        let next = ids.len() as u32;
        ids.entry(symbol).or_insert(next);
    });
    let mut tokens = vec![Vec::new(); ids.len()];
    ids.iter().for_each(|(symbol, &id)| tokens[id as usize] = symbol.as_bytes().to_vec());
    let words: Vec<_> = corpus
        .iter()
        .map(|(word, count)| (word.iter().map(|symbol| ids[symbol]).collect(), *count))
        .collect();
    let limit = tokens.len() + merges;
    learn(tokens, &words, limit, ties)
}

#[test]
fn merges_are_learned_as_the_examples_show() {
    let Some(examples) = examples("tokenizer.bpe_train") else { return };
    for example in examples {
        let (inputs, expected) = (&example["inputs"], &example["expected"]);
        let ties = match inputs["tie"].as_str() {
            Some("first") => Ties::First,
            Some("min") => Ties::Least,
            other => panic!("{}: {other:?}", example["id"]),
        };
        let found = learned(&corpus(&inputs["corpus"]), number(&inputs["merges"]) as usize, ties);
        let token = |id: u32| String::from_utf8(found.tokens[id as usize].clone()).expect("text");
        let merges: Vec<_> =
            found.merges.iter().map(|merge| [token(merge.left), token(merge.right)]).collect();
        let pairs: Vec<_> =
            list(&expected["merges"]).iter().map(|pair| [text(&pair[0]), text(&pair[1])]).collect();
        assert_eq!(merges, pairs, "{}", example["id"]);
        let counts: Vec<_> = found.merges.iter().map(|merge| merge.count).collect();
        let expected: Vec<_> = list(&expected["counts"]).iter().map(|count| number(count) as u64).collect();
        assert_eq!(counts, expected, "{}", example["id"]);
    }
}
