//! Batches: which tokens each step sees, as a function of the seed and the step's number.

use crate::train::random::Key;

/// How a model walks over its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Windows drawn at random, each for itself: transformers.
    Random,
    /// Rows of the batch read the text on from step to step, and the state is carried: recurrent models. In every round
    /// each row reads its stretch of the text once, from another offset than in the round before.
    Streams,
}

/// Rows of tokens: those fed, and at each place the one that should follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Rows.
    pub rows: usize,
    /// Tokens of a row.
    pub cols: usize,
    /// Row after row, `[rows, cols]`.
    pub inputs: Vec<u32>,
    /// The same, one token on.
    pub targets: Vec<u32>,
    /// Whether rows begin afresh instead of going on from the batch before.
    pub fresh: bool,
}

impl Rows {
    fn new(tokens: &[u32], starts: &[usize], cols: usize, fresh: bool) -> Self {
        let take =
            |shift: usize| starts.iter().flat_map(|at| &tokens[at + shift..][..cols]).copied().collect();
        Self { rows: starts.len(), cols, inputs: take(0), targets: take(1), fresh }
    }
}

/// The shape of batches over a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The order of the text.
    pub order: Order,
    /// Rows of a batch.
    pub rows: usize,
    /// Tokens that a row is fed.
    pub cols: usize,
}

impl Windows {
    /// The same, made smaller where `tokens` are too few to fill a row.
    ///
    /// # Errors
    /// A message, if there is nothing to predict.
    pub fn fitted(self, tokens: usize) -> Result<Self, String> {
        if tokens < 2 {
            return Err(format!("expected at least 2 tokens of text to train on, found {tokens}"));
        }
        let cols = self.cols.min(tokens - 1);
        let rows = match self.order {
            Order::Random => self.rows,
            // Every row needs a stretch of its own.
            Order::Streams => self.rows.min((tokens - 1) / cols),
        };
        Ok(Self { rows, cols, ..self })
    }

    /// Tokens of a batch.
    pub fn tokens(&self) -> usize {
        self.rows * self.cols
    }

    /// Steps in which about every token of a text is seen once.
    pub fn round(&self, tokens: usize) -> u64 {
        let steps = match self.order {
            Order::Random => (tokens - 1).div_ceil(self.tokens()),
            Order::Streams => self.stretch(tokens) / self.cols,
        };
        steps.max(1) as u64
    }

    /// Tokens of a row's stretch of the text, so short that an offset of less than a row still fits.
    fn stretch(&self, tokens: usize) -> usize {
        let slack = (self.cols - 1).min(tokens - 1 - self.tokens());
        (tokens - 1 - slack) / self.rows
    }

    /// The batch of step `step`, counted from 0.
    pub fn batch(&self, tokens: &[u32], seed: u64, step: u64) -> Rows {
        let predicted = tokens.len() - 1;
        let starts: Vec<usize> = match self.order {
            Order::Random => {
                let rows = 0..self.rows as u64;
                rows.map(|row| below(Key::new(seed).part(step).part(row), predicted - self.cols + 1))
                    .collect()
            }
            Order::Streams => {
                let stretch = self.stretch(tokens.len());
                let (round, turn) = (step / self.round(tokens.len()), step % self.round(tokens.len()));
                let offset = below(Key::new(seed).part(round), predicted - stretch * self.rows + 1);
                let first = offset + turn as usize * self.cols;
                (0..self.rows).map(|row| first + row * stretch).collect()
            }
        };
        let fresh = self.order == Order::Random || step.is_multiple_of(self.round(tokens.len()));
        Rows::new(tokens, &starts, self.cols, fresh)
    }

    /// Batches that predict every token of a text once, each from what stands before it in its row: windows one after the
    /// other, or for streams as many stretches as there are rows (and up to `rows` − 1 tokens at the end unread).
    pub fn once<'t>(&self, tokens: &'t [u32]) -> Box<dyn Iterator<Item = Rows> + 't> {
        let predicted = tokens.len().saturating_sub(1);
        let Self { order, rows, cols } = *self;
        match order {
            Order::Random => {
                let whole: Vec<usize> = (0..predicted / cols).map(|window| window * cols).collect();
                let starts: Vec<Vec<usize>> = whole.chunks(rows).map(<[usize]>::to_vec).collect();
                let rest = predicted % cols;
                let last = (rest > 0).then(|| Rows::new(tokens, &[predicted - rest], rest, true));
                Box::new(
                    starts.into_iter().map(move |starts| Rows::new(tokens, &starts, cols, true)).chain(last),
                )
            }
            Order::Streams => {
                let rows = rows.min(predicted).max(1);
                let stretch = predicted / rows;
                Box::new((0..stretch).step_by(cols).map(move |at| {
                    let starts: Vec<usize> = (0..rows).map(|row| row * stretch + at).collect();
                    Rows::new(tokens, &starts, cols.min(stretch - at), at == 0)
                }))
            }
        }
    }
}

