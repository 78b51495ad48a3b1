//! The tensor table: what comes back, one attack per error, and payloads of any bytes.

use crate::fixture::{Bytes, Parts, description, entries, parts};
use crate::header::assert_problem;
use whit::Error;
use whit::format::{
    Description, Encoding, File, Positions, Role, Slots, TENSOR_ENTRY_LEN, TensorEntry, Tensors, WideInputs,
    align,
};
use whit::quant::row_to_f32;
use whit::tensor::ActivationBits;

/// Parses the small file with its tensor table changed.
fn parse_table(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
    let mut parts = parts();
    change(&mut parts.table);
    File::parse(&parts.write()).map(|_| ())
}

#[test]
fn every_entry_comes_back() {
    let bytes = parts().write();
    let file = File::parse(&bytes).expect("parses");
    let expected = entries(&description());
    assert_eq!(file.tensors.entries().collect::<Vec<_>>(), expected);
    let encodings: Vec<_> = expected.iter().map(|entry| entry.encoding).collect();
    for encoding in
        [Encoding::F32, Encoding::F16, Encoding::I8, Encoding::I4 { group: 16 }, Encoding::I4 { group: 0 }]
    {
        assert!(encodings.contains(&encoding), "the file has no tensor in {encoding:?}");
    }
    let wide = expected.iter().filter(|entry| entry.activations == ActivationBits::Sixteen);
    let wide: Vec<_> = wide.map(|entry| (entry.role, entry.layer)).collect();
    assert_eq!(wide, [(Role::AttentionOut, 0), (Role::Head, 0)]);
}

#[test]
fn every_tensor_is_found_where_the_table_says() {
    let parts = parts();
    let bytes = parts.write();
    let file = File::parse(&bytes).expect("parses");
    for entry in entries(&description()) {
        let layer = usize::from(entry.layer);
        let numbers = &parts.data[entry.offset as usize..][..entry.len() as usize];
        if entry.role.is_matrix() {
            let matrix = file.tensors.matrix(entry.role, layer).expect("the model has it");
            assert_eq!((matrix.rows(), matrix.cols()), (entry.rows as usize, entry.cols as usize));
            assert!(matrix.activations().is_none_or(|found| found == entry.activations));
        } else {
            let vector = file.tensors.vector(entry.role, layer);
            let found: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            assert_eq!(found, numbers, "{:?}", entry.role);
        }
    }
    assert!(file.tensors.matrix(Role::Positions, 0).is_none());
    assert!(file.tensors.vector(Role::HeadBias, 0).is_empty());
}

#[test]
fn every_row_of_any_payload_can_be_read() {
    for fill in [0x00, 0x7f, 0x80, 0xff] {
        let mut parts = parts();
        parts.data.fill(fill);
        let bytes = parts.write();
        let file = File::parse(&bytes).expect("the payload is not looked at");
        for entry in file.tensors.entries().filter(|entry| entry.role.is_matrix()) {
            let matrix = file.tensors.matrix(entry.role, usize::from(entry.layer)).expect("the model has it");
            let mut row = vec![0.0; matrix.cols()];
            for i in 0..matrix.rows() {
                row_to_f32(&matrix, i, &mut row);
            }
        }
    }
}

