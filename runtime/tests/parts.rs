//! What is said of a file that needs a part of the runtime which the program was built without: the same tests for every
//! choice of features, `cargo test -p whit --test parts --no-default-features --features …`.

use whit::format::{
    Architecture, Cell, Crc32, Description, Direction, MOST_RECURRENT_LAYERS, NormKind, Normalization,
    Recurrent,
};
use whit::tokenizer::TokenizerError;
use whit::{Aligned, CacheKind, Error, Model, SessionOptions};

/// An LSTM.
const LSTM: &[u8] = whit::include_model!("../../models/shakespeare-small/model.whit");
/// A Llama.
const LLAMA: &[u8] = whit::include_model!("../../tests/files/tiny.whit");
/// A Llama with a tokenizer that cuts texts into words.
const WORDS: &[u8] = whit::include_model!("../../models/tinystories/model.whit");

/// The feature that a program needs, of those that were found missing.
fn missing<T>(result: Result<T, Error>) -> Option<&'static str> {
    match result {
        Err(Error::LeftOut { part } | Error::Tokenizer(TokenizerError::LeftOut { part })) => {
            part.split('`').nth(1)
        }
        _ => None,
    }
}

/// The first of these features that this build has not.
fn first_without(features: &[(&'static str, bool)]) -> Option<&'static str> {
    features.iter().find(|(_, is_there)| !is_there).map(|(name, _)| *name)
}

const RECURRENT: (&str, bool) = ("recurrent", cfg!(feature = "recurrent"));
const ALL_RECURRENT: (&str, bool) = ("all-recurrent", cfg!(feature = "all-recurrent"));
const TRANSFORMER: (&str, bool) = ("transformer", cfg!(feature = "transformer"));
const ALL_TRANSFORMERS: (&str, bool) = ("all-transformers", cfg!(feature = "all-transformers"));
const FLOATS: (&str, bool) = ("floats", cfg!(feature = "floats"));

#[test]
fn a_model_is_refused_by_the_name_of_the_feature_that_it_needs() {
    assert_eq!(missing(Model::parse(LSTM)), first_without(&[RECURRENT]));
    assert_eq!(missing(Model::parse(LLAMA)), first_without(&[TRANSFORMER]));
    let words = ("words", cfg!(feature = "words"));
    assert_eq!(missing(Model::parse(WORDS)), first_without(&[TRANSFORMER, words]));
}

#[test]
fn what_is_there_opens() {
    assert_eq!(Model::parse(LSTM).is_ok(), RECURRENT.1);
    assert_eq!(Model::parse(LLAMA).is_ok(), TRANSFORMER.1);
}

#[test]
fn other_recurrent_models_need_their_own_feature() {
    let lstm = Recurrent {
        vocabulary: 5,
        input: 4,
        layers: 1,
        head: 5,
        cell: Cell::Lstm,
        direction: Direction::Forward,
        normalization: Normalization::None,
        tied: false,
        bias: true,
        head_bias: true,
        projected: false,
        hidden: std::array::from_fn(|layer| if layer == 0 { 4 } else { 0 }),
        projection: [0; MOST_RECURRENT_LAYERS],
    };
    let missing = |model: Recurrent| missing(Architecture::parse(&Architecture::from(model).to_bytes()));
    assert_eq!(missing(lstm), first_without(&[RECURRENT]));
    for other in [
        Recurrent { cell: Cell::GruResetAfter, ..lstm },
        Recurrent { direction: Direction::Both, ..lstm },
        Recurrent { vocabulary: 0, ..lstm },
    ] {
        assert_eq!(missing(other), first_without(&[RECURRENT, ALL_RECURRENT]));
    }
}

/// The description in [`LLAMA`], where it can be read.
fn llama() -> Option<Description> {
    Model::parse(LLAMA).ok()?.architecture().transformer().copied()
}

#[test]
fn other_transformers_need_their_own_feature() {
    let Some(llama) = llama() else { return assert!(!TRANSFORMER.1) };
    let other = Description { norm: NormKind::Layer, ..llama };
    assert_eq!(missing(Description::parse(&other.to_bytes())), first_without(&[ALL_TRANSFORMERS]));
    assert_eq!(missing(Description::parse(&llama.to_bytes())), None);
}

#[test]
fn floats_need_their_own_feature() {
    let mut file = Aligned::<[u8; LLAMA.len()]>::zeroed();
    file.copy_from_slice(LLAMA);
    // The encoding of the first matrix; without the feature nobody looks further, whether that fits the rest.
    let table = u64::from_le_bytes(LLAMA[96..104].try_into().expect("eight bytes")) as usize;
    file[table + 4] = 0;
    let tables = u64::from_le_bytes(LLAMA[24..32].try_into().expect("eight bytes")) as usize;
    file[32..36].fill(0);
    let crc = Crc32::of(&file[..tables]);
    file[32..36].copy_from_slice(&crc.to_le_bytes());
    let error = Model::parse(&file).err();
    assert!(matches!(error, Some(Error::Tensor { .. } | Error::LeftOut { .. })), "{error:?}");
    assert_eq!(missing(Model::parse(&file)), first_without(&[TRANSFORMER, FLOATS]));

    let Ok(model) = Model::parse(LLAMA) else { return assert!(!TRANSFORMER.1) };
    let options = SessionOptions { cache: CacheKind::F32, ..model.options(8) };
    assert_eq!(missing(model.arena_size(&options)), first_without(&[FLOATS]));
}

#[test]
fn several_workers_need_their_own_feature() {
    let Ok(model) = Model::parse(LLAMA) else { return assert!(!TRANSFORMER.1) };
    let two = model.arena_size(&SessionOptions { workers: 2, ..model.options(8) });
    assert_eq!(two.is_ok(), cfg!(feature = "parallel"), "{two:?}");
}
