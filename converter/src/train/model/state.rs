//! The state of recurrent layers between two stretches of text.

use crate::train::config::{Cell, Config};

/// What recurrent layers remember of the sequences of a batch; of a transformer nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    batch: usize,
    /// Hidden and, of an LSTM, cell states of every layer, `[batch][width]` each.
    layers: Vec<[Vec<f32>; 2]>,
    width: usize,
}

/// Hidden and cell state of one layer, of some of the sequences.
pub(in crate::train) type LayerState<'s> = [&'s mut [f32]; 2];

impl State {
    /// The state at the beginning of `batch` sequences: zeros.
    pub(super) fn new(config: &Config, batch: usize) -> Self {
        let (layers, cell, width) = match config {
            Config::Transformer(_) => (0, Cell::Gru, 1),
            Config::Recurrent(config) => (config.layers, config.cell, config.width as usize),
        };
        let cells = if cell == Cell::Lstm { batch * width } else { 0 };
        let layer = || [vec![0.0; batch * width], vec![0.0; cells]];
        Self { batch, layers: (0..layers).map(|_| layer()).collect(), width }
    }

    /// Sequences in the batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.layers.iter_mut().flatten().for_each(|values| values.fill(0.0));
    }

    /// Every number, layer for layer, hidden state before cell state: what [`State::restore`] takes.
    pub fn values(&self) -> Vec<f32> {
        self.layers.iter().flatten().flatten().copied().collect()
    }

    /// Goes on with what [`State::values`] gave; `false`, and nothing changed, if there are more or fewer values.
    pub fn restore(&mut self, values: &[f32]) -> bool {
        let len: usize = self.layers.iter().flatten().map(Vec::len).sum();
        let mut values = values.iter();
        let fits = values.len() == len;
        if fits {
            let own = self.layers.iter_mut().flatten().flatten();
            own.zip(&mut values).for_each(|(own, value)| *own = *value);
        }
        fits
    }

    /// The parts of every `sequences` sequences, all layers of each.
    pub(in crate::train) fn shards(&mut self, sequences: usize) -> Vec<Vec<LayerState<'_>>> {
        let mut shards: Vec<Vec<LayerState<'_>>> = Vec::new();
        shards.resize_with(self.batch.div_ceil(sequences), Vec::new);
        for [hidden, cells] in &mut self.layers {
            let len = sequences * self.width;
            let mut cells = cells.chunks_mut(len);
            for (shard, hidden) in shards.iter_mut().zip(hidden.chunks_mut(len)) {
                shard.push([hidden, cells.next().unwrap_or_default()]);
            }
        }
        shards
    }
}