#[test]
fn every_contradiction_in_an_entry_is_an_error() {
    type Attack = (usize, &'static [u8], &'static str);
    let attacks: [Attack; 16] = [
        (0, &[99, 0], "another tensor"),
        (2, &[1, 0], "another tensor"),
        (4, &[4, 0], "encoding is not known"),
        (5, &[2], "neither 0, for 8, nor 1, for 16"),
        (5, &[0xff], "neither 0, for 8, nor 1, for 16"),
        (4, &[0, 0, 16, 0], "encoding is not known"),
        (4, &[3, 0, 17, 0], "encoding is not known"),
        (4, &[3, 0, 0, 1], "encoding is not known"),
        (8, &[0; 4], "shape"),
        (8, &[0xff; 4], "shape"),
        (12, &[0xff; 4], "shape"),
        (16, &[1], "multiple of 64"),
        (16, &[64], "after the tensor before"),
        (16, &[0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "after the tensor before"),
        (24, &[1], "length does not follow"),
        (24, &[0xff; 8], "length does not follow"),
    ];
    for (at, bytes, expected) in attacks {
        let error =
            parse_table(|table| table[at..at + bytes.len()].copy_from_slice(bytes)).expect_err(expected);
        let Error::Tensor { role: Role::Embedding, layer: 0, problem } = error else { panic!("{error}") };
        assert!(problem.contains(expected), "{at}: {problem}");
    }
}

#[test]
fn a_vector_that_is_not_f32_is_an_error() {
    let at = entry_of(Role::AttentionNorm, 0) + 4;
    let error = parse_table(|table| table[at] = 1).expect_err("f16");
    let Error::Tensor { role: Role::AttentionNorm, problem, .. } = error else { panic!("{error}") };
    assert!(problem.contains("f32"), "{problem}");
}

/// The place of an entry in the table.
fn entry_of(role: Role, layer: u16) -> usize {
    let is = |entry: &TensorEntry| (entry.role, entry.layer) == (role, layer);
    entries(&description()).iter().position(is).expect("the model has it") * TENSOR_ENTRY_LEN
}

#[test]
fn activations_of_16_bits_where_there_are_none_are_an_error() {
    let attacks = [
        (Role::AttentionNorm, 0, "floats take theirs as they are"),
        (Role::AttentionOut, 1, "floats take theirs as they are"),
        (Role::Embedding, 0, "floats take theirs as they are"),
    ];
    for (role, layer, expected) in attacks {
        let error = parse_table(|table| table[entry_of(role, layer) + 5] = 1).expect_err(expected);
        let Error::Tensor { role: found, problem, .. } = error else { panic!("{error}") };
        assert!(found == role && problem.contains(expected), "{role:?}: {problem}");
    }
    // An embedding of whole bytes that is no head.
    let mut parts = parts();
    let mut table = entries(&parts.description);
    table[0].encoding = Encoding::I8;
    table[0].activations = ActivationBits::Sixteen;
    for i in 1..table.len() {
        table[i].offset = align(table[i - 1].offset + table[i - 1].len());
    }
    parts.table = table.iter().flat_map(TensorEntry::to_bytes).collect();
    let error = File::parse(&parts.write()).map(|_| ()).expect_err("looked up");
    let Error::Tensor { role: Role::Embedding, problem, .. } = error else { panic!("{error}") };
    assert!(problem.contains("for the projections and the head"), "{problem}");
}

#[test]
fn description_and_table_must_agree_on_16_bit_activations() {
    let problem = "not of the kinds that the description says";
    let head = entry_of(Role::Head, 0) + 5;
    assert_problem(parse_table(|table| table[head] = 0), "tensor table", problem);
    assert_problem(parse_table(|table| table[entry_of(Role::FfnUp, 1) + 5] = 1), "tensor table", problem);
    let mut parts = parts();
    parts.description.wide_inputs = parts.description.wide_inputs.with(Role::FfnDown);
    assert_problem(File::parse(&parts.write()).map(|_| ()), "tensor table", problem);
}

#[test]
fn a_matrix_too_wide_for_int4_is_an_error() {
    let mut parts = parts();
    parts.description.hidden = 16_644;
    let mut table = entries(&parts.description);
    let end =
        |table: &[whit::format::TensorEntry]| table.last().map_or(0, |entry| entry.offset + entry.len());
    let down = table.iter().position(|entry| entry.role == Role::FfnDown).expect("one");
    table[down].encoding = Encoding::I4 { group: 32 };
    for i in down + 1..table.len() {
        table[i].offset = whit::format::align(end(&table[..i]));
    }
    parts.data = vec![0; end(&table) as usize];
    parts.table = table.iter().flat_map(|entry| entry.to_bytes()).collect();
    let error = File::parse(&parts.write()).map(|_| ()).expect_err("too wide");
    let Error::Tensor { role: Role::FfnDown, problem, .. } = error else { panic!("{error}") };
    assert!(problem.contains("too many columns"), "{problem}");
}

#[test]
fn data_that_cannot_be_cast_is_an_error() {
    let parts = parts();
    let data = Bytes::from(&[&[0], &parts.data[..]].concat()[..]);
    let error = Tensors::parse(&parts.description.into(), &parts.table, &data[1..])
        .expect_err("not at a multiple of 64");
    assert!(matches!(error, Error::Misaligned { excess: 1, .. }), "{error}");
}

#[test]
fn floats_may_be_wider_than_any_exact_sum() {
    let wide_inputs = WideInputs::NONE;
    let wide = Description { vocabulary: 131_073, width: 1, head_bias: true, wide_inputs, ..description() };
    let (mut end, mut table) = (0, Vec::new());
    for (role, layer) in Slots::new(&wide.into()).iter() {
        let (rows, cols) = wide.shape(role);
        let (rows, cols, offset) = (rows as u32, cols as u32, align(end));
        let (encoding, activations) = (Encoding::F32, ActivationBits::Eight);
        let entry = TensorEntry { role, layer, encoding, activations, rows, cols, offset };
        table.extend(entry.to_bytes());
        end = entry.offset + entry.len();
    }
    let bytes = Parts { description: wide, table, data: vec![0; end as usize], ..parts() }.write();
    let file = File::parse(&bytes).expect("a bias is no matrix");
    assert_eq!(file.tensors.vector(Role::HeadBias, 0).len(), 131_073);
}

#[test]
fn tensors_and_data_cover_each_other_exactly() {
    let mut longer = parts();
    longer.data.push(0);
    assert_problem(File::parse(&longer.write()).map(|_| ()), "tensor data", "after the last tensor");
    let mut shorter = parts();
    shorter.data.pop();
    let error = File::parse(&shorter.write()).map(|_| ()).expect_err("too short");
    assert!(matches!(error, Error::Tensor { role: Role::Head, .. }), "{error}");
}

#[test]
fn a_tensor_more_or_less_is_an_error() {
    let count = "the number of tensors";
    let less = |table: &mut Vec<u8>| table.truncate(table.len() - TENSOR_ENTRY_LEN);
    assert_problem(parse_table(less), "tensor table", count);
    let more = |table: &mut Vec<u8>| table.extend([0; TENSOR_ENTRY_LEN]);
    assert_problem(parse_table(more), "tensor table", count);
    assert_problem(parse_table(|table| table.push(0)), "tensor table", count);
    assert_problem(parse_table(Vec::clear), "tensor table", count);
}

#[test]
fn swapped_layers_are_an_error() {
    let error = parse_table(|table| {
        table[entry_of(Role::Qkv, 0) + 2] = 1;
        table[entry_of(Role::Qkv, 1) + 2] = 0;
    });
    assert!(matches!(error, Err(Error::Tensor { role: Role::Qkv, layer: 0, .. })), "{error:?}");
}

#[test]
fn slots_number_the_tensors_in_order() {
    let base = description();
    let all = Description {
        positions: Positions::Learned,
        rotary_width: 0,
        norm_bias: true,
        out_bias: true,
        up_bias: true,
        down_bias: true,
        head_bias: true,
        ..base
    };
    let least = Description { tied: true, final_norm: false, qkv_bias: false, layers: 1, ..base };
    for (description, total) in [(base, 2 + 2 * 7 + 2), (all, 2 + 2 * 12 + 4), (least, 2 + 6)] {
        let slots = Slots::new(&description.into());
        assert_eq!(slots.total(), total);
        let order: Vec<_> = slots.iter().collect();
        assert_eq!(order.len(), total);
        for (i, &(role, layer)) in order.iter().enumerate() {
            assert_eq!(slots.index(role, usize::from(layer)), Some(i), "{role:?} {layer}");
            assert!(description.has(role));
        }
        for role in Role::ALL.into_iter().filter(|role| !description.has(*role)) {
            assert_eq!(slots.index(role, 0), None, "{role:?}");
        }
    }
}
