//! What a session keeps and changes, by kind of model.

use crate::error::Error;
use crate::format::{Architecture, Description, Tensors};
use crate::kernels::Kernels;
use crate::layout::{Layout, SessionOptions};
use crate::parallel::Workers;
use crate::parts::{RECURRENT, TRANSFORMER};
use crate::recurrent::{self, Input};
use crate::transformer;

/// How much memory a session needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StateLayout {
    Transformer(Description, Layout),
    Recurrent(recurrent::Layout),
}

impl StateLayout {
    pub(crate) const fn new(architecture: &Architecture, options: &SessionOptions) -> Result<Self, Error> {
        match architecture {
            Architecture::Transformer(description) => match Layout::new(description, options) {
                Ok(layout) => Ok(Self::Transformer(*description, layout)),
                Err(error) => Err(error),
            },
            Architecture::Recurrent(recurrent) => match recurrent::Layout::new(recurrent, options) {
                Ok(layout) => Ok(Self::Recurrent(layout)),
                Err(error) => Err(error),
            },
        }
    }

    /// What it was made for.
    pub(crate) const fn options(&self) -> &SessionOptions {
        match self {
            Self::Transformer(_, layout) => &layout.options,
            Self::Recurrent(layout) => &layout.options,
        }
    }

    /// Bytes of the whole arena.
    pub(crate) const fn total(&self) -> usize {
        match self {
            Self::Transformer(_, layout) => layout.total,
            Self::Recurrent(layout) => layout.total,
        }
    }

    /// Bytes of what is kept between tokens.
    pub(crate) const fn state_bytes(&self) -> usize {
        match self {
            Self::Transformer(_, layout) => layout.cache_bytes(),
            Self::Recurrent(layout) => layout.state_bytes(),
        }
    }
}

/// The buffers of a session, and how they are laid out.
#[derive(Debug)]
#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::large_enum_variant, reason = "nothing is allocated, and a session has one of them")
)]
pub(crate) enum State<'s> {
    Transformer(Description, Layout, transformer::Buffers<'s>),
    Recurrent(recurrent::Layout, recurrent::Buffers<'s>),
}

/// What a pass over a chunk computes with.
pub(crate) struct Chunk<'c, 'm, K> {
    pub(crate) kernels: K,
    pub(crate) workers: &'c dyn Workers,
    pub(crate) tensors: &'c Tensors<'m>,
    /// Position of the chunk's first token.
    pub(crate) position: usize,
    /// Tokens in the chunk, at most the layout's batch.
    pub(crate) tokens: usize,
}

impl<'s> State<'s> {
    /// The history and the state of a session in `arena`.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`] or [`Error::Misaligned`] saying what the arena must be.
    pub(crate) fn new(layout: &StateLayout, arena: &'s mut [u8]) -> Result<(&'s mut [u32], Self), Error> {
        Ok(match layout {
            StateLayout::Transformer(description, layout) => {
                let (history, buffers) = transformer::Buffers::new(description, layout, layout.carve(arena)?);
                (history, Self::Transformer(*description, *layout, buffers))
            }
            StateLayout::Recurrent(layout) => {
                let (history, buffers) = recurrent::Buffers::new(layout, arena)?;
                (history, Self::Recurrent(*layout, buffers))
            }
        })
    }

    /// Forgets everything that a pass would not overwrite.
    pub(crate) fn reset(&mut self) {
        if let Self::Recurrent(_, buffers) = self {
            buffers.state.fill(0.0);
        }
    }

    /// Results of the last pass over the head, `[count][stride]`.
    pub(crate) fn outputs(&self) -> &[f32] {
        match self {
            Self::Transformer(_, _, buffers) => buffers.logits,
            Self::Recurrent(_, buffers) => buffers.outputs,
        }
    }

    /// The same, to be changed.
    pub(crate) fn outputs_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Transformer(_, _, buffers) => buffers.logits,
            Self::Recurrent(_, buffers) => buffers.outputs,
        }
    }

    /// Elements from one token's results to the next one's.
    pub(crate) fn outputs_stride(&self) -> usize {
        match self {
            Self::Transformer(_, layout, _) => layout.logits_stride,
            Self::Recurrent(layout, _) => layout.outputs_stride,
        }
    }

    /// Memory that holds nothing between two passes.
    pub(crate) fn workspace(&mut self) -> &mut [f32] {
        match self {
            Self::Transformer(_, _, buffers) => buffers.workspace(),
            Self::Recurrent(_, buffers) => buffers.workspace(),
        }
    }

    /// Runs a chunk through all layers.
    pub(crate) fn layers<K: Kernels>(&mut self, chunk: &Chunk<'_, '_, K>, input: Input<'_>) {
        match (self, input) {
            (Self::Transformer(description, layout, buffers), Input::Tokens(tokens)) => {
                chunk.transformer(description, layout).blocks(tokens, buffers);
            }
            (Self::Recurrent(layout, buffers), input) => chunk.recurrent(layout).layers(input, buffers),
            (Self::Transformer(..), Input::Frames(_)) => {
                unreachable!("a session on a transformer refuses frames")
            }
        }
    }

    /// Results for `count` tokens of the chunk from `first` on, to the front of [`State::outputs`].
    pub(crate) fn head<K: Kernels>(&mut self, chunk: &Chunk<'_, '_, K>, first: usize, count: usize) {
        match self {
            Self::Transformer(description, layout, buffers) => {
                chunk.transformer(description, layout).head(first, count, buffers);
            }
            Self::Recurrent(layout, buffers) => chunk.recurrent(layout).head(first, count, buffers),
        }
    }

    /// Hands what `positions` positions have left behind to `write`.
    pub(crate) fn save(&self, positions: usize, mut write: impl FnMut(&[u8])) {
        match self {
            Self::Transformer(_, layout, buffers) => buffers.cache.save(layout.heads, positions, write),
            Self::Recurrent(_, buffers) => write(bytemuck::cast_slice(buffers.state)),
        }
    }

    /// Fills the same memory as [`State::save`] reads, by `read`.
    pub(crate) fn load(&mut self, positions: usize, mut read: impl FnMut(&mut [u8])) {
        match self {
            Self::Transformer(_, layout, buffers) => buffers.cache.load(layout.heads, positions, read),
            Self::Recurrent(_, buffers) => read(bytemuck::cast_slice_mut(buffers.state)),
        }
    }
}

impl<'m, K: Kernels> Chunk<'_, 'm, K> {
    /// A pass of a transformer. What follows is in the program only with the feature `transformer`.
    #[inline(always)]
    fn transformer<'p>(
        &'p self,
        description: &'p Description,
        layout: &'p Layout,
    ) -> transformer::Pass<'p, 'm, K> {
        if !TRANSFORMER.is_there {
            unreachable!("no such session is made without it");
        }
        let Self { kernels, workers, tensors, position, tokens } = *self;
        transformer::Pass { kernels, workers, description, tensors, layout, position, tokens }
    }

    /// A pass of a recurrent model, to which all positions are alike.
    ///
    /// What follows is in the program only with the feature `recurrent`.
    #[inline(always)]
    pub(crate) fn recurrent<'p>(&'p self, layout: &'p recurrent::Layout) -> recurrent::Pass<'p, 'm, K> {
        if !RECURRENT.is_there {
            unreachable!("no such session is made without it");
        }
        let Self { kernels, workers, tensors, tokens, .. } = *self;
        recurrent::Pass { kernels, workers, recurrent: layout.recurrent(), tensors, layout, tokens }
    }
}
