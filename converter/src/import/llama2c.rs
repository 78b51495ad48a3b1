//! llama2.c `.bin` files: the legacy layout and version 1, f32 both.
//!
//! The layouts are those that llama2.c's `export.py` writes: a header, then one tensor kind after another, each for
//! all layers. The quantized version 2 is refused: whit quantizes f32 weights better than it could these.

use super::rows::{Element, Order, Stacked, Stored, Values};
use super::{ImportError, Problem};
use crate::checkpoint::{Checkpoint, Rows, Tensor};
use crate::map::Map;
use std::path::Path;
use std::sync::Arc;
use whit::format::{Description, NormKind, NormPlace, Positions, Role, Slots, WideInputs};
use whit::kernels::{Activation, Pairing};

mod header;

use header::Header;

/// The tokens that llama2.c puts between texts: beginning of a text, end of a text.
const STOP_TOKENS: [u32; 2] = [1, 2];

/// Reads the checkpoint at `path`; `tokenizer` gives the tokenizer section for a vocabulary of the given size.
///
/// # Errors
/// [`ImportError::Io`] for a file that cannot be read, else [`ImportError::Problems`] with all problems of the
/// header, or the file's length, or what `tokenizer` returned.
pub fn import(
    path: &Path,
    tokenizer: impl FnOnce(u32) -> Result<Vec<u8>, ImportError>,
) -> Result<Checkpoint<'static>, ImportError> {
    let map = Arc::new(Map::open(path).map_err(|source| ImportError::io(path, source))?);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let header = Header::parse(&map, &file)?;
    let description = description(&header);
    if let Err(error) = description.check() {
        let (expected, found) = ("sizes that whit supports".into(), error.to_string());
        return Err(Problem { file, subject: "header".into(), expected, found, remedy: "" }.into());
    }
    let places = Places::new(&header, &description);
    if map.len() as u64 != places.end {
        let (expected, found) = (format!("{} bytes", places.end), format!("{} bytes", map.len()));
        let remedy = "fetch the file again: it is cut short, or not a llama2.c checkpoint";
        return Err(Problem { file, subject: "length of the file".into(), expected, found, remedy }.into());
    }
    let tensors = Slots::new(&description.into())
        .iter()
        .map(|(role, layer)| places.tensor(&map, &description, role, layer))
        .collect();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Checkpoint {
        architecture: description.into(),
        tensors,
        tokenizer: tokenizer(description.vocabulary)?,
        stop_tokens: STOP_TOKENS.into_iter().filter(|&token| token < description.vocabulary).collect(),
        metadata: vec![("name".into(), name), ("source".into(), header.layout.name().into())],
    })
}

fn description(header: &Header) -> Description {
    let head_width = header.width / header.heads;
    Description {
        vocabulary: header.vocabulary,
        width: header.width,
        layers: header.layers,
        heads: header.heads,
        kv_heads: header.kv_heads,
        head_width,
        hidden: header.hidden,
        context: header.context,
        window: 0,
        rotary_width: head_width,
        norm: NormKind::Rms,
        norm_place: NormPlace::Before,
        positions: Positions::Rotary(Pairing::Interleaved),
        activation: Activation::Silu,
        gated: true,
        tied: header.tied,
        final_norm: true,
        norm_bias: false,
        qkv_bias: false,
        out_bias: false,
        up_bias: false,
        down_bias: false,
        head_bias: false,
        int8_cache: false,
        wide_inputs: WideInputs::NONE,
        epsilon: 1e-5,
        attention_scale: 1.0 / (head_width as f32).sqrt(),
        embedding_scale: 1.0,
        logit_scale: 1.0,
    }
}

/// One kind of tensor in a file, in the order of the legacy layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Embedding,
    AttentionNorm,
    Query,
    Key,
    Value,
    Out,
    FfnNorm,
    Gate,
    Down,
    Up,
    FinalNorm,
    /// Cosines and sines of the legacy layout: derived numbers, not read.
    Frequencies,
    Head,
}

const PARTS: usize = Part::Head as usize + 1;

impl Part {
    const LEGACY: [Self; PARTS] = [
        Self::Embedding,
        Self::AttentionNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Out,
        Self::FfnNorm,
        Self::Gate,
        Self::Down,
        Self::Up,
        Self::FinalNorm,
        Self::Frequencies,
        Self::Head,
    ];

    const VERSION_1: [Self; PARTS - 1] = [
        Self::AttentionNorm,
        Self::FfnNorm,
        Self::FinalNorm,
        Self::Embedding,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Out,
        Self::Gate,
        Self::Down,
        Self::Up,
        Self::Head,
    ];

