//! The description of a chain of integer layers: one record for the ends of the chain, one for every layer.

use super::read_u32;
use crate::error::Error;
use crate::integer::{Gate, LstmParameters, Requantize, Softmax};
use crate::tensor::MAX_COLS_I8;

/// Bytes of one record.
pub const INTEGER_RECORD_LEN: usize = 128;

/// Most layers of a chain.
pub const MOST_INTEGER_LAYERS: usize = 64;

/// Most inputs and outputs of a layer.
const MOST_WIDTH: u32 = MAX_COLS_I8 as u32;
/// Most elements of a hidden state: the four gates' rows are counted in u32, and read in blocks of 16.
const MOST_HIDDEN: u32 = 16_384;

const KIND: u32 = 3;
const LSTM: u32 = 1;
const FULLY_CONNECTED: u32 = 2;
const SOFTMAX: u32 = 3;
const GATHER: u32 = 4;

/// What the bytes at one end of a chain stand for: `scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The real value of one step; finite and positive.
    pub scale: f32,
    /// The byte that stands for zero.
    pub zero_point: i8,
}

/// A layer's record; its weights are tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the operations in `integer`")]
pub enum IntegerLayer {
    /// See [`Lstm`](crate::integer::Lstm).
    Lstm { inputs: u32, hidden: u32, parameters: LstmParameters },
    /// See [`FullyConnected`](crate::integer::FullyConnected).
    FullyConnected { inputs: u32, outputs: u32, zero_point: i8, range: [i8; 2] },
    /// See [`Softmax`].
    Softmax { width: u32, softmax: Softmax },
    /// Collects `count` vectors and hands them on as one: a reshape of `[count, width]` to `[1, count · width]`.
    Gather { width: u32, count: u32 },
}

/// Reads a record's words, each checked against its range.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn number(&self, field: &'static str, at: usize, least: u32, most: u32) -> Result<u32, Error> {
        let found = read_u32(self.0, at);
        if (least..=most).contains(&found) { Ok(found) } else { Err(Error::Description { field, found }) }
    }

    fn signed(&self, field: &'static str, at: usize, least: i32, most: i32) -> Result<i32, Error> {
        let found = read_u32(self.0, at);
        let value = found as i32;
        if (least..=most).contains(&value) { Ok(value) } else { Err(Error::Description { field, found }) }
    }

    fn byte(&self, field: &'static str, at: usize) -> Result<i8, Error> {
        self.signed(field, at, i32::from(i8::MIN), i32::from(i8::MAX)).map(|value| value as i8)
    }

    fn factor(&self, field: &'static str, at: usize) -> Result<Requantize, Error> {
        let multiplier = self.signed(field, at, 0, i32::MAX)?;
        let shift = self.signed(field, at + 4, Requantize::LEAST_SHIFT, Requantize::MOST_SHIFT)?;
        Ok(Requantize::new(multiplier, shift))
    }

    fn quantization(&self, field: &'static str, at: usize) -> Result<Quantization, Error> {
        let scale = f32::from_bits(read_u32(self.0, at));
        if !(scale.is_finite() && scale > 0.0) {
            return Err(Error::Description { field, found: scale.to_bits() });
        }
        Ok(Quantization { scale, zero_point: self.byte(field, at + 4)? })
    }

    fn rest_is_zero(&self, from: usize) -> Result<(), Error> {
        match self.0[from..].iter().find(|&&byte| byte != 0) {
            Some(&byte) => Err(Error::Description { field: "reserved", found: u32::from(byte) }),
            None => Ok(()),
        }
    }
}

