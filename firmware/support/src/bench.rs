//! What kernels and tokens cost on a board, counted.

use crate::board::Measurement;
use crate::self_test::with;
use crate::{Board, Included, MODELS, continue_text, stack};
use whit::kernels::conformance::Random;
use whit::kernels::{Backend, Kernels, Scalar, WithKernels};
use whit::parallel::Columns;
use whit::tensor::{ActivationShape, Activations, ActivationsMut, LANES, MatrixI4, MatrixI8, padded_rows};
use whit::{Error, Model, Sampling, SessionOptions};

/// (rows, columns): gates and head of the LSTM in `models`, and the projections of stories260K.
const SHAPES: [(usize, usize); 6] = [(512, 128), (65, 128), (64, 64), (172, 64), (64, 172), (512, 64)];

/// Group widths of int4 weights.
const GROUPS: [usize; 3] = [32, 128, 0];

/// Most rows of [`SHAPES`].
const ROWS: usize = 512;

/// The longest vector of [`SHAPES`].
const LONGEST: ActivationShape = ActivationShape { tokens: 1, cols: 172 };

static ROW_SCALES: [f32; ROWS] = [0.01; ROWS];

/// llama2.c's loops, which the benchmarks of hosts have too.
#[path = "../../../benches/src/plain.rs"]
#[allow(unreachable_pub, reason = "the library of the benchmarks exports it")]
mod plain;

/// Rows and columns for those: f32 weights of a larger matrix would not fit the smallest board.
const PLAIN: usize = 64;

/// Numbers whose products are neither zero nor subnormal, which soft-float functions may treat in a hurry.
static FLOATS: [f32; PLAIN * PLAIN] = {
    let (mut floats, mut i) = ([0.0; PLAIN * PLAIN], 0);
    while i < floats.len() {
        floats[i] = (i * 37 % 101) as f32 / 50.0 - 0.99;
        i += 1;
    }
    floats
};

/// Prints the cost of matrix × vector, whole calls, and of the tokens of every model, by every backend; and of the same
/// products in llama2.c's loops.
///
/// # Errors
/// If a model cannot be run in `arena`, which is to have [`self_test_arena`](crate::self_test_arena) bytes.
pub fn bench<B: Board>(board: &mut B, arena: &mut [u8], batch: usize) -> Result<(), Error> {
    // Results take the memory that tokens take later: a board may have no more.
    let out = bytemuck::pod_align_to_mut::<u8, f32>(arena).1;
    plain_loops(board, out);
    Products { board, out }.call(Scalar);
    for backend in Backend::available() {
        backend.run(Products { board, out });
    }
    for model in MODELS {
        for backend in Backend::available() {
            let each = with(model.bytes, backend, |parsed| tokens(board, parsed, model, arena, batch))?;
            let _ = writeln!(board, "\n{} {}: {each} {} a token", model.name, backend.name(), B::UNIT);
        }
    }
    let _ = writeln!(board, "stack: {} bytes, {} left", stack::used(), stack::left());
    Ok(())
}

/// What a token costs. Not inlined, as below: what it takes of the stack is to be free before and after.
#[inline(never)]
fn tokens<B: Board>(
    board: &mut B,
    parsed: Model<'_>,
    model: &Included,
    arena: &mut [u8],
    batch: usize,
) -> Result<u64, Error> {
    let options = SessionOptions { batch, ..parsed.options(model.context()) };
    // A reference: moving the session out of the result would take its size of the stack again.
    let mut session = parsed.session(arena, options);
    let session = session.as_mut().map_err(|error| *error)?;
    let greedy = Sampling { temperature: 0.0, ..parsed.sampling()? };
    let golden = &model.golden;
    let timing = continue_text(board, session, golden.prompt, &greedy, golden.tokens)?;
    // The first token is drawn from what the prompt left, so one less is computed.
    Ok(timing.tokens / (timing.drawn - 1).max(1))
}

