//! Files that appear whole or not at all, whenever the process is killed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const PREFIX: &str = ".whit-";
const SUFFIX: &str = ".part";

/// Writes `bytes` to `path`, replacing what is there in one step once all of it is on the disk.
///
/// # Errors
/// If the folder does not take the file; what was at `path` is still there then.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Temporary files are private; this one becomes an ordinary file, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The new name is on the disk when the folder is; not every file system can say so.
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Removes what a killed process left unfinished in `folder`. Only for the process that owns the folder's contents.
pub(super) fn remove_unfinished(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let unfinished = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if unfinished {
            // It is in nobody's way if it stays.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_leftovers_go() {
        let folder = tempfile::tempdir().expect("room for a folder");
        let path = folder.path().join("state");
        write_whole(&path, b"one").expect("written");
        write_whole(&path, b"two").expect("written");
        fs::write(folder.path().join(".whit-abc.part"), b"half").expect("written");
        fs::write(folder.path().join(".whit-notes"), b"mine").expect("written");
        remove_unfinished(folder.path());
        assert_eq!(fs::read(&path).expect("there"), b"two");
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, [".whit-notes", "state"]);
    }
}
