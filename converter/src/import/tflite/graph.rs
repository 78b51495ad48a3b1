//! The graph in a `.tflite` file: tensors and operators of its only subgraph, checked against each other.
//!
//! Field numbers are those of TensorFlow Lite's `schema.fbs`, version 3.

use super::flatbuffer::{Damage, Numbers, Table};

/// Most tensors and operators: what a recurrent model needs, many times over.
const MOST: usize = 1 << 14;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;
/// Most inputs and outputs of an operator.
const MOST_OPERANDS: usize = 64;

/// The kinds of number that a tensor may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numeric {
    /// binary32.
    F32,
    /// i32.
    I32,
    /// i16.
    I16,
    /// i8.
    I8,
    /// Another, by its number in the schema.
    Other(u8),
}

impl Numeric {
    fn of(code: u8) -> Self {
        match code {
            0 => Self::F32,
            2 => Self::I32,
            7 => Self::I16,
            9 => Self::I8,
            other => Self::Other(other),
        }
    }

    /// Its name in messages.
    pub fn name(self) -> String {
        match self {
            Self::F32 => "float32".into(),
            Self::I32 => "int32".into(),
            Self::I16 => "int16".into(),
            Self::I8 => "int8".into(),
            Self::Other(code) => format!("type {code} of the schema"),
        }
    }
}

/// What the integers of a tensor stand for: `scale · (q − zero point)`, one pair for all or one for each index of one
/// dimension.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    scales: Numbers<'a, 4>,
    zero_points: Numbers<'a, 8>,
    /// The dimension along which they differ.
    pub dimension: u32,
}

impl<'a> Affine<'a> {
    /// The scales; none for a tensor that is not quantized.
    pub fn scales(&self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        self.scales.f32()
    }

    /// The zero points, as many.
    pub fn zero_points(&self) -> impl ExactSizeIterator<Item = i64> + use<'a> {
        self.zero_points.i64()
    }
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: String,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
    /// What its numbers are.
    pub numeric: Numeric,
    /// Its bytes, row-major, little-endian; empty where it is computed.
    pub data: &'a [u8],
    /// What its integers stand for.
    pub affine: Affine<'a>,
}

impl Tensor<'_> {
    /// How many numbers it has.
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// Its numbers, if they are stored f32.
    pub fn f32s(&self) -> Option<Vec<f32>> {
        let whole = self.numeric == Numeric::F32 && self.data.len() == self.elements().checked_mul(4)?;
        whole.then(|| self.data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// Its numbers, if they are stored i32.
    pub fn i32s(&self) -> Option<Vec<i32>> {
        let whole = self.numeric == Numeric::I32 && self.data.len() == self.elements().checked_mul(4)?;
        whole.then(|| self.data.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect())
    }

    /// Its numbers, if they are stored i8.
    pub fn i8s(&self) -> Option<Vec<i8>> {
        let whole = self.numeric == Numeric::I8 && self.data.len() == self.elements();
        whole.then(|| self.data.iter().map(|&byte| byte as i8).collect())
    }
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// i8 (or others) to f32.
    Dequantize,
    /// `activation(x Wᵀ + b)`.
    FullyConnected {
        /// The fused activation's number in the schema.
        activation: u8,
    },
    /// The same numbers in another shape.
    Reshape,
    /// e^(β x) / Σ e^(β x) over the last dimension.
    Softmax {
        /// β.
        beta: f32,
    },
    /// A layer of long short-term memory over a sequence.
    Lstm {
        /// The activation's number in the schema.
        activation: u8,
        /// Largest magnitude of the cell; 0 for none.
        cell_clip: f32,
        /// Whether the first dimension is time, not the batch.
        time_major: bool,
    },
    /// f32 (or others) to i8.
    Quantize,
    /// Another, by its number in the schema.
    Other(u32),
}

impl Operation {
    fn of(code: u32, options: Option<Table<'_>>) -> Result<Self, Damage> {
        let u8 = |number| options.map_or(Ok(0), |options| options.u8(number));
        let f32 = |number| options.map_or(Ok(0.0), |options| options.f32(number));
        Ok(match code {
            6 => Self::Dequantize,
            9 => Self::FullyConnected { activation: u8(0)? },
            22 => Self::Reshape,
            25 => Self::Softmax { beta: f32(0)? },
            44 => Self::Lstm { activation: u8(0)?, cell_clip: f32(1)?, time_major: u8(3)? != 0 },
            114 => Self::Quantize,
            other => Self::Other(other),
        })
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Dequantize => "DEQUANTIZE".into(),
            Self::FullyConnected { .. } => "FULLY_CONNECTED".into(),
            Self::Reshape => "RESHAPE".into(),
            Self::Softmax { .. } => "SOFTMAX".into(),
            Self::Lstm { .. } => "UNIDIRECTIONAL_SEQUENCE_LSTM".into(),
            Self::Quantize => "QUANTIZE".into(),
            Self::Other(code) => format!("builtin operator {code}"),
        }
    }
}

/// An operator; its operands are indices of tensors that exist.
#[derive(Clone, Debug)]
pub struct Operator {
    /// What it does.
    pub operation: Operation,
    /// Its inputs; `None` for an optional one that is not given.
    pub inputs: Vec<Option<usize>>,
    /// Its outputs.
    pub outputs: Vec<usize>,
}

