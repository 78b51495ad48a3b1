//! A parsed model: what a session needs of a file, and the choice of a backend.

use crate::error::Error;
use crate::format::{Architecture, File};
use crate::kernels::Backend;
use crate::layout::SessionOptions;
use crate::parallel::{Inline, Workers};
use crate::sampler::{Sampling, stop::Stops};
use crate::session::Session;
use crate::state::StateLayout;
use crate::tokenizer::Tokenizer;

pub(crate) static INLINE: Inline = Inline;

/// A model over the bytes of a `.whit` file. Small and `Copy`: the weights stay where they are.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    file: File<'a>,
    tokenizer: Option<Tokenizer<'a>>,
    backend: Backend,
}

impl<'a> Model<'a> {
    /// Proves the structure of a file, in time proportional to its tables, and picks the CPU's fastest backend.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    ///
    /// # Example
    /// ```no_run
    /// # let bytes: &[u8] = &[];
    /// let model = whit::Model::parse(bytes)?;
    /// println!("{} layers", model.architecture().layers());
    /// # Ok::<(), whit::Error>(())
    /// ```
    // Inlined, its kilobytes of stack would stay with the caller for as long as the model is used.
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let file = File::parse(bytes)?;
        Ok(Self::new(file, tokenizer(&file)?, Backend::detect()))
    }

    pub(crate) fn new(file: File<'a>, tokenizer: Option<Tokenizer<'a>>, backend: Backend) -> Self {
        Self { file, tokenizer, backend }
    }

    /// The same model computed by another backend. The results have the same bits.
    pub fn with_backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// The backend that computes.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The file's parts.
    pub fn file(&self) -> &File<'a> {
        &self.file
    }

    /// The tokenizer, if the file has one.
    pub fn tokenizer(&self) -> Option<&Tokenizer<'a>> {
        self.tokenizer.as_ref()
    }

    /// How the file asks to be sampled where the user does not say.
    ///
    /// # Errors
    /// [`Error::Sampling`] if the file asks for what is out of range.
    pub fn sampling(&self) -> Result<Sampling, Error> {
        Ok(Sampling::from_bytes(self.file.sampling.record())?)
    }

    /// The tokens and strings that end a text: those of the file, and the tokenizer's end-of-text token.
    ///
    /// # Errors
    /// [`Error::Stop`] if there are too many, or a string is too long.
    pub fn stops(&self) -> Result<Stops, Error> {
        let mut stops = Stops::new();
        let end = self.tokenizer.and_then(|tokenizer| tokenizer.eos());
        for token in self.file.sampling.stop_tokens().chain(end) {
            if !stops.is_stop_token(token.0) {
                stops.add_token(token.0)?;
            }
        }
        for string in self.file.sampling.stop_strings() {
            stops.add_string(string)?;
        }
        Ok(stops)
    }

    /// What the model computes.
    pub fn architecture(&self) -> &Architecture {
        &self.file.architecture
    }

    /// Options for a session of `context` positions; see [`SessionOptions::new`].
    pub fn options(&self, context: usize) -> SessionOptions {
        SessionOptions::new(self.architecture(), context)
    }

    /// Bytes of arena that a session with `options` needs: exact.
    ///
    /// # Errors
    /// [`Error::Option`] if an option is out of range.
    pub fn arena_size(&self, options: &SessionOptions) -> Result<usize, Error> {
        StateLayout::new(self.architecture(), options).map(|layout| layout.total())
    }

    /// Bytes of that arena that hold keys and values, or the state of a recurrent model.
    ///
    /// # Errors
    /// As [`Model::arena_size`].
    pub fn cache_size(&self, options: &SessionOptions) -> Result<usize, Error> {
        StateLayout::new(self.architecture(), options).map(|layout| layout.state_bytes())
    }

    /// A session in `arena`, computed by the caller alone.
    ///
    /// # Errors
    /// [`Error::Option`] if an option is out of range; [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what
    /// the arena must be.
    pub fn session<'s>(
        &self,
        arena: &'s mut [u8],
        options: SessionOptions,
    ) -> Result<Session<'a, 's>, Error> {
        self.session_on(&INLINE, arena, options)
    }

    /// A session in `arena`, computed by `workers`. Their number never changes a bit.
    ///
    /// # Errors
    /// As [`Model::session`].
    pub fn session_on<'s>(
        &self,
        workers: &'s dyn Workers,
        arena: &'s mut [u8],
        options: SessionOptions,
    ) -> Result<Session<'a, 's>, Error> {
        let layout = StateLayout::new(self.architecture(), &options)?;
        Session::new(*self, workers, arena, &layout)
    }
}

/// The tokenizer of a file, if it has one.
pub(crate) const fn tokenizer<'a>(file: &File<'a>) -> Result<Option<Tokenizer<'a>>, Error> {
    if file.tokenizer.is_empty() {
        return Ok(None);
    }
    match Tokenizer::parse(file.tokenizer) {
        Ok(tokenizer) => Ok(Some(tokenizer)),
        Err(error) => Err(Error::Tokenizer(error)),
    }
}
