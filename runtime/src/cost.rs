//! What a model costs on a core: the products of its matrices, and its tokens, each between two calls of a [`Meter`].
//!
//! For counters of devices and emulators, which know nothing of clocks. One source for all of them, so that their figures
//! mean the same.

use crate::arena::{Carver, part_len};
use crate::error::Error;
use crate::format::{Encoding, Role, TensorEntry};
use crate::kernels::{Kernels, WithKernels};
use crate::layout::SessionOptions;
use crate::model::Model;
use crate::parallel::Columns;
use crate::sampler::Random;
use crate::tensor::{ActivationBits, ActivationShape, ActivationsMut, LANES, Matrix, padded_rows};
use crate::tokenizer::Token;
use core::fmt;

/// What counts.
pub trait Meter {
    /// Some work begins.
    fn start(&mut self);

    /// It ends: what was done, and by which backend.
    fn end(&mut self, work: Work, backend: &'static str);
}

/// What is done between [`Meter::start`] and [`Meter::end`]. Formatted as fields that programs read, apart by tabs.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A matrix like this one × one vector: the whole call with its scales, without the rounding of the vector.
    Product(TensorEntry),
    /// So many tokens of a prompt in an empty context, with the logits of the last.
    Prompt(usize),
    /// So many tokens one by one from an empty context on, with the logits of each.
    Decode(usize),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = match self {
            Self::Product(entry) => entry,
            Self::Prompt(tokens) => return write!(f, "prompt\t{tokens}"),
            Self::Decode(tokens) => return write!(f, "decode\t{tokens}"),
        };
        f.write_str("product\t")?;
        match entry.encoding {
            Encoding::F32 => f.write_str("f32")?,
            Encoding::F16 => f.write_str("f16")?,
            Encoding::I8 => f.write_str("int8")?,
            Encoding::I4 { group: 0 } => f.write_str("int4")?,
            Encoding::I4 { group } => write!(f, "int4/{group}")?,
        }
        write!(f, "\t{}\t{}\t{}", 8 * entry.activations.digits(), entry.rows, entry.cols)
    }
}

/// The products of a model, one of each kind of matrix.
#[derive(Debug)]
pub struct Products<'a, 'm, M> {
    /// The model.
    pub model: &'a Model<'m>,
    /// Memory for vectors: that of a session is enough.
    pub arena: &'a mut [u8],
    /// What counts.
    pub meter: &'a mut M,
}

impl<M: Meter> WithKernels for Products<'_, '_, M> {
    type Output = Result<(), Error>;

    #[inline(never)]
    fn call<K: Kernels>(self, kernels: K) -> Result<(), Error> {
        let tensors = &self.model.file().tensors;
        let multiplied = |entry: &TensorEntry| is_multiplied(self.model, entry);
        for (i, entry) in tensors.entries().enumerate().filter(|(_, entry)| multiplied(entry)) {
            let is_known = tensors.entries().take(i).any(|other| multiplied(&other) && alike(&other, &entry));
            if let (false, Some(matrix)) = (is_known, tensors.matrix(entry.role, entry.layer.into())) {
                product(kernels, entry, &matrix, self.arena, self.meter)?;
            }
        }
        Ok(())
    }
}

/// Whether vectors meet a tensor: of a table one row is taken.
fn is_multiplied(model: &Model<'_>, entry: &TensorEntry) -> bool {
    match entry.role {
        Role::Embedding => model.architecture().tied(),
        Role::Positions => false,
        role => role.is_matrix(),
    }
}

/// Whether two matrices cost the same.
fn alike(a: &TensorEntry, b: &TensorEntry) -> bool {
    (a.encoding, a.activations, a.rows, a.cols) == (b.encoding, b.activations, b.rows, b.cols)
}

#[inline(never)]
fn product<K: Kernels>(
    kernels: K,
    entry: TensorEntry,
    matrix: &Matrix<'_>,
    arena: &mut [u8],
    meter: &mut impl Meter,
) -> Result<(), Error> {
    let (cols, padded) = (matrix.cols(), padded_rows(matrix.rows()));
    // A matrix of floats takes its vector as it is.
    let tokens = matrix.activations().map_or(0, ActivationBits::digits);
    let shape = ActivationShape { tokens, cols };
    let floats = if tokens == 0 { cols } else { 0 };
    let out = tokens.max(1) * padded;
    let needed = part_len(out, 4)
        + part_len(floats, 4)
        + part_len(shape.data_len(), 1)
        + part_len(shape.sums_len(), 2)
        + 2 * part_len(tokens, 4);
    let mut carver = Carver::new(arena, needed)?;
    let (out, floats): (&mut [f32], &mut [f32]) = (carver.take(out), carver.take(floats));
    let (data, sums) = (carver.take(shape.data_len()), carver.take(shape.sums_len()));
    let (totals, scales) = (carver.take(tokens), carver.take(tokens));
    let Some(mut x) = ActivationsMut::new(shape, data, sums, totals, scales) else {
        unreachable!("every part was taken as long as it must be")
    };
    let mut random = Random::new(1);
    floats.fill_with(|| 2.0 * random.next_f32() - 1.0);
    for token in 0..tokens {
        x.set(token, 0.01, |chunk| {
            core::array::from_fn(|lane| match chunk * LANES + lane < cols {
                true => (random.next_u32() as i8).max(-127),
                false => 0,
            })
        });
    }
    let (x, blocks) = (x.as_activations(), 0..padded / LANES);
    let mut out = Columns::new(out, tokens.max(1), padded);
    meter.start();
    match matrix {
        Matrix::F32(matrix) => kernels.matmul_f32(matrix, floats, cols, blocks, &mut out),
        Matrix::F16(matrix) => kernels.matmul_f16(matrix, floats, cols, blocks, &mut out),
        Matrix::I8(matrix) => kernels.matmul_i8(matrix, &x, blocks, &mut out),
        Matrix::I4(matrix) => kernels.matmul_i4(matrix, &x, blocks, &mut out),
    }
    meter.end(Work::Product(entry), K::NAME);
    Ok(())
}

