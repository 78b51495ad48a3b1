//! The header of a llama2.c file: which layout, and seven sizes that are checked before they are used.

use super::{ImportError, Problem};

const MAGIC: u32 = 0x616b_3432;

/// How the rest of the file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Seven sizes, then the tensors; a negative vocabulary says that the head is not the embedding.
    Legacy,
    /// Magic number, version, seven sizes and a flag in 256 bytes, then the tensors.
    Version1,
}

impl Layout {
    /// Bytes before the first tensor.
    pub(super) fn header_len(self) -> usize {
        match self {
            Self::Legacy => 28,
            Self::Version1 => 256,
        }
    }

    /// The name that metadata uses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "llama2.c checkpoint (legacy)",
            Self::Version1 => "llama2.c checkpoint (version 1)",
        }
    }
}

/// What the header says; every size is in the range that a [`Description`](whit::format::Description) allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) layout: Layout,
    pub(super) width: u32,
    pub(super) hidden: u32,
    pub(super) layers: u32,
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    pub(super) vocabulary: u32,
    pub(super) context: u32,
    pub(super) tied: bool,
}

/// The sizes in the order of the file, with the most that whit supports.
const FIELDS: [(&str, u32); 7] = [
    ("dim", 1 << 16),
    ("hidden_dim", 131_071),
    ("n_layers", 1 << 10),
    ("n_heads", 1 << 10),
    ("n_kv_heads", 1 << 10),
    ("vocab_size", 1 << 24),
    ("max_seq_len", 131_071),
];

impl Header {
    /// Reads the header that `bytes` start with.
    pub(super) fn parse(bytes: &[u8], file: &str) -> Result<Self, ImportError> {
        let layout = layout(bytes, file)?;
        let fields_at = if layout == Layout::Legacy { 0 } else { 8 };
        let mut sizes: [i32; 7] = std::array::from_fn(|i| word(bytes, fields_at + 4 * i) as i32);
        let tied = match layout {
            Layout::Legacy => sizes[5] > 0,
            Layout::Version1 => bytes[36] != 0,
        };
        if layout == Layout::Legacy {
            sizes[5] = sizes[5].saturating_abs();
        }
        let mut problems = Vec::new();
        let mut expect = |field: &str, holds: bool, expected: String, found: i32| {
            if !holds {
                let (file, subject) = (file.to_owned(), format!("header field `{field}`"));
                let (found, remedy) = (found.to_string(), "is this a llama2.c checkpoint?");
                problems.push(Problem { file, subject, expected, found, remedy });
            }
        };
        for ((field, most), size) in FIELDS.into_iter().zip(sizes) {
            expect(field, (1..=most as i32).contains(&size), format!("1 to {most}"), size);
        }
        let [width, hidden, layers, heads, kv_heads, vocabulary, context] = sizes;
        if heads > 0 && kv_heads > 0 {
            expect("n_kv_heads", heads % kv_heads == 0, format!("a divisor of n_heads ({heads})"), kv_heads);
            let even_heads = width % heads == 0 && width / heads % 2 == 0;
            expect("dim", even_heads, format!("an even multiple of n_heads ({heads})"), width);
        }
        if !problems.is_empty() {
            return Err(ImportError::Problems(problems));
        }
        // All sizes are positive.
        let [width, hidden, layers] = [width, hidden, layers].map(i32::unsigned_abs);
        let [heads, kv_heads, vocabulary, context] =
            [heads, kv_heads, vocabulary, context].map(i32::unsigned_abs);
        Ok(Self { layout, width, hidden, layers, heads, kv_heads, vocabulary, context, tied })
    }
}

fn layout(bytes: &[u8], file: &str) -> Result<Layout, ImportError> {
    let fail = |subject: &str, expected: String, found: String, remedy| {
        let (file, subject) = (file.to_owned(), subject.to_owned());
        Err(Problem { file, subject, expected, found, remedy }.into())
    };
    let has_magic = bytes.len() >= 8 && word(bytes, 0) == MAGIC;
    let layout = match has_magic.then(|| word(bytes, 4)) {
        None => Layout::Legacy,
        Some(1) => Layout::Version1,
        Some(2) => {
            let (expected, found) = ("f32 weights (version 1 or legacy)", "version 2, quantized weights");
            let remedy = "export the original with llama2.c's `export.py --version 1`; whit quantizes itself";
            return fail("header field `version`", expected.into(), found.into(), remedy);
        }
        Some(found) => {
            return fail("header field `version`", "1".into(), (found as i32).to_string(), "");
        }
    };
    if bytes.len() < layout.header_len() {
        let (expected, found) = (layout.header_len(), bytes.len());
        let remedy = "fetch the file again: it is cut short";
        return fail("header", format!("{expected} bytes"), format!("{found} bytes"), remedy);
    }
    Ok(layout)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
