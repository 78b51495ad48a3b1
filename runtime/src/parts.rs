//! What a program can be built without: the parts of the runtime that its features bring.
//!
//! A part is left out by a constant and not by `cfg` on items, so that every build compiles and checks all of it, and the
//! linker takes what can be reached. What needs a part that is left out is refused where it is read, with the feature's name.

use crate::error::Error;

/// A part of the runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Whether the program has it.
    pub(crate) is_there: bool,
    /// What is said where it is not: what it is, and the feature that brings it.
    pub(crate) name: &'static str,
}

pub(crate) const TRANSFORMER: Part = Part {
    is_there: cfg!(feature = "transformer"),
    name: "built without transformers (whit's feature `transformer`)",
};

pub(crate) const ALL_TRANSFORMERS: Part = Part {
    is_there: cfg!(feature = "all-transformers"),
    name: "built without transformers that are no Llamas, or take 16-bit activations (whit's feature `all-transformers`)",
};

pub(crate) const RECURRENT: Part = Part {
    is_there: cfg!(feature = "recurrent"),
    name: "built without recurrent models (whit's feature `recurrent`)",
};

pub(crate) const ALL_RECURRENT: Part = Part {
    is_there: cfg!(feature = "all-recurrent"),
    name: "built without recurrent models other than an LSTM that continues texts (whit's feature `all-recurrent`)",
};

pub(crate) const FLOATS: Part = Part {
    is_there: cfg!(feature = "floats"),
    name: "built without weights, keys and values that are floats (whit's feature `floats`)",
};

pub(crate) const WORDS: Part = Part {
    is_there: cfg!(feature = "words"),
    name: "built without tokenizers that cut texts into words (whit's feature `words`)",
};

pub(crate) const PARALLEL: Part = Part {
    is_there: cfg!(feature = "parallel"),
    name: "built without several workers (whit's feature `parallel`)",
};

impl Part {
    /// # Errors
    /// [`Error::LeftOut`] if the program was built without it.
    pub(crate) const fn needed(self) -> Result<(), Error> {
        if self.is_there { Ok(()) } else { Err(Error::LeftOut { part: self.name }) }
    }
}
