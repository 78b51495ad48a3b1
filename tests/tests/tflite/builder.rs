//! Writes small `.tflite` files: FlatBuffers front to back, each table before what it points to.

/// What a field holds.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// A number, little-endian.
    Scalar(Vec<u8>),
    /// Numbers of so many bytes each.
    Vector(usize, Vec<u8>),
    Table(Table),
    Tables(Vec<Table>),
}

/// Fields by number.
pub(crate) type Table = Vec<(usize, Field)>;

pub(crate) fn i32s(numbers: &[i32]) -> Field {
    Field::Vector(4, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

fn aligned(out: &mut Vec<u8>, multiple: usize) {
    out.resize(out.len().next_multiple_of(multiple), 0);
}

/// Writes the offset from `at` to the end of `out` there.
fn point(out: &mut [u8], at: usize) {
    let offset = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&offset.to_le_bytes());
}

fn write_table(out: &mut Vec<u8>, table: &Table) {
    let numbers = table.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    let list_len = 4 + 2 * numbers;
    aligned(out, 8);
    // The list of fields ends where the table starts.
    let at = (out.len() + list_len).next_multiple_of(8);
    let list = at - list_len;
    out.resize(at, 0);
    out[list..list + 2].copy_from_slice(&(list_len as u16).to_le_bytes());
    out.extend((list_len as i32).to_le_bytes());
    let mut pointers = Vec::new();
    for (number, field) in table {
        aligned(out, 4);
        let slot = list + 4 + 2 * number;
        let offset = (out.len() - at) as u16;
        out[slot..slot + 2].copy_from_slice(&offset.to_le_bytes());
        match field {
            Field::Scalar(bytes) => out.extend(bytes),
            _ => {
                pointers.push((out.len(), field));
                out.extend([0; 4]);
            }
        }
    }
    for (slot, field) in pointers {
        aligned(out, 8);
        match field {
            Field::Scalar(_) => {}
            Field::Vector(size, bytes) => {
                // The numbers, not their count, are aligned.
                out.extend([0; 4]);
                point(out, slot);
                out.extend(((bytes.len() / size) as u32).to_le_bytes());
                out.extend(bytes);
            }
            Field::Table(table) => {
                write_pointed(out, slot, table);
            }
            Field::Tables(tables) => {
                point(out, slot);
                out.extend((tables.len() as u32).to_le_bytes());
                let first = out.len();
                out.resize(first + 4 * tables.len(), 0);
                for (i, table) in tables.iter().enumerate() {
                    write_pointed(out, first + 4 * i, table);
                }
            }
        }
    }
}

/// A table, and the offset to it at `slot`.
fn write_pointed(out: &mut Vec<u8>, slot: usize, table: &Table) {
    let mut after = vec![0; out.len().next_multiple_of(8)];
    let start = after.len();
    write_table(&mut after, table);
    // The table proper starts after its list of fields.
    let numbers = table.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    let at = (start + 4 + 2 * numbers).next_multiple_of(8);
    out.resize(start, 0);
    out.extend(&after[start..]);
    out[slot..slot + 4].copy_from_slice(&((at - slot) as u32).to_le_bytes());
}

/// A tensor of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<i32>,
    /// Its number in the schema: 0 f32, 2 i32, 7 i16, 9 i8.
    pub(crate) numeric: u8,
    pub(crate) data: Vec<u8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) zero_points: Vec<i64>,
}

/// An operator of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    /// Its number in the schema.
    pub(crate) code: u8,
    pub(crate) inputs: Vec<i32>,
    pub(crate) output: i32,
    pub(crate) options: Table,
}

/// The file of a graph from tensor 0 to `output`.
pub(crate) fn file(tensors: &[Tensor], operators: &[Operator], output: i32) -> Vec<u8> {
    let tensor = |(i, tensor): (usize, &Tensor)| -> Table {
        let scales = tensor.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let zero_points = tensor.zero_points.iter().flat_map(|point| point.to_le_bytes()).collect();
        vec![
            (0, i32s(&tensor.shape)),
            (1, Field::Scalar(vec![tensor.numeric])),
            (2, Field::Scalar((i as u32).to_le_bytes().into())),
            (3, Field::Vector(1, format!("tensor {i}").into_bytes())),
            (4, Field::Table(vec![(2, Field::Vector(4, scales)), (3, Field::Vector(8, zero_points))])),
        ]
    };
    let operator = |(i, operator): (usize, &Operator)| -> Table {
        vec![
            (0, Field::Scalar((i as u32).to_le_bytes().into())),
            (1, i32s(&operator.inputs)),
            (2, i32s(&[operator.output])),
            (4, Field::Table(operator.options.clone())),
        ]
    };
    let subgraph = vec![
        (0, Field::Tables(tensors.iter().enumerate().map(tensor).collect())),
        (1, i32s(&[0])),
        (2, i32s(&[output])),
        (3, Field::Tables(operators.iter().enumerate().map(operator).collect())),
    ];
    let codes = operators.iter().map(|operator| vec![(0, Field::Scalar(vec![operator.code]))]).collect();
    let buffers = tensors.iter().map(|tensor| vec![(0, Field::Vector(1, tensor.data.clone()))]).collect();
    let model =
        vec![(1, Field::Tables(codes)), (2, Field::Tables(vec![subgraph])), (4, Field::Tables(buffers))];
    let mut out = b"\0\0\0\0TFL3".to_vec();
    write_pointed(&mut out, 0, &model);
    out
}
