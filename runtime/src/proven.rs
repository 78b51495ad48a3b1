//! A model whose file the compiler reads, and whose session it lays out: for firmware, where a model is part of the program.

use crate::error::{Error, proven};
use crate::format::{File, check_alignment};
use crate::kernels::Backend;
use crate::layout::SessionOptions;
use crate::model::{INLINE, Model, tokenizer};
use crate::session::Session;
use crate::state::StateLayout;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// A model that is part of the program, proven by the compiler, with sessions of one kind. A program without other models
/// holds nothing that could read a file, and none of the texts that say what is wrong with one.
///
/// # Example
/// ```ignore
/// static MODEL: Proven = Proven::new(whit::include_model!("poems.whit"), 64, 8);
/// static ARENA: ConstStaticCell<Aligned<[u8; MODEL.arena_size()]>> = ConstStaticCell::new(Aligned::zeroed());
/// let mut session = MODEL.session(ARENA.take())?;
/// ```
#[derive(Debug)]
pub struct Proven {
    file: File<'static>,
    tokenizer: Option<Tokenizer<'static>>,
    layout: StateLayout,
}

impl Proven {
    /// The model in `bytes`, proven as by [`Model::parse`], for sessions of `context` positions that take `batch` tokens at a
    /// time. For a `static` or a constant.
    ///
    /// # Panics
    /// If `bytes` is not a model, or one that needs a part of the runtime which is left out, or if `context` or `batch` is not
    /// possible; in a constant that is a compile error.
    pub const fn new(bytes: &'static [u8], context: usize, batch: usize) -> Self {
        match Self::prove(bytes, context, batch) {
            Ok(model) => model,
            Err(Error::LeftOut { part } | Error::Tokenizer(TokenizerError::LeftOut { part })) => {
                panic!("{}", part)
            }
            Err(Error::Option { .. }) => {
                panic!("the context must be 1 to the model's own, the batch 1 to 4096")
            }
            Err(_) => panic!("not a .whit file, or a damaged one: `whit inspect` says what is wrong"),
        }
    }

    const fn prove(bytes: &'static [u8], context: usize, batch: usize) -> Result<Self, Error> {
        let file = proven!(File::prove(bytes));
        let tokenizer = proven!(tokenizer(&file));
        let options = SessionOptions { batch, ..SessionOptions::new(&file.architecture, context) };
        let layout = proven!(StateLayout::new(&file.architecture, &options));
        Ok(Self { file, tokenizer, layout })
    }

    /// Bytes of arena that its sessions need: exact.
    pub const fn arena_size(&self) -> usize {
        self.layout.total()
    }

    /// The model, with the CPU's fastest backend.
    ///
    /// # Errors
    /// [`Error::Misaligned`] if its bytes do not start at a multiple of 64, as those of [`crate::include_model!`] do.
    pub fn model(&self) -> Result<Model<'static>, Error> {
        check_alignment(self.file.bytes())?;
        Ok(Model::new(self.file, self.tokenizer, Backend::detect()))
    }

    /// A session in `arena`.
    ///
    /// # Errors
    /// As [`Proven::model`]; [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what the arena must be.
    // As with `Model::parse`, what this takes of the stack is not to stay.
    #[inline(never)]
    pub fn session<'s>(&self, arena: &'s mut [u8]) -> Result<Session<'static, 's>, Error> {
        Session::new(self.model()?, &INLINE, arena, &self.layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Aligned;
    use std::boxed::Box;

    const BYTES: &[u8] = crate::include_model!("../../tests/files/tiny.whit");
    static TINY: Proven = Proven::new(BYTES, 16, 3);

    /// A copy that starts `excess` bytes behind a multiple of 64, of which byte `damaged` is another.
    fn copy(excess: usize, damaged: Option<usize>) -> &'static [u8] {
        let room: &mut [u8] = &mut Box::leak(Box::new(Aligned([0; BYTES.len() + 64]))).0;
        let copy = &mut room[excess..][..BYTES.len()];
        copy.copy_from_slice(BYTES);
        damaged.into_iter().for_each(|at| copy[at] ^= 1);
        copy
    }

    #[test]
    fn the_compiler_proves_what_a_program_would() {
        let parsed = Model::parse(BYTES).expect("our own file");
        let proven = TINY.model().expect("aligned");
        assert_eq!(std::format!("{proven:?}"), std::format!("{parsed:?}"));
        let options = SessionOptions { batch: 3, ..parsed.options(16) };
        assert_eq!(Ok(TINY.arena_size()), parsed.arena_size(&options));
        let mut arena = Box::new(Aligned([0; TINY.arena_size()]));
        assert_eq!(*TINY.session(&mut arena).expect("it was sized for this").options(), options);
    }

    #[test]
    fn its_sessions_give_the_same_bits() {
        let model = Model::parse(BYTES).expect("our own file");
        let mut arenas = Box::new([Aligned([0; TINY.arena_size()]); 2]);
        let [one, other] = &mut *arenas;
        let mut proven = TINY.session(&mut *one).expect("it was sized for this");
        let options = SessionOptions { batch: 3, ..model.options(16) };
        let mut parsed = model.session(&mut *other, options).expect("the same");
        for session in [&mut proven, &mut parsed] {
            session.feed_text("the end").expect("a short text");
        }
        assert_eq!(proven.logits(), parsed.logits());
    }

    #[test]
    fn what_is_known_when_the_program_runs_is_still_checked() {
        let error = Proven::new(copy(4, None), 16, 3).model().expect_err("not aligned");
        assert_eq!(error, Error::Misaligned { part: "the file's bytes", excess: 4 });
        let (needed, found) = (TINY.arena_size(), TINY.arena_size() - 64);
        let mut arena = Box::new(Aligned([0; TINY.arena_size()]));
        let error = TINY.session(&mut arena[..found]).expect_err("a part is missing");
        assert_eq!(error, Error::ArenaTooSmall { needed, found });
    }

    #[test]
    #[should_panic(expected = "a damaged one")]
    fn damage_in_the_tables_is_no_program() {
        Proven::new(copy(0, Some(200)), 16, 3);
    }

    #[test]
    #[should_panic(expected = "the context must be")]
    fn no_more_positions_than_the_model_has_are_a_program() {
        Proven::new(BYTES, usize::MAX, 3);
    }
}