/// The only subgraph of a file.
#[derive(Clone, Debug)]
pub struct Graph<'a> {
    /// Its tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// Its operators, each after those whose results it takes.
    pub operators: Vec<Operator>,
    /// The tensors that come from outside.
    pub inputs: Vec<usize>,
    /// The tensors that go out.
    pub outputs: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// A text that says what is damaged, and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err("no signature `TFL3` at byte 4: not a TensorFlow Lite file of version 3".into());
        }
        let model = Table::root(bytes).map_err(text)?;
        let mut subgraphs = model.tables(2).map_err(text)?;
        let (count, first) = (subgraphs.len(), subgraphs.next());
        let subgraph = match (count, first) {
            (1, Some(subgraph)) => subgraph.map_err(text)?,
            _ => return Err(format!("{count} subgraphs, where one is expected")),
        };
        let buffers = limited(model.tables(4).map_err(text)?, "buffers")?;
        let codes = limited(model.tables(1).map_err(text)?, "operator codes")?;
        let tensors = limited(subgraph.tables(0).map_err(text)?, "tensors")?;
        let tensors: Vec<Tensor<'a>> =
            tensors.iter().map(|table| tensor(table, &buffers)).collect::<Result<_, _>>()?;
        let operators = limited(subgraph.tables(3).map_err(text)?, "operators")?;
        let operators = operators.iter().map(|table| operator(table, &codes, tensors.len()));
        Ok(Self {
            operators: operators.collect::<Result<_, _>>()?,
            inputs: indices(subgraph.i32s(1).map_err(text)?, tensors.len())?,
            outputs: indices(subgraph.i32s(2).map_err(text)?, tensors.len())?,
            tensors,
        })
    }
}

fn text(damage: Damage) -> String {
    damage.to_string()
}

fn limited<'a>(
    tables: impl ExactSizeIterator<Item = Result<Table<'a>, Damage>>,
    what: &str,
) -> Result<Vec<Table<'a>>, String> {
    if tables.len() > MOST {
        return Err(format!("{} {what}, more than {MOST}", tables.len()));
    }
    tables.collect::<Result<_, _>>().map_err(text)
}

fn tensor<'a>(table: &Table<'a>, buffers: &[Table<'a>]) -> Result<Tensor<'a>, String> {
    let name = table.name(3).map_err(text)?;
    let shape = table.i32s(0).map_err(text)?;
    if shape.len() > MOST_DIMENSIONS {
        return Err(format!("tensor `{name}` with {} dimensions", shape.len()));
    }
    let sizes = shape
        .i32()
        .map(|size| usize::try_from(size).map_err(|_| format!("tensor `{name}` with a size of {size}")));
    let shape = sizes.collect::<Result<_, _>>()?;
    let buffer = table.u32(2).map_err(text)?;
    let buffer = buffers
        .get(buffer as usize)
        .ok_or_else(|| format!("tensor `{name}` in buffer {buffer}, which is none"))?;
    let numeric = Numeric::of(table.u8(1).map_err(text)?);
    let affine = table.table(4).map_err(text)?.map_or(Ok(NONE), |table| affine(&table, &name))?;
    Ok(Tensor { shape, numeric, data: buffer.bytes(0).map_err(text)?, affine, name })
}

/// The affine map of a tensor that is not quantized.
const NONE: Affine<'_> = Affine { scales: Numbers::EMPTY, zero_points: Numbers::EMPTY, dimension: 0 };

fn affine<'a>(table: &Table<'a>, name: &str) -> Result<Affine<'a>, String> {
    let (scales, zero_points) = (table.i32s(2).map_err(text)?, table.i64s(3).map_err(text)?);
    if scales.len() != zero_points.len() {
        let (scales, zero_points) = (scales.len(), zero_points.len());
        return Err(format!("tensor `{name}` with {scales} scales and {zero_points} zero points"));
    }
    Ok(Affine { scales, zero_points, dimension: table.u32(6).map_err(text)? })
}

fn operator(table: &Table<'_>, codes: &[Table<'_>], tensors: usize) -> Result<Operator, String> {
    let index = table.u32(0).map_err(text)?;
    let code = codes.get(index as usize).ok_or_else(|| format!("operator code {index}, which is none"))?;
    // Codes up to 126 stand in the old field; readers take the larger of the two.
    let code = code.u32(3).map_err(text)?.max(u32::from(code.u8(0).map_err(text)?));
    let inputs = table.i32s(1).map_err(text)?;
    if inputs.len() > MOST_OPERANDS {
        return Err(format!("an operator with {} inputs", inputs.len()));
    }
    let inputs =
        inputs.i32().map(|index| if index == -1 { Ok(None) } else { checked(index, tensors).map(Some) });
    Ok(Operator {
        operation: Operation::of(code, table.table(4).map_err(text)?).map_err(text)?,
        inputs: inputs.collect::<Result<_, _>>()?,
        outputs: indices(table.i32s(2).map_err(text)?, tensors)?,
    })
}

fn indices(numbers: Numbers<'_, 4>, tensors: usize) -> Result<Vec<usize>, String> {
    if numbers.len() > MOST_OPERANDS {
        return Err(format!("{} inputs or outputs", numbers.len()));
    }
    numbers.i32().map(|index| checked(index, tensors)).collect()
}

fn checked(index: i32, tensors: usize) -> Result<usize, String> {
    let found = usize::try_from(index).ok().filter(|&index| index < tensors);
    found.ok_or_else(|| format!("tensor {index} of {tensors}"))
}
