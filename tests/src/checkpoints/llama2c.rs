//! A llama2.c checkpoint (legacy `.bin`) written again in Hugging Face layout: the same model by another road.

use super::safetensors::write_shards;
use super::{Dtype, Shape, Spec, write_json};
use std::{fs, io, path::Path};

/// Writes `config.json` and `model.safetensors` of the model in `bin` to `directory`; without a tokenizer.
///
/// llama2.c rotates elements 2 i and 2 i + 1 of a head, Hugging Face elements i and i + n / 2: the rows of the query
/// and key projections change places accordingly.
///
/// # Errors
/// If a file cannot be read or written, or is no such checkpoint.
pub fn write_llama2c(bin: &Path, directory: &Path) -> io::Result<()> {
    let bytes = fs::read(bin)?;
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not a legacy llama2.c checkpoint");
    let (header, numbers) = bytes.split_at_checked(28).ok_or_else(wrong)?;
    let header: Vec<i32> = header.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word)).collect();
    let size = |i: usize| header[i].unsigned_abs() as usize;
    let (width, heads) = (size(0), size(3).max(1));
    let shape = Shape {
        width,
        hidden: size(1),
        layers: size(2),
        heads,
        kv_heads: size(4),
        head_width: width / heads,
        vocabulary: size(5),
        context: size(6),
        tied: header[5] > 0,
        ..Shape::named("stories15m").expect("a known name")
    };
    let numbers: Vec<f32> = numbers.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
    let places = places(&shape);
    if places.iter().any(|place| place.end > numbers.len()) {
        return Err(wrong());
    }
    fs::create_dir_all(directory)?;
    let mut config = shape.config("float32");
    (config["bos_token_id"], config["eos_token_id"]) = (1.into(), 2.into());
    write_json(&directory.join("config.json"), &config)?;
    let specs = shape.specs(false);
    write_shards(directory, shape.prefix(), &specs, Dtype::F32, 1, |spec| {
        let place = places.iter().find(|place| place.fits(spec)).expect("every tensor has a place");
        let start = place.start(spec);
        let rotated = spec.name.contains(".q_proj.") || spec.name.contains(".k_proj.");
        let (numbers, [_, cols]) = (&numbers, spec.shape);
        let half = shape.head_width / 2;
        move |index| {
            let (row, col) = (index / cols, index % cols);
            let (head, i) = (row / (2 * half), row % (2 * half));
            let row = if rotated { head * 2 * half + 2 * (i % half) + i / half } else { row };
            numbers[start + row * cols + col]
        }
    })
}

/// Where the tensors of one kind stand in the file: those of all layers one after the other.
struct Place {
    name: &'static str,
    first: usize,
    end: usize,
    per_layer: usize,
}

impl Place {
    fn fits(&self, spec: &Spec) -> bool {
        spec.name == self.name || (self.name.starts_with('.') && spec.name.ends_with(self.name))
    }

    fn start(&self, spec: &Spec) -> usize {
        let layer = spec.name.strip_prefix("layers.").and_then(|rest| rest.split('.').next());
        self.first + self.per_layer * layer.and_then(|layer| layer.parse().ok()).unwrap_or(0)
    }
}

/// The order of the legacy format.
fn places(shape: &Shape) -> Vec<Place> {
    let (width, hidden, layers) = (shape.width, shape.hidden, shape.layers);
    let keys = shape.kv_heads * shape.head_width;
    let parts = [
        ("embed_tokens.weight", 1, shape.vocabulary * width),
        (".input_layernorm.weight", layers, width),
        (".self_attn.q_proj.weight", layers, width * width),
        (".self_attn.k_proj.weight", layers, keys * width),
        (".self_attn.v_proj.weight", layers, keys * width),
        (".self_attn.o_proj.weight", layers, width * width),
        (".post_attention_layernorm.weight", layers, width),
        (".mlp.gate_proj.weight", layers, hidden * width),
        (".mlp.down_proj.weight", layers, width * hidden),
        (".mlp.up_proj.weight", layers, hidden * width),
        ("norm.weight", 1, width),
        // Tables of cosines and sines, which follow from the shape.
        ("", 2, shape.context * shape.head_width / 2),
        ("lm_head.weight", usize::from(!shape.tied), shape.vocabulary * width),
    ];
    let mut first = 0;
    let place = |(name, count, per_layer)| {
        let place = Place { name, first, end: first + count * per_layer, per_layer };
        first = place.end;
        place
    };
    parts.into_iter().map(place).collect()
}