impl IntegerLayer {
    fn parse(record: &[u8]) -> Result<Self, Error> {
        let words = Words(record);
        let width = |field, at, most| words.number(field, at, 1, most);
        let (layer, end) = match read_u32(record, 0) {
            LSTM => (Self::parse_lstm(words)?, 112),
            FULLY_CONNECTED => {
                let range = [words.byte("least output", 16)?, words.byte("largest output", 20)?];
                if range[0] > range[1] {
                    return Err(Error::Description { field: "least output", found: read_u32(record, 16) });
                }
                let (inputs, outputs) = (width("inputs", 4, MOST_WIDTH)?, width("outputs", 8, MOST_WIDTH)?);
                (
                    Self::FullyConnected {
                        inputs,
                        outputs,
                        zero_point: words.byte("zero point", 12)?,
                        range,
                    },
                    24,
                )
            }
            SOFTMAX => {
                let width = width("inputs", 4, Softmax::MOST as u32)?;
                words.number("outputs", 8, width, width)?;
                let (multiplier, shift) = (read_u32(record, 12) as i32, read_u32(record, 16));
                let softmax = Softmax::new(multiplier, shift)
                    .ok_or(Error::Description { field: "softmax factor", found: shift })?;
                (Self::Softmax { width, softmax }, 20)
            }
            GATHER => {
                let (width, outputs) = (width("inputs", 4, MOST_WIDTH)?, width("outputs", 8, MOST_WIDTH)?);
                if !outputs.is_multiple_of(width) {
                    return Err(Error::Description { field: "outputs", found: outputs });
                }
                (Self::Gather { width, count: outputs / width }, 12)
            }
            found => return Err(Error::Description { field: "kind of layer", found }),
        };
        words.rest_is_zero(end)?;
        Ok(layer)
    }

    fn parse_lstm(words: Words<'_>) -> Result<Self, Error> {
        let factor = |field, at| words.factor(field, at);
        let gate =
            |field, at| Ok::<_, Error>(Gate { input: factor(field, at)?, hidden: factor(field, at + 8)? });
        let parameters = LstmParameters {
            gates: [
                gate("input gate", 24)?,
                gate("forget gate", 40)?,
                gate("cell gate", 56)?,
                gate("output gate", 72)?,
            ],
            forget_to_cell: factor("forget to cell", 88)?,
            input_to_cell: factor("input to cell", 96)?,
            output: factor("output factor", 104)?,
            zero_point: words.byte("zero point", 12)?,
            cell_power: words.signed("cell power", 16, -27, 0)?,
            cell_clip: words.number("cell clip", 20, 0, i16::MAX as u32)? as i16,
        };
        let inputs = words.number("inputs", 4, 1, MOST_WIDTH)?;
        Ok(Self::Lstm { inputs, hidden: words.number("outputs", 8, 1, MOST_HIDDEN)?, parameters })
    }

    /// The record as it stands in the file.
    pub fn to_bytes(&self) -> [u8; INTEGER_RECORD_LEN] {
        let signed = |value: i8| i32::from(value) as u32;
        match *self {
            Self::Lstm { inputs, hidden, parameters: p } => {
                let mut words = [0; 28];
                let head =
                    [LSTM, inputs, hidden, signed(p.zero_point), p.cell_power as u32, p.cell_clip as u32];
                words[..6].copy_from_slice(&head);
                let gates = p.gates.iter().flat_map(|gate| [gate.input, gate.hidden]);
                let factors = gates.chain([p.forget_to_cell, p.input_to_cell, p.output]);
                for (words, factor) in words[6..].chunks_exact_mut(2).zip(factors) {
                    words.copy_from_slice(&[factor.multiplier() as u32, factor.shift() as u32]);
                }
                record(&words)
            }
            Self::FullyConnected { inputs, outputs, zero_point, range } => {
                let [least, most] = range.map(signed);
                record(&[FULLY_CONNECTED, inputs, outputs, signed(zero_point), least, most])
            }
            Self::Softmax { width, softmax } => {
                record(&[SOFTMAX, width, width, softmax.multiplier() as u32, softmax.shift()])
            }
            Self::Gather { width, count } => record(&[GATHER, width, width * count]),
        }
    }

    /// Width of the vectors that come in.
    pub fn inputs(&self) -> usize {
        match *self {
            Self::Lstm { inputs, .. } | Self::FullyConnected { inputs, .. } => inputs as usize,
            Self::Softmax { width, .. } | Self::Gather { width, .. } => width as usize,
        }
    }

    /// Width of the vectors that go out.
    pub fn outputs(&self) -> usize {
        match *self {
            Self::Lstm { hidden, .. } => hidden as usize,
            Self::FullyConnected { outputs, .. } => outputs as usize,
            Self::Softmax { width, .. } => width as usize,
            Self::Gather { width, count } => width as usize * count as usize,
        }
    }

