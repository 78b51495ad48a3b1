//! One list of CPU features for each backend, from which its detection and its attributes derive.

/// `cpu_features!($ compiled "a" "b")` defines `detected() -> bool` (all the features are there) and the macro
/// `compiled!`, which compiles the functions inside it for them.
///
/// With `std` (or in a test) the running CPU is asked, otherwise the target that the program is built for.
macro_rules! cpu_features {
    ($d:tt $compiled:ident $($name:tt)+) => {
        #[cfg(any(feature = "std", test))]
        fn detected() -> bool {
            $(std::arch::is_x86_feature_detected!($name))&&+
        }

        #[cfg(not(any(feature = "std", test)))]
        fn detected() -> bool {
            $(cfg!(target_feature = $name))&&+
        }

        macro_rules! $compiled {
            ($d($d function:item)+) => { $d( $(#[target_feature(enable = $name)])+ $d function )+ };
        }
    };
}

pub(super) use cpu_features;
