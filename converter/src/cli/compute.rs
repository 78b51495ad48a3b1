//! Arguments that say how to compute: none of them but the kind of cache changes a bit of a result.

use super::failure::Failure;
use crate::inspect::weight_bytes_per_token;
use clap::{Args, ValueEnum};
use std::thread::available_parallelism;
use whit::kernels::Backend;
use whit::threads::ThreadPool;
use whit::{CacheKind, Model, SessionOptions};

/// Tokens in one pass over the weights when a prompt is read: more gain little, and cost memory.
pub(super) const BATCH: usize = 128;

/// A thread that has less to read of a token costs more in waiting than it saves.
const BYTES_PER_THREAD: u64 = 1 << 20;

/// How keys and values of earlier positions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Cache {
    /// Four times the memory
    F32,
    /// One scale per position and head
    Int8,
}

impl From<Cache> for CacheKind {
    fn from(cache: Cache) -> Self {
        match cache {
            Cache::F32 => Self::F32,
            Cache::Int8 => Self::I8,
        }
    }
}

/// The backend that computes.
#[derive(Args, Clone, Debug)]
pub(super) struct BackendArg {
    /// Compute with this backend instead of the fastest; the results have the same bits
    #[arg(long, env = "WHIT_BACKEND", hide_env_values = true, value_name = "NAME")]
    backend: Option<String>,
}

impl BackendArg {
    /// The backend asked for; `None` for the fastest.
    pub(super) fn backend(&self) -> Result<Option<Backend>, Failure> {
        let Some(name) = self.backend.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
        backend_named(name).map(Some)
    }

    /// `model` with the backend asked for.
    pub(super) fn apply<'a>(&self, model: Model<'a>) -> Result<Model<'a>, Failure> {
        Ok(self.backend()?.map_or(model, |backend| model.with_backend(backend)))
    }
}

/// The backend of this name.
pub(super) fn backend_named(name: &str) -> Result<Backend, Failure> {
    Backend::named(name).ok_or_else(|| {
        let available: Vec<_> = Backend::available().map(Backend::name).collect();
        Failure::Usage(format!("backend `{name}` is not available here; there are: {}", available.join(", ")))
    })
}

/// The threads that compute.
#[derive(Args, Clone, Debug)]
pub(super) struct ThreadsArg {
    /// Threads that share the work; by default one per MiB of weights that a token reads, at most one per CPU
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl ThreadsArg {
    /// The threads asked for, or as many as `model` can use.
    pub(super) fn pool(&self, model: &Model<'_>) -> Result<ThreadPool, Failure> {
        let threads =
            self.threads.map_or_else(|| useful_threads(weight_bytes_per_token(model.file())), usize::from);
        ThreadPool::new(threads).map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))
    }
}

/// As many threads as are worth their cost when a token reads `bytes` of weights.
pub(super) fn useful_threads(bytes: u64) -> usize {
    let cpus = available_parallelism().map_or(1, usize::from).min(256);
    usize::try_from(bytes / BYTES_PER_THREAD).unwrap_or(cpus).clamp(1, cpus)
}

/// Tokens that a session on a model without a limit of positions remembers: as many as a repetition penalty looks at.
const REMEMBERED: usize = 1024;

/// The session's context.
#[derive(Args, Clone, Debug)]
pub(super) struct ContextArg {
    /// Positions that the session holds; by default as many as the model was made for. A recurrent model goes on without
    /// end, and remembers this many tokens for the repetition penalty, by default 1024
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
}

impl ContextArg {
    /// The context asked for, or the model's.
    pub(super) fn context(&self, model: &Model<'_>) -> Result<usize, Failure> {
        Ok(self.window(model)?.unwrap_or(REMEMBERED))
    }

    /// The positions of a window of text: as asked for, or the model's context; `None` for a whole text.
    pub(super) fn window(&self, model: &Model<'_>) -> Result<Option<usize>, Failure> {
        let most = model.architecture().context();
        match (self.context, most) {
            (Some(context), Some(most)) if context > most => {
                Err(Failure::Usage(format!("--context {context}: the model was made for at most {most}")))
            }
            (context, most) => Ok(context.or(most).map(|context| context as usize)),
        }
    }
}

/// Session options for `context` positions.
pub(super) fn session_options(
    model: &Model<'_>,
    context: usize,
    workers: usize,
    cache: Option<Cache>,
) -> SessionOptions {
    let own = model.options(context);
    SessionOptions {
        batch: BATCH.min(context),
        workers,
        cache: cache.map_or(own.cache, CacheKind::from),
        ..own
    }
}
