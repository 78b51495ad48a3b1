//! Dropout (Srivastava et al. 2014), and the sum that follows it.

use super::add_to;
use crate::train::pool::{Buffer, Pool};
use crate::train::random::Key;
use crate::train::simd::vectorized;
use crate::train::tape::{Operation, Tape, Tensor, Var};

struct Dropout {
    x: Var,
    rate: f32,
    key: Key,
}

/// `x` with a share `rate` of its elements, chosen by `key`, set to zero and the others scaled up; `x` itself where the
/// rate is 0 or nothing is recorded.
pub(in crate::train) fn dropout(tape: &mut Tape<'_>, x: Var, rate: f32, key: Key) -> Var {
    if rate == 0.0 || !tape.records() {
        return x;
    }
    let Tensor { rows, cols, .. } = *tape.value(x);
    let mut data = tape.pool.take(rows * cols);
    data.copy_from_slice(&tape.value(x).data);
    drop_out(&mut data, rate, key);
    tape.push(Tensor { rows, cols, data }, Dropout { x, rate, key })
}

fn drop_out(x: &mut [f32], rate: f32, key: Key) {
    let (least, factor) = ((f64::from(rate) * 2f64.powi(32)) as u32, 1.0 / (1.0 - rate));
    vectorized(
        #[inline(always)]
        || {
            for (x, i) in x.iter_mut().zip(0..) {
                *x *= if key.bits(i) < least { 0.0 } else { factor };
            }
        },
    );
}

impl Operation for Dropout {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, mut gradient: Buffer) {
        drop_out(&mut gradient, self.rate, self.key);
        tape.add_gradient(self.x, gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}

struct Sum {
    a: Var,
    b: Var,
}

/// `a + b`.
pub(in crate::train) fn add(tape: &mut Tape<'_>, a: Var, b: Var) -> Var {
    let Tensor { rows, cols, .. } = *tape.value(a);
    let mut data = tape.pool.take(rows * cols);
    data.copy_from_slice(&tape.value(a).data);
    add_to(&mut data, &tape.value(b).data);
    tape.push(Tensor { rows, cols, data }, Sum { a, b })
}

impl Operation for Sum {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let copy = tape.pool.copy(&gradient);
        tape.add_gradient(self.a, copy);
        tape.add_gradient(self.b, gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}