    /// The name that llama2.c has for it.
    fn name(self) -> &'static str {
        match self {
            Self::Embedding => "token_embedding_table",
            Self::AttentionNorm => "rms_att_weight",
            Self::Query => "wq",
            Self::Key => "wk",
            Self::Value => "wv",
            Self::Out => "wo",
            Self::FfnNorm => "rms_ffn_weight",
            Self::Gate => "w1",
            Self::Down => "w2",
            Self::Up => "w3",
            Self::FinalNorm => "rms_final_weight",
            Self::Frequencies => "freq_cis",
            Self::Head => "wcls",
        }
    }

    /// Rows and columns of one tensor, and how many there are.
    fn shape(self, model: &Description) -> ([usize; 2], usize) {
        let (width, hidden) = (model.width as usize, model.hidden as usize);
        let layers = model.layers as usize;
        match self {
            Self::Embedding => ([model.vocabulary as usize, width], 1),
            Self::AttentionNorm | Self::FfnNorm => ([1, width], layers),
            Self::Query | Self::Out => ([width, width], layers),
            Self::Key | Self::Value => ([model.kv_width(), width], layers),
            Self::Gate | Self::Up => ([hidden, width], layers),
            Self::Down => ([width, hidden], layers),
            Self::FinalNorm => ([1, width], 1),
            Self::Frequencies => ([model.context as usize, model.head_width as usize], 1),
            Self::Head => ([model.vocabulary as usize, width], usize::from(!model.tied)),
        }
    }
}

/// Where the parts of a file begin, in bytes.
struct Places {
    start: [u64; PARTS],
    end: u64,
}

impl Places {
    fn new(header: &Header, model: &Description) -> Self {
        let parts = match header.layout {
            header::Layout::Legacy => &Part::LEGACY[..],
            header::Layout::Version1 => &Part::VERSION_1[..],
        };
        let mut places = Self { start: [0; PARTS], end: header.layout.header_len() as u64 };
        for &part in parts {
            let ([rows, cols], count) = part.shape(model);
            places.start[part as usize] = places.end;
            // Below 2⁴⁷: a description's shapes are below 2⁴⁰ numbers, its layers at most 2¹⁰.
            places.end += rows as u64 * cols as u64 * 4 * count as u64;
        }
        places
    }

    fn tensor(&self, map: &Arc<Map>, model: &Description, role: Role, layer: u16) -> Tensor<'static> {
        let parts = match role {
            Role::Embedding => &[Part::Embedding][..],
            Role::AttentionNorm => &[Part::AttentionNorm],
            Role::Qkv => &[Part::Query, Part::Key, Part::Value],
            Role::AttentionOut => &[Part::Out],
            Role::FfnNorm => &[Part::FfnNorm],
            Role::FfnUp => &[Part::Gate, Part::Up],
            Role::FfnDown => &[Part::Down],
            Role::FinalNorm => &[Part::FinalNorm],
            Role::Head => &[Part::Head],
            // The description asks for no other role but the rotary frequencies.
            _ => &[],
        };
        let rows: Box<dyn Rows> = match parts {
            [] => Box::new(Values(frequencies(model.head_width))),
            [part] => Box::new(self.stored(map, model, *part, layer)),
            parts => Box::new(Stacked::new(
                parts.iter().map(|part| self.stored(map, model, *part, layer)).collect(),
            )),
        };
        let names: Vec<_> = parts.iter().map(|part| part.name()).collect();
        let source = match names.is_empty() {
            true => role.name().to_owned(),
            false if role.per_layer() => format!("{} of layer {layer}", names.join(", ")),
            false => names.join(", "),
        };
        Tensor { role, layer, source, rows }
    }

    fn stored(&self, map: &Arc<Map>, model: &Description, part: Part, layer: u16) -> Stored {
        let (shape, _) = part.shape(model);
        let at = self.start[part as usize] as usize + usize::from(layer) * shape[0] * shape[1] * 4;
        Stored::new(Arc::clone(map), at, Element::F32, shape, Order::Rows)
            .expect("the file's length was compared with the layout's end")
    }
}

/// Radians per position of the pairs of a head: 10000^(−2i / width) (Su et al. 2021).
fn frequencies(head_width: u32) -> Vec<f32> {
    let exponent = |i: u32| -2.0 * f64::from(i) / f64::from(head_width);
    (0..head_width / 2).map(|i| 10000f64.powf(exponent(i)) as f32).collect()
}

#[cfg(test)]
mod tests;
