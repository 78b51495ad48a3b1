//! What every backend with vector registers says of itself, and what follows from it: the one list of CPU features
//! from which its detection and its attributes derive, and the calls from its token into the code compiled for them.

/// ```text
/// vector_backend! {
///     $ for_avx2, is_x86_feature_detected ["avx2" "f16c"];
///     /// Proof that the CPU has AVX2.
///     pub struct Avx2 = "avx2";
///     tiles { … }
///     kernels { … }
/// }
/// ```
///
/// defines the token, the macro `for_avx2!`, which compiles the functions inside it for the features, and the token's
/// `Kernels` and `Tiles`: `tiles` gives the constants, `kernels` the methods other than those that call the module's
/// `matmul_i8`, `matmul_i4`, `plain` and `grouped`, which `for_avx2!` must compile.
///
/// With `std` (or in a test) the running CPU is asked, otherwise the target that the program is built for.
macro_rules! vector_backend {
    (
        $d:tt $compiled:ident, $is_detected:ident [$($feature:tt)+];
        $(#[$doc:meta])* pub struct $Backend:ident = $name:literal;
        tiles { $($tiles:tt)* }
        kernels { $($kernels:tt)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Backend(());

        impl $Backend {
            /// The backend, if the CPU (without the `std` feature: the build target) has all it needs.
            pub fn new() -> Option<Self> {
                #[cfg(any(feature = "std", test))]
                let detected = $(std::arch::$is_detected!($feature))&&+;
                #[cfg(not(any(feature = "std", test)))]
                let detected = $(cfg!(target_feature = $feature))&&+;
                detected.then_some(Self(()))
            }
        }

        macro_rules! $compiled {
            ($d($d function:item)+) => { $d( $(#[target_feature(enable = $feature)])+ $d function )+ };
        }

        $compiled! {
            #[inline]
            fn entered<R>(f: impl FnOnce() -> R) -> R {
                f()
            }
        }

        impl Kernels for $Backend {
            const NAME: &'static str = $name;

            #[inline]
            fn enter<R>(self, f: impl FnOnce() -> R) -> R {
                // SAFETY: `new` saw every feature.
                unsafe { entered(f) }
            }

            fn matmul_i8(
                self,
                matrix: &MatrixI8<'_>,
                x: &Activations<'_>,
                blocks: Range<usize>,
                out: &mut Columns<'_>,
            ) {
                // SAFETY: `new` saw every feature.
                unsafe { matmul_i8(self, matrix, x, blocks, out) }
            }

            fn matmul_i4(
                self,
                matrix: &MatrixI4<'_>,
                x: &Activations<'_>,
                blocks: Range<usize>,
                out: &mut Columns<'_>,
            ) {
                // SAFETY: `new` saw every feature.
                unsafe { matmul_i4(self, matrix, x, blocks, out) }
            }

            $($kernels)*
        }

        impl Tiles for $Backend {
            $($tiles)*

            #[inline(always)]
            fn plain<W: Weights<R>, const R: usize, const T: usize>(
                self,
                weights: W,
                tile: &mut Tile<'_, '_, '_, R, T>,
            ) {
                // SAFETY: `new` saw every feature.
                unsafe { plain(self, weights, tile) }
            }

            #[inline(always)]
            fn grouped<const R: usize, const T: usize, const Q: usize>(
                self,
                weights: &[[[Step; R]; Q]],
                scales: &[[[i32; LANES]; R]],
                tile: &mut Tile<'_, '_, '_, R, T>,
            ) {
                // SAFETY: `new` saw every feature.
                unsafe { grouped(self, weights, scales, tile) }
            }
        }
    };
}

pub(super) use vector_backend;
