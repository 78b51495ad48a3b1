//! The choice of a backend: made once, at the outermost call.

use super::{Kernels, Scalar};

/// Work that is compiled once for each backend.
pub trait WithKernels {
    /// What the work returns.
    type Output;

    /// Does the work with `kernels`.
    fn call<K: Kernels>(self, kernels: K) -> Self::Output;
}

/// One of the backends that this program holds; a value proves that the CPU can run it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Backend {
    /// Plain Rust.
    Scalar(Scalar),
}

impl Backend {
    /// The fastest backend that this CPU can run. Without the `std` feature: the best that the target itself
    /// guarantees.
    pub fn detect() -> Self {
        Self::Scalar(Scalar)
    }

    /// All backends that this CPU can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Scalar(Scalar)].into_iter()
    }

    /// The backend called `name`, if this CPU can run it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().find(|backend| backend.name() == name)
    }

    /// Its name, as `WHIT_BACKEND` takes it.
    pub fn name(self) -> &'static str {
        struct Name;
        impl WithKernels for Name {
            type Output = &'static str;
            fn call<K: Kernels>(self, _: K) -> &'static str {
                K::NAME
            }
        }
        self.run(Name)
    }

    /// Does `work` with this backend's kernels.
    #[inline]
    pub fn run<W: WithKernels>(self, work: W) -> W::Output {
        match self {
            Self::Scalar(kernels) => work.call(kernels),
        }
    }
}
