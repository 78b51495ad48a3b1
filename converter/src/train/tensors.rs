//! Named f32 tensors in a safetensors file, with one text beside them.

use super::files::write_whole;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A tensor in memory, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Rows, columns; one number for a vector.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Writes `tensors` to `path`, whole or not at all, with `text` as the metadata's field `name`.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(path: &Path, tensors: &Tensors, (name, text): (&str, &str)) -> io::Result<()> {
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| (name, tensor, tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (*name, view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    // One field alone: the crate keeps several in an order of its own each time.
    let metadata = [(name.to_owned(), text.to_owned())].into_iter().collect();
    write_whole(path, &serialize(views, Some(metadata)).map_err(io::Error::other)?)
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// If the file cannot be read, is damaged, has other numbers than f32, or has no text `name`.
pub(super) fn read(path: &Path, name: &str) -> io::Result<(Tensors, String)> {
    let bytes = std::fs::read(path)?;
    let damaged = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|fields| fields.get(name).cloned());
    let text = text.ok_or_else(|| damaged(format!("expected the field `{name}` in its metadata, found none")))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(format!("tensor `{name}`: expected type F32, found {:?}", view.dtype())));
        }
        let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        tensors.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), values });
    }
    Ok((tensors, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_to_the_bit_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let (path, again) = (folder.path().join("a"), folder.path().join("b"));
        let tensor = |shape: &[usize], values: &[f32]| Tensor { shape: shape.to_vec(), values: values.to_vec() };
        let tensors = Tensors::from([
            ("weight".to_owned(), tensor(&[2, 2], &[1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX])),
            ("bias".to_owned(), tensor(&[1], &[0.1])),
            ("none".to_owned(), tensor(&[0], &[])),
        ]);
        write(&path, &tensors, ("state", "{}")).expect("written");
        write(&again, &tensors, ("state", "{}")).expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), std::fs::read(&again).expect("there"));
        let (found, text) = read(&path, "state").expect("whole");
        assert_eq!((found.keys().collect::<Vec<_>>(), text.as_str()), (tensors.keys().collect(), "{}"));
        for (name, tensor) in &tensors {
            let bits = |tensor: &Tensor| tensor.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!((&found[name].shape, bits(&found[name])), (&tensor.shape, bits(tensor)));
        }
    }

    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let path = folder.path().join("a");
        let tensor = Tensor { shape: vec![4], values: vec![1.0; 4] };
        write(&path, &Tensors::from([("weight".to_owned(), tensor)]), ("state", "{}")).expect("written");
        let whole = std::fs::read(&path).expect("there");
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).expect("written");
            assert!(read(&path, "state").is_err(), "{len} of {} bytes", whole.len());
        }
        std::fs::write(&path, &whole).expect("written");
        let error = read(&path, "other").expect_err("there is no such field");
        assert!(error.to_string().contains("`other`"), "{error}");
    }
}
