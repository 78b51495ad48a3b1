//! What a model directory says about itself: name, architecture, licence. Only what is certain.

use std::path::Path;

/// The metadata of an imported model. No paths: only the last component of the directory's name.
pub(super) fn metadata(directory: &Path, architecture: &str, dtypes: &str) -> Vec<(String, String)> {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let readme = std::fs::read_to_string(directory.join("README.md")).unwrap_or_default();
    [
        ("name", name),
        ("architecture", Some(architecture.to_owned())),
        ("source", Some(format!("Hugging Face directory, {dtypes}"))),
        ("licence", licence(&readme)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

/// The field `license` in the front matter of a model card.
fn licence(readme: &str) -> Option<String> {
    let front = readme.strip_prefix("---\n")?.split("\n---").next()?;
    let value = front.lines().find_map(|line| line.strip_prefix("license:"))?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::licence;

    #[test]
    fn licence_is_read_from_the_front_matter_only() {
        assert_eq!(
            licence("---\nlanguage: en\nlicense: apache-2.0\n---\n# A\n"),
            Some("apache-2.0".to_owned())
        );
        assert_eq!(licence("---\nlanguage: en\n---\nlicense: mit\n"), None);
        assert_eq!(licence("license: mit\n"), None);
        assert_eq!(licence("---\nlicense:\n- mit\n---\n"), None);
    }
}
