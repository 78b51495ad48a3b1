//! Named f32 tensors in a safetensors file, with one text beside them.

use super::files::write_whole;
use super::parameters::NamedTensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::io;
use std::path::Path;

/// Writes `tensors` to `path`, whole or not at all, with `text` as the field `name` of the metadata.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(
    path: &Path,
    tensors: impl IntoIterator<Item = NamedTensor>,
    (name, text): (&str, &str),
) -> io::Result<()> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|NamedTensor { name, shape, values }| {
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(io::Error::other)?;
    // One field alone: the crate keeps several in an order of its own each time.
    let metadata = [(name.to_owned(), text.to_owned())].into_iter().collect();
    write_whole(path, &serialize(views, Some(metadata)).map_err(io::Error::other)?)
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// If the file cannot be read, is damaged, has other numbers than f32, or has no text `name`.
pub(super) fn read(path: &Path, name: &str) -> io::Result<(Vec<NamedTensor>, String)> {
    let bytes = std::fs::read(path)?;
    let damaged = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|fields| fields.get(name).cloned());
    let text =
        text.ok_or_else(|| damaged(format!("expected the field `{name}` in its metadata, found none")))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(format!("tensor `{name}`: expected type F32, found {:?}", view.dtype())));
        }
        let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), values })
    };
    Ok((file.iter().map(tensor).collect::<io::Result<_>>()?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
        NamedTensor { name: name.to_owned(), shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn tensors_come_back_to_the_bit_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let (path, again) = (folder.path().join("a"), folder.path().join("b"));
        let tensors = [
            tensor("bias", &[1], &[0.1]),
            tensor("none", &[0], &[]),
            tensor("weight", &[2, 2], &[1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX]),
        ];
        write(&path, tensors.clone(), ("state", "{}")).expect("written");
        write(&again, tensors.clone(), ("state", "{}")).expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), std::fs::read(&again).expect("there"));
        let (mut found, text) = read(&path, "state").expect("whole");
        found.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(text, "{}");
        let bits =
            |tensor: &NamedTensor| tensor.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(found.iter().map(bits).collect::<Vec<_>>(), tensors.iter().map(bits).collect::<Vec<_>>());
        assert_eq!(found, tensors);
    }

    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let path = folder.path().join("a");
        write(&path, [tensor("weight", &[4], &[1.0; 4])], ("state", "{}")).expect("written");
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
