//! The description's record: every field there and back, and every field out of its range.

use crate::fixture::{description, parse_changed, put_u32, section_at};
use whit::Error;
use whit::format::{Description, NormKind, NormPlace, Positions, Role, WideInputs};
use whit::kernels::{Activation, Pairing};

fn assert_round_trip(description: Description) {
    assert_eq!(Description::parse(&description.to_bytes()), Ok(description));
}

#[test]
fn every_field_comes_back() {
    let base = description();
    assert_round_trip(base);
    type Change = fn(&mut Description);
    let changes: [Change; 36] = [
        |d| d.vocabulary = 1 << 24,
        |d| d.width = 1 << 16,
        |d| d.layers = 1 << 10,
        |d| d.heads = 1 << 10,
        |d| d.kv_heads = 4,
        |d| d.head_width = 1 << 10,
        |d| d.hidden = 131_071,
        |d| d.context = 131_071,
        |d| d.window = 0,
        |d| d.window = 131_071,
        |d| d.rotary_width = 6,
        |d| (d.positions, d.rotary_width) = (Positions::None, 0),
        |d| (d.positions, d.rotary_width) = (Positions::Learned, 0),
        |d| d.positions = Positions::Rotary(Pairing::Interleaved),
        |d| d.norm = NormKind::Layer,
        |d| d.norm_place = NormPlace::After,
        |d| d.activation = Activation::GeluErf,
        |d| d.activation = Activation::GeluTanh,
        |d| d.activation = Activation::Relu,
        |d| d.gated = false,
        |d| d.tied = true,
        |d| d.final_norm = false,
        |d| d.norm_bias = true,
        |d| d.qkv_bias = false,
        |d| d.out_bias = true,
        |d| d.up_bias = true,
        |d| d.down_bias = true,
        |d| d.head_bias = true,
        |d| d.int8_cache = false,
        |d| d.wide_inputs = WideInputs::NONE,
        |d| d.wide_inputs = WideInputs::NONE.with(Role::Qkv),
        |d| d.wide_inputs = WideInputs::NONE.with(Role::FfnUp),
        |d| d.wide_inputs = WideInputs::NONE.with(Role::FfnDown),
        |d| d.wide_inputs = WideInputs::NONE.with(Role::Embedding),
        |d| (d.epsilon, d.attention_scale) = (0.0, f32::MAX),
        |d| (d.embedding_scale, d.logit_scale) = (24.5, 1e-40),
    ];
    let mut records = vec![base.to_bytes()];
    for change in changes {
        let mut changed = base;
        change(&mut changed);
        assert_round_trip(changed);
        records.push(changed.to_bytes());
    }
    records.sort_unstable();
    records.dedup();
    assert_eq!(records.len(), 1 + changes.len(), "two descriptions have one record");
}

#[test]
fn every_field_out_of_range_is_named() {
    let inf = f32::INFINITY.to_bits();
    let minus = (-1f32).to_bits();
    let attacks = [
        (0, 0, "kind"),
        (0, 4, "kind"),
        (4, 0, "vocabulary"),
        (4, (1 << 24) + 1, "vocabulary"),
        (8, 0, "width"),
        (8, (1 << 16) + 1, "width"),
        (12, 0, "layers"),
        (12, (1 << 10) + 1, "layers"),
        (16, 0, "heads"),
        (16, (1 << 10) + 1, "heads"),
        (20, 0, "kv heads"),
        (20, 3, "kv heads (must divide heads)"),
        (20, 5, "kv heads"),
        (24, 0, "head width"),
        (24, (1 << 10) + 1, "head width"),
        (28, 0, "hidden"),
        (28, 131_072, "hidden"),
        (32, 0, "context"),
        (32, 131_072, "context"),
        (36, 131_072, "window"),
        (40, 2, "norm"),
        (40, 2 << 8, "norm place"),
        (40, 4 << 16, "positions"),
        (40, 4 << 24, "activation"),
        (44, 1 << 15, "flags"),
        (44, 1 << 31, "flags"),
        (48, 0, "rotary width"),
        (48, 3, "rotary width (must be even)"),
        (48, 8, "rotary width"),
        (52, inf, "epsilon"),
        (52, minus, "epsilon"),
        (56, f32::NAN.to_bits(), "attention scale"),
        (60, inf, "embedding scale"),
        (64, minus, "logit scale"),
        (68, 1, "reserved"),
        (124, 1 << 31, "reserved"),
    ];
    for (at, value, expected) in attacks {
        let error = parse_changed(|bytes| {
            let section = section_at(bytes, 0);
            put_u32(bytes, section + at, value);
        })
        .expect_err(expected);
        assert!(
            matches!(error, Error::Description { field, .. } if field == expected),
            "{at} {value}: {error}"
        );
    }
}

#[test]
fn a_rotary_width_without_rotation_is_an_error() {
    let plain = Description { positions: Positions::None, ..description() };
    assert_eq!(plain.check(), Err(Error::Description { field: "rotary width", found: 4 }));
}

#[test]
fn a_record_of_another_length_is_an_error() {
    let bytes = [description().to_bytes(), [0; 128]].concat();
    for len in (0..=256).filter(|&len| len != 128) {
        let error = Description::parse(&bytes[..len]).expect_err("an error");
        assert!(matches!(error, Error::Section { section: "description", .. }), "{len}");
    }
}
