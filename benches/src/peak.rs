//! What the multipliers of one core do on registers alone: the ceiling of every kernel, however well it is fed.

use crate::clock::Clock;
use whit::kernels::Backend;
use whit::kernels::peak::RegisterProducts;

/// Instructions and GOP/s of the byte products on registers alone, of every backend that has such instructions.
pub fn integer_peaks(clock: &mut Clock) -> Vec<(&'static str, f64)> {
    let products = Backend::available().filter_map(RegisterProducts::of);
    let peak = |products: RegisterProducts| {
        let seconds = clock.best(|| products.run());
        (products.instructions, 2.0 * products.products as f64 / seconds / 1e9)
    };
    products.map(peak).collect()
}
