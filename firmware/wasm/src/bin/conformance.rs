//! Every model's golden transcript and text, and the runtime's conformance suite, with every backend.
#![no_std]
#![no_main]

use static_cell::ConstStaticCell;
use whit::Aligned;
use whit::kernels::conformance::ROOM;
use whit_firmware::{conformance, self_test, self_test_arena};
use whit_wasm::{BATCH, Host};

/// Memory that the models use first, then the suite.
const LEN: usize = if ROOM > self_test_arena(BATCH) { ROOM } else { self_test_arena(BATCH) };

static MEMORY: ConstStaticCell<Aligned<[u8; LEN]>> = ConstStaticCell::new(Aligned::zeroed());

/// Where the host begins.
#[allow(unsafe_code, reason = "the one name that the host knows")]
#[unsafe(no_mangle)]
extern "C" fn _start() {
    let mut host = Host::default();
    let memory = MEMORY.take();
    let held = self_test(&mut host, memory, BATCH);
    let conforms = bytemuck::try_cast_slice_mut(memory).is_ok_and(|room| conformance(&mut host, room));
    host.exit(held && conforms);
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    Host::panicked(info)
}
