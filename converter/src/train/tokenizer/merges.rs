//! Byte-pair merges learned from counted words: the most frequent pair of neighbours becomes a token, again and again
//! (R. Sennrich, B. Haddow and A. Birch, "Neural Machine Translation of Rare Words with Subword Units", 2016).
//!
//! All words lie in one array as linked symbols, and every pair knows where it stands, so a merge costs what it changes
//! and a word of any length is no slower than many short ones. The queue is corrected when a pair comes to its front: a
//! pair's count falls without notice, and rises only when a merge makes it, which queues it anew.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// A pair that occurs once teaches nothing about other text.
const LEAST_COUNT: u64 = 2;

/// No symbol: the end of a word, or what a merge has swallowed.
const NONE: u32 = u32::MAX;

/// Which of several equally frequent pairs is merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// That whose texts are lexicographically greatest, left before right.
    #[default]
    Greatest,
    /// That whose texts are lexicographically least.
    Least,
    /// That which occurs first in the words, as textbooks break ties.
    First,
}

/// Two neighbouring tokens that became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedMerge {
    /// Token before.
    pub left: u32,
    /// Token after.
    pub right: u32,
    /// Token whose text is both.
    pub result: u32,
    /// How often the pair stood in the words.
    pub count: u64,
}

/// A vocabulary of merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Text of every token: those to begin with, then one for each merge that made a new text.
    pub tokens: Vec<Vec<u8>>,
    /// In the order in which they apply.
    pub merges: Vec<LearnedMerge>,
}

/// Merges pairs of `words`, each a sequence of indices into `tokens` and how often it occurs, until there are `limit`
/// tokens or no pair occurs twice.
///
/// Two ways to spell one text lead to one token. The result depends on nothing but the arguments.
///
/// # Panics
/// If a word holds an index beyond `tokens`.
pub fn learn(tokens: Vec<Vec<u8>>, words: &[(Vec<u32>, u64)], limit: usize, ties: Ties) -> Learned {
    let mut learner = Learner::new(tokens, words, ties);
    let mut merges = Vec::new();
    while learner.tokens.len() < limit
        && let Some(best) = learner.most_frequent()
    {
        let (left, right) = best.pair;
        let result = learner.joined(left, right);
        learner.merge(best.pair, result);
        merges.push(LearnedMerge { left, right, result, count: best.count });
    }
    Learned { tokens: learner.tokens.iter().map(|text| text.to_vec()).collect(), merges }
}

type Pair = (u32, u32);
type Text = Arc<[u8]>;

/// The order among pairs of one count; the greatest goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Greatest(Text, Text),
    Least(Reverse<(Text, Text)>),
    First(Reverse<u32>),
}

/// A pair as it stood when it was queued.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    count: u64,
    rank: Rank,
    pair: Pair,
}

/// Where a pair stands.
#[derive(Default)]
struct Occurrences {
    /// Over all words, each as often as it occurs.
    count: u64,
    /// Places of the left symbol, among them some that the pair has left since.
    places: Vec<u32>,
}

/// The words under way: a symbol's place never changes.
struct Learner {
    tokens: Vec<Text>,
    ids: HashMap<Text, u32>,
    symbols: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// How often the symbol's word occurs.
    weights: Vec<u64>,
    pairs: HashMap<Pair, Occurrences>,
    queue: BinaryHeap<Candidate>,
    ties: Ties,
}

impl Learner {
    fn new(tokens: Vec<Vec<u8>>, words: &[(Vec<u32>, u64)], ties: Ties) -> Self {
        let tokens: Vec<Text> = tokens.into_iter().map(Text::from).collect();
        let ids = tokens.iter().cloned().zip(0..).collect();
        let (symbols, next, previous, weights) = (vec![], vec![], vec![], vec![]);
        let (pairs, queue) = (HashMap::new(), BinaryHeap::new());
        let mut this = Self { tokens, ids, symbols, next, previous, weights, pairs, queue, ties };
        for (word, count) in words {
            this.append(word, *count);
        }
        for pair in this.pairs.keys().copied().collect::<Vec<_>>() {
            this.enqueue(pair);
        }
        this
    }

