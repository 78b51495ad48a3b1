//! 16-bit activations: what is asked for stands in the file, and where there are none they are refused.

use super::*;
use whit::format::Section;
use whit::tensor::ActivationBits;

fn wide(role: Role, layer: Option<u16>, encoding: Encoding) -> ExportOptions {
    let own = TensorEncoding { role, layer, encoding, activations: ActivationBits::Sixteen };
    ExportOptions { tensors: vec![own], ..ExportOptions::default() }
}

#[test]
fn activations_of_16_bits_are_read_back_and_change_no_weight() {
    let checkpoint = checkpoint(description());
    let (_folder, out) = place();
    let written = |options: &ExportOptions| {
        export(&checkpoint, options, &out, go_on).expect("exported").commit().expect("named");
        Map::open(&out).expect("mapped")
    };
    let plain = written(&with(Encoding::I8));
    let bytes = written(&wide(Role::FfnDown, Some(1), Encoding::I8));
    let (plain, file) = (File::parse(&plain).expect("parses"), File::parse(&bytes).expect("parses"));
    assert_eq!(file.architecture.wide_inputs(), WideInputs::NONE.with(Role::FfnDown));
    let wide = file.tensors.entries().filter(|entry| entry.activations == ActivationBits::Sixteen);
    assert!(wide.map(|entry| (entry.role, entry.layer)).eq([(Role::FfnDown, 1)]));
    assert!(file.section(Section::TensorData) == plain.section(Section::TensorData));
}

#[test]
fn activations_of_16_bits_where_there_are_none_are_named() {
    let cases = [
        (Role::FfnDown, Some(1), Encoding::F16, "`layers.1.ffn.down` cannot take 16-bit activations: floats"),
        (
            Role::Embedding,
            None,
            Encoding::I8,
            "`embedding` cannot take 16-bit activations: they are for the projections",
        ),
        (
            Role::Positions,
            None,
            Encoding::I8,
            "`positions` cannot take 16-bit activations: they are for the projections",
        ),
    ];
    for (role, layer, encoding, expected) in cases {
        let (folder, out) = place();
        let error = export(&checkpoint(description()), &wide(role, layer, encoding), &out, go_on);
        let error = error.expect_err("an error").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(names(&folder).is_empty());
    }
}