    /// The name that messages use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lstm { .. } => "lstm",
            Self::FullyConnected { .. } => "fully_connected",
            Self::Softmax { .. } => "softmax",
            Self::Gather { .. } => "gather",
        }
    }
}

fn record(words: &[u32]) -> [u8; INTEGER_RECORD_LEN] {
    let mut bytes = [0; INTEGER_RECORD_LEN];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// A proven description.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    records: &'a [u8],
}

impl<'a> Chain<'a> {
    /// Proves a description section: records in range, each layer as wide as the one before it gives.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it is another kind of model, [`Error::Section`] if its length is wrong,
    /// [`Error::Description`] naming the field that is out of range, [`Error::IntegerLayer`] where layers do not fit
    /// together.
    pub fn parse(section: &'a [u8]) -> Result<Self, Error> {
        let fail = |problem| Error::Section { section: "description", problem };
        if !Self::is_one(section) {
            let request = "the file holds no chain of integer layers";
            return Err(Error::Unsupported { request, remedy: "open it as a Model" });
        }
        if !section.len().is_multiple_of(INTEGER_RECORD_LEN) || section.len() < 2 * INTEGER_RECORD_LEN {
            return Err(fail("must have two or more records of 128 bytes"));
        }
        let (ends, layers) = section.split_at(INTEGER_RECORD_LEN);
        let words = Words(ends);
        let count = words.number("layers", 4, 1, MOST_INTEGER_LAYERS as u32)?;
        if count as usize * INTEGER_RECORD_LEN != layers.len() {
            return Err(fail("the number of records is not the one that the first record says"));
        }
        let mut width = words.number("input width", 8, 1, MOST_WIDTH)? as usize;
        words.quantization("input quantization", 12)?;
        words.quantization("output quantization", 20)?;
        words.rest_is_zero(28)?;
        for (index, record) in layers.chunks_exact(INTEGER_RECORD_LEN).enumerate() {
            let layer = IntegerLayer::parse(record)?;
            if layer.inputs() != width {
                let problem = "its inputs are not as many as the layer before it gives";
                return Err(Error::IntegerLayer { layer: index as u16, problem });
            }
            width = layer.outputs();
        }
        Ok(Self { records: section })
    }

    /// The first record, for a chain of these `layers`.
    pub fn head(
        layers: &[IntegerLayer],
        input: Quantization,
        output: Quantization,
    ) -> [u8; INTEGER_RECORD_LEN] {
        let width = layers.first().map_or(0, IntegerLayer::inputs);
        record(&[
            KIND,
            layers.len() as u32,
            width as u32,
            input.scale.to_bits(),
            i32::from(input.zero_point) as u32,
            output.scale.to_bits(),
            i32::from(output.zero_point) as u32,
        ])
    }

    /// Whether a description section is that of an integer chain.
    pub const fn is_one(section: &[u8]) -> bool {
        section.len() >= 4 && read_u32(section, 0) == KIND
    }

    /// The layers in order.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = IntegerLayer> + use<'a> {
        let records = self.records[INTEGER_RECORD_LEN..].chunks_exact(INTEGER_RECORD_LEN);
        records.map(|record| IntegerLayer::parse(record).expect("parse proved the record"))
    }

    /// Width of a frame.
    pub fn inputs(&self) -> usize {
        read_u32(self.records, 8) as usize
    }

    /// Width of an output vector.
    pub fn outputs(&self) -> usize {
        self.layers().last().map_or(0, |layer| layer.outputs())
    }

    /// What the bytes of a frame stand for.
    pub fn input(&self) -> Quantization {
        Words(self.records).quantization("input quantization", 12).expect("parse proved the record")
    }

    /// What the bytes of an output vector stand for.
    pub fn output(&self) -> Quantization {
        Words(self.records).quantization("output quantization", 20).expect("parse proved the record")
    }

    /// Frames that give one output vector.
    pub fn frames_per_output(&self) -> u64 {
        let count = |layer| if let IntegerLayer::Gather { count, .. } = layer { u64::from(count) } else { 1 };
        self.layers().map(count).fold(1, u64::saturating_mul)
    }
}