    fn append(&mut self, word: &[u32], count: u64) {
        let start = self.symbols.len() as u32;
        for (&symbol, at) in word.iter().zip(start..) {
            assert!((symbol as usize) < self.tokens.len(), "a word of known tokens");
            self.previous.push(if at == start { NONE } else { at - 1 });
            self.next.push(at + 1);
            self.symbols.push(symbol);
            self.weights.push(count);
        }
        if let Some(last) = self.next.last_mut().filter(|_| !word.is_empty()) {
            *last = NONE;
        }
        for (pair, at) in word.windows(2).zip(start..) {
            self.add((pair[0], pair[1]), at);
        }
    }

    /// The pair to merge next.
    fn most_frequent(&mut self) -> Option<Candidate> {
        while let Some(queued) = self.queue.pop() {
            match self.candidate(queued.pair) {
                Some(now) if now == queued => return Some(now),
                Some(now) => self.queue.push(now),
                None => {}
            }
        }
        None
    }

    /// The pair as it stands now, if it is worth a merge.
    fn candidate(&mut self, pair: Pair) -> Option<Candidate> {
        let count = self.pairs.get(&pair)?.count;
        if count < LEAST_COUNT {
            return None;
        }
        let texts = || (self.tokens[pair.0 as usize].clone(), self.tokens[pair.1 as usize].clone());
        let rank = match self.ties {
            Ties::Greatest => {
                let (left, right) = texts();
                Rank::Greatest(left, right)
            }
            Ties::Least => Rank::Least(Reverse(texts())),
            Ties::First => {
                let places = self.pairs[&pair].places.iter().copied();
                Rank::First(Reverse(places.filter(|&at| self.is_at(pair, at)).min()?))
            }
        };
        Some(Candidate { count, rank, pair })
    }

    fn enqueue(&mut self, pair: Pair) {
        let candidate = self.candidate(pair);
        self.queue.extend(candidate);
    }

