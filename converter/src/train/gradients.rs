//! The gradients of all parameters: one buffer each, to which shards add in their order, whichever threads work on
//! them, so that the sum has the same bits for any number of threads.
//!
//! A shard that comes too early waits. Shards are begun in order, and the first unfinished one never waits: no
//! deadlock. One buffer for each thread, summed at the end, would be as many times the memory, and other bits for
//! every number of threads.

use super::ops::add_to;
use super::parameters::{Parameter, ParameterId, Use};
use super::pool::Buffer;
use super::threads::lock;
use std::sync::{Condvar, Mutex, PoisonError};

/// What every shard adds to once: the gradient of a parameter, or the part of it from rows that were looked up of a
/// matrix that is also multiplied with. In one buffer the two parts would make each shard wait for all of the one
/// before it: one is the first gradient of a backward pass, the other its last.
#[derive(Clone, Copy, Debug)]
pub(super) enum GradientId {
    /// All of a parameter, or of a tied one what products give.
    Whole(ParameterId),
    /// What looking up rows of the tied parameter gives.
    TiedRows,
}

/// One sum.
#[derive(Debug)]
struct Slot {
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Debug)]
struct Turn {
    /// The shard that may add.
    shard: usize,
    sum: Buffer,
}

/// The turn of nobody any more.
const ABANDONED: usize = usize::MAX;

/// The gradients of a model.
#[derive(Debug)]
pub(super) struct Gradients {
    /// One for each parameter, and one for the rows of a tied one.
    slots: Vec<Slot>,
    /// The tied parameter.
    tied: Option<usize>,
    parameters: usize,
}

impl Gradients {
    /// Zeros.
    pub(super) fn new(parameters: &[Parameter]) -> Self {
        let slot = |parameter: &Parameter| Slot {
            turn: Mutex::new(Turn { shard: 0, sum: Buffer::zeros(parameter.values.len()) }),
            changed: Condvar::new(),
        };
        let tied = parameters.iter().position(|parameter| parameter.used_as == Use::TiedRows);
        let slots = parameters.iter().chain(tied.map(|at| &parameters[at])).map(slot).collect();
        Self { slots, tied, parameters: parameters.len() }
    }

    /// Zeros again, and the first shard's turn.
    pub(super) fn reset(&mut self) {
        for slot in &mut self.slots {
            let turn = slot.turn_mut();
            turn.shard = 0;
            turn.sum.fill(0.0);
        }
    }

    /// Lets `shard` add when it is its turn.
    pub(super) fn add(&self, id: GradientId, shard: usize, add: impl FnOnce(&mut [f32])) {
        let slot = match id {
            GradientId::Whole(id) => &self.slots[id.0],
            GradientId::TiedRows => &self.slots[self.parameters],
        };
        let waits = |turn: &mut Turn| turn.shard != shard && turn.shard != ABANDONED;
        let turn = slot.changed.wait_while(lock(&slot.turn), waits);
        let mut turn = turn.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(turn.shard, shard, "the thread of another shard panicked");
        add(&mut turn.sum);
        turn.shard += 1;
        drop(turn);
        slot.changed.notify_all();
    }

    /// Makes all who wait panic: the shard that they wait for will not come.
    fn abandon(&self) {
        for slot in &self.slots {
            lock(&slot.turn).shard = ABANDONED;
            slot.changed.notify_all();
        }
    }

    /// Every gradient, in the order of the parameters, after all shards.
    pub(super) fn finish(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        if let Some(tied) = self.tied {
            let (slots, rows) = self.slots.split_at_mut(self.parameters);
            add_to(&mut slots[tied].turn_mut().sum, &rows[0].turn_mut().sum);
        }
        self.slots[..self.parameters].iter_mut().map(|slot| &mut slot.turn_mut().sum[..])
    }
}

/// Held while a thread works on a shard: if it panics, those that would wait for it do too.
pub(super) struct Working<'g>(pub(super) &'g Gradients);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

impl Slot {
    fn turn_mut(&mut self) -> &mut Turn {
        self.turn.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::init::{Builder, Init};

    fn gradients() -> Gradients {
        let mut builder = Builder::new(1);
        builder.vector("w", 1, Init::Constant(0.0));
        Gradients::new(&builder.parameters)
    }

    const WHOLE: GradientId = GradientId::Whole(ParameterId(0));

    #[test]
    fn shards_add_in_their_order() {
        let mut gradients = gradients();
        std::thread::scope(|scope| {
            for shard in (0..4).rev() {
                let gradients = &gradients;
                scope.spawn(move || gradients.add(WHOLE, shard, |sum| sum[0] = 10.0 * sum[0] + shard as f32));
            }
        });
        assert_eq!(gradients.finish().next().expect("one parameter"), [123.0]);
        gradients.reset();
        gradients.add(WHOLE, 0, |sum| assert_eq!(sum, [0.0]));
    }

    #[test]
    fn nobody_waits_for_a_thread_that_panicked() {
        let gradients = gradients();
        let [first, second] = std::thread::scope(|scope| {
            let second = scope.spawn(|| gradients.add(WHOLE, 1, |_| ()));
            let first = scope.spawn(|| {
                let _working = Working(&gradients);
                panic!("on purpose");
            });
            [first.join(), second.join()]
        });
        assert!(first.is_err() && second.is_err());
    }
}
