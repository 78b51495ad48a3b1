//! Small ONNX models, written field by field: onnx.proto's messages in the wire format of Protocol Buffers.

use crate::synthetic::Random;

/// A field of bytes: a text or a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(bytes.len() as u64));
    field.extend(bytes);
    field
}

/// A field of a number.
fn number(number: u8, value: i64) -> Vec<u8> {
    [vec![number << 3], varint(value.cast_unsigned())].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A `TensorProto` of f32.
fn floats(name: &str, dims: &[usize], numbers: &[f32]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&dim| number(1, dim as i64));
    let data: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    [dims.collect(), number(2, 1), field(8, name.as_bytes()), field(9, &data)].concat()
}

/// A `TensorProto` of i64.
fn ints(name: &str, numbers: &[i64]) -> Vec<u8> {
    let data: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    [number(1, numbers.len() as i64), number(2, 7), field(8, name.as_bytes()), field(9, &data)].concat()
}

/// A `NodeProto`; attributes are whole messages.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let texts = |number, names: &[&str]| -> Vec<u8> {
        names.iter().flat_map(|name| field(number, name.as_bytes())).collect()
    };
    let attributes = attributes.iter().flat_map(|attribute| field(5, attribute)).collect();
    [texts(1, inputs), texts(2, outputs), field(4, op.as_bytes()), attributes].concat()
}

/// An `AttributeProto` of a number.
pub fn int(name: &str, value: i64) -> Vec<u8> {
    [field(1, name.as_bytes()), number(3, value)].concat()
}

/// An `AttributeProto` of a text.
pub fn text(name: &str, value: &str) -> Vec<u8> {
    [field(1, name.as_bytes()), field(4, value.as_bytes())].concat()
}

/// An `AttributeProto` of numbers.
pub fn list(name: &str, values: &[i64]) -> Vec<u8> {
    let values = values.iter().flat_map(|&value| number(8, value));
    [field(1, name.as_bytes()), values.collect()].concat()
}

/// An `AttributeProto` of a real number.
pub fn real(name: &str, value: f32) -> Vec<u8> {
    [field(1, name.as_bytes()), vec![2 << 3 | 5], value.to_le_bytes().to_vec()].concat()
}

/// A `ModelProto` of these nodes and constants, from `x`, of so many axes, to `y`.
pub fn model(rank: usize, nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    let all = |number, messages: &[Vec<u8>]| -> Vec<u8> {
        messages.iter().flat_map(|message| field(number, message)).collect()
    };
    // Of the axes nothing is said.
    let shape = field(1, &field(2, &field(1, &[]).repeat(rank)));
    let input = [field(1, b"x"), field(2, &shape)].concat();
    let graph = [all(1, nodes), all(5, constants), field(11, &input), field(12, &field(1, b"y"))].concat();
    [number(1, 8), field(7, &graph)].concat()
}

/// `bytes`, a model, with the tensors `constants` (whole messages) added to its graph.
///
/// # Panics
/// If its graph is not the first field of its number.
pub fn with_constants(bytes: &[u8], constants: &[Vec<u8>]) -> Vec<u8> {
    let mut rest = bytes;
    let mut out = Vec::new();
    while let Some((&tag, after)) = rest.split_first() {
        let mut after = after;
        let len = super::varint(&mut after).expect("a number");
        if tag & 7 == 0 {
            out.extend(&rest[..rest.len() - after.len()]);
            rest = after;
            continue;
        }
        let (body, after) = after.split_at(len as usize);
        let more: Vec<u8> = constants.iter().flat_map(|constant| field(5, constant)).collect();
        out.extend(field(tag >> 3, &if tag >> 3 == 7 { [body, &more].concat() } else { body.to_vec() }));
        rest = after;
    }
    out
}

/// Random numbers as a constant.
fn random(name: &str, dims: &[usize]) -> Vec<u8> {
    let mut random = Random(name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)));
    let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| random.uniform()).collect();
    floats(name, dims, &numbers)
}

/// From ids through an embedding and two LSTMs that read from both ends to two classes, as PyTorch exports it.
pub fn tagger() -> Vec<u8> {
    let lstm = |at: usize, from: &str, hidden: i64| {
        let names = ["w", "r", "b"].map(|kind| format!("{kind}{at}"));
        let inputs = [from, &names[0], &names[1], &names[2], "", "zeros", "zeros"];
        let (y, h, c) = (format!("y{at}"), format!("h{at}"), format!("c{at}"));
        let attributes = [int("hidden_size", hidden), text("direction", "bidirectional")];
        node("LSTM", &inputs, &[&y, &h, &c], &attributes)
    };
    let joined = |from: &str, by: &str, to: &str| {
        [
            node("Transpose", &[from], &[by], &[list("perm", &[0, 2, 1, 3])]),
            node("Reshape", &[by, "shape"], &[to], &[]),
        ]
    };
    let mut nodes = vec![
        node("Gather", &["table", "x"], &["e"], &[]),
        node("Shape", &["e"], &["s"], &[]),
        node("ConstantOfShape", &["s"], &["zeros"], &[]),
        node("Transpose", &["e"], &["t"], &[list("perm", &[1, 0, 2])]),
        lstm(0, "t", 3),
    ];
    nodes.extend(joined("y0", "p0", "z0"));
    nodes.push(lstm(1, "z0", 2));
    nodes.extend(joined("y1", "p1", "z1"));
    nodes.extend([
        node("Transpose", &["z1"], &["v"], &[list("perm", &[1, 0, 2])]),
        node("MatMul", &["v", "out"], &["m"], &[]),
        node("Add", &["m", "bias"], &["a"], &[]),
        node("Softmax", &["a"], &["y"], &[int("axis", -1)]),
    ]);
    let constants = [
        random("table", &[5, 4]),
        ints("shape", &[0, 0, -1]),
        random("w0", &[2, 12, 4]),
        random("r0", &[2, 12, 3]),
        random("b0", &[2, 24]),
        random("w1", &[2, 8, 6]),
        random("r1", &[2, 8, 2]),
        random("b1", &[2, 16]),
        random("out", &[4, 2]),
        random("bias", &[2]),
    ];
    model(2, &nodes, &constants)
}

/// A GRU over frames, its one direction squeezed away, and a linear layer as Keras exports it.
pub fn gru() -> Vec<u8> {
    model(3, &gru_nodes(&[]), &gru_constants())
}

/// Its nodes, with more attributes of the GRU.
pub fn gru_nodes(more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let attributes = [&[int("hidden_size", 4), int("linear_before_reset", 1)], more].concat();
    vec![
        node("Transpose", &["x"], &["t"], &[list("perm", &[1, 0, 2])]),
        node("GRU", &["t", "w", "r", "b"], &["s"], &attributes),
        node("Squeeze", &["s"], &["q"], &[list("axes", &[1])]),
        node("Gemm", &["q", "out", "bias"], &["g"], &[int("transB", 1)]),
        node("Sigmoid", &["g"], &["y"], &[]),
    ]
}

/// Its constants.
pub fn gru_constants() -> Vec<Vec<u8>> {
    vec![
        random("w", &[1, 12, 3]),
        random("r", &[1, 12, 4]),
        random("b", &[1, 24]),
        random("out", &[2, 4]),
        random("bias", &[2]),
    ]
}
