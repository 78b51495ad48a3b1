//! What a model family tells the importer: its description, and which tensors of the source make up a tensor of
//! the runtime.

use super::config::Fields;
use super::shards::Shards;
use crate::import::Problem;
use crate::import::rows::Order;
use whit::format::{Architecture, Role};
use whit::kernels::Activation;

/// A matrix of the source, seen as `[rows, cols]` = `[outputs, inputs]`, or a vector with `rows` 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Name without the family's prefix.
    pub name: String,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// How the file stores it.
    pub order: Order,
}

/// Where the numbers of one tensor of the runtime come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recipe {
    /// Matrices below each other, or vectors behind each other.
    Parts(Vec<Part>),
    /// Numbers that follow from the configuration.
    Values(Vec<f32>),
}

/// A family of models.
pub(super) trait Family {
    /// What the model computes.
    fn architecture(&self) -> Architecture;

    /// Looks at the shapes of the tensors before any is taken.
    fn look(&mut self, shards: &Shards);

    /// Where the tensor of `role` in `layer` comes from. Only asked for tensors that the description has.
    fn recipe(&self, role: Role, layer: u16) -> Recipe;

    /// Whether a tensor takes no part in the arithmetic.
    fn is_ignored(&self, name: &str) -> bool;
}

/// The element-wise function that Hugging Face calls `name`.
pub(super) fn activation(fields: &mut Fields, name: &str, default: &str) -> Activation {
    let function = fields.text(name, default);
    match function.as_str() {
        "silu" | "swish" => Activation::Silu,
        "gelu" | "gelu_python" => Activation::GeluErf,
        // One formula under several names; the last two write its constant √(2/π) with fewer digits.
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_accurate" | "gelu_fast" => {
            Activation::GeluTanh
        }
        "relu" => Activation::Relu,
        _ => {
            let expected = "`silu`, `gelu`, `gelu_new`, `gelu_pytorch_tanh` or `relu`";
            fields.problem(name, expected, format!("`{function}`"), "whit does not compute this function");
            Activation::Silu
        }
    }
}

/// Reads how many positions the model was made for, at most what the format can say: Llama 3.1 says 131,072, one
/// more.
pub(super) fn context(fields: &mut Fields, name: &str, default: Option<u32>) -> u32 {
    fields.count(name, default, 1 << 24).min(131_071)
}

/// Keeps a problem for the first field of the description that is out of the format's range.
pub(super) fn check(architecture: &Architecture, problems: &mut Vec<Problem>) {
    if problems.is_empty()
        && let Err(error) = architecture.check()
    {
        problems.push(Problem {
            file: "config.json".to_owned(),
            subject: "architecture".to_owned(),
            expected: "sizes that the file format can say".to_owned(),
            found: error.to_string(),
            remedy: "",
        });
    }
}

/// `name` split as `layers.<number>.<rest>`, given "layers.".
pub(super) fn in_layer<'a>(name: &'a str, layers: &str) -> Option<&'a str> {
    let (number, rest) = name.strip_prefix(layers)?.split_once('.')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)
}