    /// The token whose text is that of both.
    fn joined(&mut self, left: u32, right: u32) -> u32 {
        let text: Text = [&*self.tokens[left as usize], &*self.tokens[right as usize]].concat().into();
        match self.ids.entry(text) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.tokens.push(new.key().clone());
                *new.insert(self.tokens.len() as u32 - 1)
            }
        }
    }

    fn merge(&mut self, pair: Pair, result: u32) {
        let mut places = self.pairs.remove(&pair).map(|occurrences| occurrences.places).unwrap_or_default();
        // Of "aaa", the first two merge.
        places.sort_unstable();
        let mut risen = Vec::new();
        for at in places {
            if self.is_at(pair, at) {
                self.join(pair, at, result, &mut risen);
            }
        }
        risen.sort_unstable();
        risen.dedup();
        for pair in risen {
            self.enqueue(pair);
        }
    }

    /// Whether `pair` still stands at `at`.
    fn is_at(&self, pair: Pair, at: u32) -> bool {
        let right = self.next[at as usize];
        self.symbols[at as usize] == pair.0 && right != NONE && self.symbols[right as usize] == pair.1
    }

    /// Makes the pair at `at` one symbol; its neighbours now stand in other pairs, those that `risen` gets.
    fn join(&mut self, pair: Pair, at: u32, result: u32, risen: &mut Vec<Pair>) {
        let right = self.next[at as usize];
        let (before, after) = (self.previous[at as usize], self.next[right as usize]);
        self.symbols[at as usize] = result;
        self.symbols[right as usize] = NONE;
        self.next[at as usize] = after;
        if before != NONE {
            let symbol = self.symbols[before as usize];
            self.remove((symbol, pair.0), before);
            self.add((symbol, result), before);
            risen.push((symbol, result));
        }
        if after != NONE {
            self.previous[after as usize] = at;
            let symbol = self.symbols[after as usize];
            self.remove((pair.1, symbol), at);
            self.add((result, symbol), at);
            risen.push((result, symbol));
        }
    }

    /// `pair` stands at `at` from now on.
    fn add(&mut self, pair: Pair, at: u32) {
        let occurrences = self.pairs.entry(pair).or_default();
        occurrences.count += self.weights[at as usize];
        occurrences.places.push(at);
    }

    /// `pair` stands no more in the word of `at`; of the pair that is being merged nobody keeps count.
    fn remove(&mut self, pair: Pair, at: u32) {
        if let Some(occurrences) = self.pairs.get_mut(&pair) {
            occurrences.count -= self.weights[at as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: count all pairs anew before every merge.
    fn by_counting(texts: &[&str], limit: usize, ties: Ties) -> Vec<(String, String)> {
        let mut words: Vec<Vec<String>> =
            texts.iter().map(|text| text.chars().map(String::from).collect()).collect();
        let mut known: std::collections::BTreeSet<String> = words.iter().flatten().cloned().collect();
        let mut merges = Vec::new();
        while known.len() < limit {
            // Of each pair how often, and which of all it is.
            let mut counts: HashMap<(String, String), (u64, usize)> = HashMap::new();
            for pair in words.iter().flat_map(|word| word.windows(2)) {
                let order = counts.len();
                counts.entry((pair[0].clone(), pair[1].clone())).or_insert((0, order)).0 += 1;
            }
            let best = counts.iter().max_by(|(pair, count), (other, others)| {
                count.0.cmp(&others.0).then_with(|| match ties {
                    Ties::Greatest => pair.cmp(other),
                    Ties::Least => other.cmp(pair),
                    Ties::First => others.1.cmp(&count.1),
                })
            });
            let Some(((left, right), _)) = best.filter(|(_, count)| count.0 >= LEAST_COUNT) else { break };
            let (left, right) = (left.clone(), right.clone());
            for word in &mut words {
                let mut at = 0;
                while at + 1 < word.len() {
                    if word[at] == left && word[at + 1] == right {
                        let joined = format!("{left}{right}");
                        word.splice(at..at + 2, [joined]);
                    }
                    at += 1;
                }
            }
            known.insert(format!("{left}{right}"));
            merges.push((left, right));
        }
        merges
    }

    fn learned(texts: &[&str], limit: usize, ties: Ties) -> Vec<(String, String)> {
        let set: std::collections::BTreeSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
        let ids: HashMap<char, u32> = set.iter().copied().zip(0..).collect();
        let tokens = set.iter().map(|c| c.to_string().into_bytes()).collect();
        let words: Vec<(Vec<u32>, u64)> =
            texts.iter().map(|text| (text.chars().map(|c| ids[&c]).collect(), 1)).collect();
        let learned = learn(tokens, &words, limit, ties);
        let text = |id: u32| String::from_utf8(learned.tokens[id as usize].clone()).expect("text");
        learned.merges.iter().map(|merge| (text(merge.left), text(merge.right))).collect()
    }

    /// Words of three letters, so that everything repeats: runs, overlaps, one text spelled in several ways.
    fn words(seed: u64) -> Vec<String> {
        let mut state = seed;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let letters = 1 + below(3);
        (0..1 + below(30))
            .map(|_| (0..below(14)).map(|_| (b'a' + below(letters) as u8) as char).collect())
            .collect()
    }

    #[test]
    fn merges_are_those_of_counting_anew_each_time() {
        for seed in 0..300 {
            let words = words(seed);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            for ties in [Ties::Greatest, Ties::Least, Ties::First] {
                let expected = by_counting(&words, 25, ties);
                assert_eq!(learned(&words, 25, ties), expected, "seed {seed}, {ties:?}: {words:?}");
            }
        }
    }

    #[test]
    fn a_run_merges_from_its_left_end() {
        assert_eq!(learned(&["aaaaa", "aaa"], 2, Ties::Greatest), [("a".into(), "a".into())]);
        assert_eq!(
            learned(&["aaaaaaa", "aaa"], 3, Ties::Greatest),
            [("a".into(), "a".into()), ("aa".into(), "aa".into())]
        );
    }

    #[test]
    fn what_occurs_once_is_not_merged() {
        assert_eq!(learned(&["abc", "", "x"], 100, Ties::Greatest), []);
    }
}
