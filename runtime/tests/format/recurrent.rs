//! The record of a recurrent model: every field there and back, every field out of its range, and the tensors it asks
//! for.

use crate::fixture::put_u32;
use whit::Error;
use whit::format::{
    Architecture, Cell, Direction, MOST_RECURRENT_LAYERS, Normalization, Recurrent, Role, Slots,
};

fn widths(widths: &[u16]) -> [u16; MOST_RECURRENT_LAYERS] {
    let mut all = [0; MOST_RECURRENT_LAYERS];
    all[..widths.len()].copy_from_slice(widths);
    all
}

fn base() -> Recurrent {
    Recurrent {
        vocabulary: 11,
        input: 7,
        layers: 2,
        head: 11,
        cell: Cell::Lstm,
        direction: Direction::Forward,
        normalization: Normalization::None,
        tied: false,
        bias: true,
        head_bias: true,
        projected: true,
        hidden: widths(&[9, 5]),
        projection: widths(&[4, 3]),
    }
}

#[test]
fn every_field_comes_back() {
    type Change = fn(&mut Recurrent);
    let changes: [Change; 18] = [
        |r| r.vocabulary = 0,
        |r| r.vocabulary = 1 << 24,
        |r| r.input = 1 << 16,
        |r| (r.layers, r.hidden, r.projection) = (16, [7; 16], [1; 16]),
        |r| (r.layers, r.hidden, r.projection) = (1, widths(&[u16::MAX]), widths(&[u16::MAX])),
        |r| (r.head, r.head_bias) = (0, false),
        |r| r.head = 1 << 24,
        |r| (r.cell, r.projected, r.projection) = (Cell::GruResetAfter, false, widths(&[])),
        |r| (r.cell, r.projected, r.projection) = (Cell::GruResetBefore, false, widths(&[])),
        |r| (r.cell, r.projected, r.projection) = (Cell::Tanh, false, widths(&[])),
        |r| (r.cell, r.projected, r.projection) = (Cell::Relu, false, widths(&[])),
        |r| r.direction = Direction::Reverse,
        |r| r.direction = Direction::Both,
        |r| r.normalization = Normalization::Softmax,
        |r| r.normalization = Normalization::Sigmoid,
        |r| (r.input, r.tied) = (3, true),
        |r| r.bias = false,
        |r| r.head_bias = false,
    ];
    let mut records = vec![Architecture::from(base()).to_bytes()];
    for change in changes {
        let mut changed = base();
        change(&mut changed);
        let architecture = Architecture::from(changed);
        assert_eq!(Architecture::parse(&architecture.to_bytes()), Ok(architecture));
        records.push(architecture.to_bytes());
    }
    records.sort_unstable();
    records.dedup();
    assert_eq!(records.len(), 1 + changes.len(), "two descriptions have one record");
}

#[test]
fn every_field_out_of_range_is_named() {
    let attacks = [
        (4, (1 << 24) + 1, "vocabulary"),
        (8, 0, "input"),
        (8, (1 << 16) + 1, "input"),
        (12, 0, "layers"),
        (12, 17, "layers"),
        (12, 1, "hidden"),
        (12, 3, "hidden"),
        (16, (1 << 24) + 1, "head"),
        (16, 0, "head bias (without a head)"),
        (20, 5, "cell"),
        (20, 1, "projected (LSTM only)"),
        (20, 3 << 8, "direction"),
        (20, 3 << 16, "normalization"),
        (20, 1 << 24, "normalization"),
        (24, 1 << 4, "flags"),
        (24, 0b1111, "tied (shapes differ)"),
        (24, 0b0110, "projection"),
        (28, 1, "reserved"),
        (60, 1 << 31, "reserved"),
        (64, 4 << 16, "hidden"),
        (64, 9, "projection"),
        (72, 1, "hidden"),
        (72, 1 << 16, "projection"),
        (124, 1, "hidden"),
    ];
    for (at, value, expected) in attacks {
        let mut record = Architecture::from(base()).to_bytes();
        put_u32(&mut record, at, value);
        let error = Architecture::parse(&record).expect_err(expected);
        assert!(
            matches!(error, Error::Description { field, .. } if field == expected),
            "{at} {value}: {error}"
        );
    }
}

#[test]
fn tensors_stand_in_the_order_of_the_layers_between_embedding_and_head() {
    let both = Recurrent { direction: Direction::Both, ..base() };
    let architecture = Architecture::from(both);
    let per_layer = [
        (Role::RecurrentInput, [(72, 7), (40, 8)]),
        (Role::RecurrentInputBias, [(1, 72), (1, 40)]),
        (Role::RecurrentHidden, [(36, 4), (20, 3)]),
        (Role::RecurrentHiddenReverse, [(36, 4), (20, 3)]),
        (Role::RecurrentProjection, [(4, 9), (3, 5)]),
        (Role::RecurrentProjectionReverse, [(4, 9), (3, 5)]),
    ];
    let mut expected = vec![(Role::Embedding, 0, (11, 7))];
    for layer in 0..2 {
        expected.extend(per_layer.map(|(role, shapes)| (role, layer, shapes[usize::from(layer)])));
    }
    expected.extend([(Role::Head, 0, (11, 6)), (Role::HeadBias, 0, (1, 11))]);
    let slots = Slots::new(&architecture);
    let found: Vec<_> =
        slots.iter().map(|(role, layer)| (role, layer, architecture.shape(role, layer))).collect();
    assert_eq!(found, expected);
    assert_eq!(slots.total(), expected.len());
    for (i, &(role, layer, _)) in expected.iter().enumerate() {
        assert_eq!(slots.index(role, usize::from(layer)), Some(i));
    }
    assert_eq!(slots.index(Role::RecurrentCandidate, 0), None);
}