/// The tokens of a prompt, then single ones from an empty context on, by the model's backend.
///
/// # Errors
/// As [`Model::session`] and [`Session::feed`](crate::Session::feed).
// Inlined, its session would stay on the stack of a small device.
#[inline(never)]
pub fn tokens(
    model: &Model<'_>,
    arena: &mut [u8],
    options: SessionOptions,
    [prompt, decoded]: [&[Token]; 2],
    meter: &mut impl Meter,
) -> Result<(), Error> {
    let backend = model.backend().name();
    let mut session = model.session(arena, options)?;
    meter.start();
    session.feed(prompt)?;
    meter.end(Work::Prompt(prompt.len()), backend);
    session.reset();
    meter.start();
    decoded.iter().try_for_each(|&token| session.feed(&[token]))?;
    meter.end(Work::Decode(decoded.len()), backend);
    Ok(())
}

/// `N` arbitrary tokens, the same ones every time.
pub const fn arbitrary<const N: usize>(vocabulary: u32) -> [Token; N] {
    let mut random = Random::new(1);
    let (mut tokens, mut i) = ([Token(0); N], 0);
    while i < N {
        tokens[i] = Token(((random.next_u32() as u64 * vocabulary as u64) >> 32) as u32);
        i += 1;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Aligned;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const TINY: &[u8] = crate::include_model!("../../tests/files/tiny.whit");
    const LSTM: &[u8] = crate::include_model!("../../models/shakespeare-lstm/model.whit");

    /// Notes what was done, and that nothing began within something else.
    #[derive(Default)]
    struct Notes {
        lines: Vec<String>,
        runs: bool,
    }

    impl Meter for Notes {
        fn start(&mut self) {
            assert!(!core::mem::replace(&mut self.runs, true));
        }

        fn end(&mut self, work: Work, _: &'static str) {
            assert!(core::mem::replace(&mut self.runs, false));
            self.lines.push(work.to_string());
        }
    }

    /// All that is measured of a model, in the arena of a session that takes `batch` tokens at a time.
    fn measured(file: &[u8], batch: usize) -> Vec<String> {
        let model = Model::parse(file).expect("a model");
        let options = SessionOptions { batch, ..model.options(4) };
        let size = model.arena_size(&options).expect("it can be made");
        let mut memory = Aligned::<[u8; 64 * 1024]>::zeroed();
        let mut notes = Notes::default();
        let arena = &mut memory[..size];
        let products = Products { model: &model, arena: &mut *arena, meter: &mut notes };
        model.backend().run(products).expect("a session's arena is enough");
        let all: [Token; 4] = arbitrary(model.architecture().vocabulary());
        tokens(&model, arena, options, [&all, &all[..3]], &mut notes).expect("the tokens fit");
        notes.lines
    }

    #[test]
    fn every_kind_of_matrix_is_measured_once_in_the_smallest_arena() {
        let expected = ["product\tint4/32\t8\t512\t128", "product\tint8\t8\t65\t128"];
        let lines = measured(LSTM, 1);
        assert_eq!(lines[..lines.len() - 2], expected);
        assert_eq!(lines[lines.len() - 2..], ["prompt\t4", "decode\t3"]);
        assert_eq!(measured(LSTM, 8), lines);
    }

    #[test]
    fn a_transformer_is_measured_too() {
        let lines = measured(TINY, 1);
        assert!(lines.len() > 4, "{lines:?}");
        let mut kinds = lines.clone();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), lines.len(), "{lines:?}");
    }

    #[test]
    fn arbitrary_tokens_are_in_the_vocabulary() {
        let tokens: [Token; 100] = arbitrary(7);
        assert!(tokens.iter().all(|token| token.0 < 7) && tokens.iter().any(|token| token.0 == 6));
    }
}