/// A number below `bound` that belongs to `key`, all equally likely but for 2⁻⁶⁴ · `bound`.
fn below(key: Key, bound: usize) -> usize {
    ((u128::from(key.seed()) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: u32) -> Vec<u32> {
        (0..len).collect()
    }

    #[test]
    fn targets_follow_their_inputs() {
        for order in [Order::Random, Order::Streams] {
            let windows = Windows { order, rows: 3, cols: 5 };
            for step in 0..40 {
                let batch = windows.batch(&text(50), 9, step);
                assert_eq!((batch.inputs.len(), batch.targets.len()), (15, 15));
                assert!(batch.inputs.iter().zip(&batch.targets).all(|(input, target)| input + 1 == *target));
                assert!(batch.inputs.chunks(5).all(|row| row.windows(2).all(|pair| pair[0] + 1 == pair[1])));
                assert_eq!(batch, windows.batch(&text(50), 9, step));
            }
        }
    }

    #[test]
    fn random_windows_reach_both_ends_and_the_seed_counts() {
        let windows = Windows { order: Order::Random, rows: 4, cols: 8 };
        let starts = |seed| {
            let batches = (0..50).map(move |step| windows.batch(&text(20), seed, step));
            batches
                .flat_map(|batch| batch.inputs.chunks(8).map(|row| row[0]).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        let found = starts(1);
        assert_eq!((found.iter().min(), found.iter().max()), (Some(&0), Some(&11)));
        assert_ne!(found, starts(2));
    }

    #[test]
    fn streams_go_on_where_they_were_and_start_afresh_each_round() {
        let windows = Windows { order: Order::Streams, rows: 2, cols: 4 };
        let tokens = text(40);
        // 39 predicted, 3 of them for the offset: stretches of 18, four steps.
        assert_eq!(windows.round(tokens.len()), 4);
        let mut offsets = std::collections::BTreeSet::new();
        for round in 0..20 {
            let batches: Vec<Rows> = (0..4).map(|turn| windows.batch(&tokens, 5, round * 4 + turn)).collect();
            assert_eq!(
                batches.iter().map(|batch| batch.fresh).collect::<Vec<_>>(),
                [true, false, false, false]
            );
            for pair in batches.windows(2) {
                for row in 0..2 {
                    assert_eq!(pair[0].inputs[row * 4] + 4, pair[1].inputs[row * 4]);
                }
            }
            assert_eq!(batches[0].inputs[0] + 18, batches[0].inputs[4]);
            offsets.insert(batches[0].inputs[0]);
        }
        assert_eq!(offsets.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn one_pass_predicts_every_token_once() {
        let tokens = text(38);
        let windows = Windows { order: Order::Random, rows: 3, cols: 5 };
        let seen: Vec<u32> = windows.once(&tokens).flat_map(|batch| batch.targets).collect();
        assert_eq!(seen, text(38)[1..]);
        let streams = Windows { order: Order::Streams, rows: 4, cols: 5 };
        let batches: Vec<Rows> = streams.once(&tokens).collect();
        assert_eq!(batches.iter().map(|batch| batch.cols).collect::<Vec<_>>(), [5, 4]);
        assert_eq!(batches.iter().map(|batch| batch.fresh).collect::<Vec<_>>(), [true, false]);
        let mut seen: Vec<u32> = batches.into_iter().flat_map(|batch| batch.targets).collect();
        seen.sort_unstable();
        assert_eq!(seen, text(37)[1..]);
    }

    #[test]
    fn a_short_text_makes_batches_smaller_and_none_an_error() {
        for (order, rows) in [(Order::Random, 16), (Order::Streams, 1)] {
            let windows = Windows { order, rows: 16, cols: 128 };
            let fitted = windows.fitted(10).expect("nine to predict");
            assert_eq!((fitted.rows, fitted.cols), (rows, 9));
            assert_eq!(fitted.batch(&text(10), 0, 3).inputs[..9], text(9));
            assert!(windows.fitted(1).is_err());
            assert_eq!(windows.once(&text(1)).count(), 0);
        }
    }
}