#[inline(never)]
fn plain_loops<B: Board>(board: &mut B, out: &mut [f32]) {
    let shape = (PLAIN, PLAIN);
    let mut result = [0.0; PLAIN];
    one::<B>(board, out, "run.c", "f32", 0, shape, |_| {
        plain::matmul_f32(&mut result, &FLOATS, &FLOATS[..PLAIN]);
    });
    let groups = PLAIN / plain::GROUP;
    let w = (bytes(PLAIN * PLAIN), &ROW_SCALES[..PLAIN * groups]);
    let x = (bytes(PLAIN), &ROW_SCALES[..groups]);
    one::<B>(board, out, "runq.c", "int8", plain::GROUP, shape, |_| plain::matmul_q8(&mut result, w, x));
    core::hint::black_box(&result);
}

struct Products<'b, B> {
    board: &'b mut B,
    out: &'b mut [f32],
}

impl<B: Board> WithKernels for Products<'_, B> {
    type Output = ();

    #[inline(never)]
    fn call<K: Kernels>(self, kernels: K) {
        let mut data = [0; LONGEST.data_len()];
        let mut sums = [0; LONGEST.sums_len()];
        let (mut totals, mut scale) = ([0], [0.0]);
        for (rows, cols) in SHAPES {
            let shape = ActivationShape { tokens: 1, cols };
            let Some(mut x) = ActivationsMut::new(shape, &mut data, &mut sums, &mut totals, &mut scale)
            else {
                continue;
            };
            let mut random = Random::new(1);
            x.set(0, 0.01, |_| core::array::from_fn(|_| random.within(-127, 127) as i8));
            let x = x.as_activations();
            one::<B>(self.board, self.out, K::NAME, "int8", 0, (rows, cols), |out| {
                matmul_i8(kernels, rows, cols, &x, out)
            });
            for group in GROUPS {
                one::<B>(self.board, self.out, K::NAME, "int4", group, (rows, cols), |out| {
                    matmul_i4(kernels, rows, cols, group, &x, out);
                });
            }
        }
    }
}

/// Weights and group scales: which they are changes nothing of the cost, so they are some bytes of flash.
fn bytes<T: bytemuck::AnyBitPattern>(len: usize) -> &'static [T] {
    bytemuck::cast_slice(&MODELS[0].bytes[64..][..len])
}

fn matmul_i8<K: Kernels>(kernels: K, rows: usize, cols: usize, x: &Activations<'_>, out: &mut Columns<'_>) {
    let scale = &ROW_SCALES[..padded_rows(rows)];
    if let Some(matrix) = MatrixI8::new(rows, cols, scale, bytes(MatrixI8::data_len(rows, cols))) {
        kernels.matmul_i8(&matrix, x, 0..padded_rows(rows) / LANES, out);
    }
}

fn matmul_i4<K: Kernels>(
    kernels: K,
    rows: usize,
    cols: usize,
    group: usize,
    x: &Activations<'_>,
    out: &mut Columns<'_>,
) {
    let scale = &ROW_SCALES[..padded_rows(rows)];
    let group_scale = bytes(MatrixI4::group_scale_len(rows, cols, group));
    let data = bytes(MatrixI4::data_len(rows, cols));
    if let Some(matrix) = MatrixI4::new(rows, cols, group, scale, group_scale, data) {
        kernels.matmul_i4(&matrix, x, 0..padded_rows(rows) / LANES, out);
    }
}

#[inline(never)]
fn one<B: Board>(
    board: &mut B,
    out: &mut [f32],
    backend: &str,
    weights: &str,
    group: usize,
    (rows, cols): (usize, usize),
    product: impl FnOnce(&mut Columns<'_>),
) {
    let mut out = Columns::new(out, 1, padded_rows(rows));
    let measurement = Measurement::start(board);
    product(&mut out);
    let cost = measurement.end(board);
    let hundredths = 100 * cost / (rows * cols) as u64;
    let _ = writeln!(
        board,
        "{backend} {weights} group {group:<3} {rows:>3} x {cols:<3} {cost:>8} {}, {}.{:02} a product",
        B::UNIT,
        hundredths / 100,
        hundredths % 100,
    );
}
