//! A written file that has no name yet: where the golden transcript is put in, and where the name is given.

use super::error::ExportError;
use super::tables::Tables;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use whit::format::{Crc32, Golden};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of its tensor data.
    pub data_bytes: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Weights in them, without padding.
    pub weights: u64,
}

/// A whole `.whit` file under a temporary name; dropping it removes it.
///
/// If the process is killed, a hidden file ending in `.part` may stay behind; never a half-written output.
#[derive(Debug)]
pub struct Pending {
    pub(super) tables: Tables,
    pub(super) file: NamedTempFile,
    out: PathBuf,
}

impl Pending {
    /// An empty file in the folder of `out`.
    pub(super) fn create(tables: Tables, out: &Path) -> Result<Self, ExportError> {
        let file = beside(out)?;
        Ok(Self { tables, file, out: out.to_owned() })
    }

    /// Takes the payload's checksum by reading it back, and writes the tables.
    pub(super) fn seal(&mut self) -> Result<(), ExportError> {
        let start = self.tables.writer().tables_len();
        self.tables.payload_crc = self.checksum_from(start).map_err(ExportError::io(&self.out))?;
        self.write_tables()
    }

    /// Where the file is now; it can be mapped and run.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What was written.
    pub fn report(&self) -> Report {
        let entries = &self.tables.entries;
        Report {
            bytes: self.tables.writer().offsets().1,
            data_bytes: self.tables.data_len,
            tensors: entries.len(),
            weights: entries.iter().map(|entry| u64::from(entry.rows) * u64::from(entry.cols)).sum(),
        }
    }

    /// Puts the golden transcript (see [`Golden`]) into the room that
    /// [`ExportOptions::golden`](super::ExportOptions::golden) left for it.
    ///
    /// # Errors
    /// If it is not a valid transcript of the lengths announced, or cannot be written.
    pub fn set_golden(&mut self, golden: &[u8]) -> Result<(), ExportError> {
        Golden::parse(golden, &self.tables.architecture)?;
        if golden.len() != self.tables.golden.len() {
            return Err(whit::Error::Section {
                section: "golden transcript",
                problem: "it does not have the lengths that the export left room for",
            }
            .into());
        }
        self.tables.golden = golden.to_vec();
        self.write_tables()
    }

    /// Gives the file its name, replacing what had it, once all of it is on the disk.
    ///
    /// # Errors
    /// If the file cannot be written or renamed; it is removed then.
    pub fn commit(self) -> Result<Report, ExportError> {
        let report = self.report();
        name(self.file, &self.out)?;
        Ok(report)
    }

    fn checksum_from(&mut self, start: u64) -> io::Result<u32> {
        let file = self.file.as_file_mut();
        file.seek(SeekFrom::Start(start))?;
        let mut crc = Crc32::default();
        let mut bytes = vec![0; 1 << 16];
        loop {
            match file.read(&mut bytes)? {
                0 => return Ok(crc.value()),
                n => crc.update(&bytes[..n]),
            }
        }
    }

    fn write_tables(&mut self) -> Result<(), ExportError> {
        let bytes = self.tables.to_bytes()?;
        let file = self.file.as_file_mut();
        let io = ExportError::io(&self.out);
        file.seek(SeekFrom::Start(0)).map_err(&io)?;
        file.write_all(&bytes).map_err(&io)
    }
}

/// A temporary file in the folder of `out`.
fn beside(out: &Path) -> Result<NamedTempFile, ExportError> {
    if !folder(out).is_dir() {
        let problem = "its folder does not exist; make it, or choose another";
        return Err(ExportError::io(out)(io::Error::new(io::ErrorKind::NotFound, problem)));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".whit-").suffix(".part");
    // Temporary files are private; this one becomes an ordinary file, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(out)).map_err(ExportError::io(out))
}

/// Gives `file` the name `out`, replacing what had it, once all of it is on the disk.
fn name(file: NamedTempFile, out: &Path) -> Result<(), ExportError> {
    let io = ExportError::io(out);
    file.as_file().sync_all().map_err(&io)?;
    file.persist(out).map_err(|error| io(error.error))?;
    // The new name is on the disk when the folder is; not every file system can say so.
    #[cfg(unix)]
    let _ = std::fs::File::open(folder(out)).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Writes a file that is whole in memory.
///
/// # Errors
/// If it cannot be written or renamed; nothing is left behind then.
pub(crate) fn write_whole(out: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    let mut file = beside(out)?;
    file.as_file_mut().write_all(bytes).map_err(ExportError::io(out))?;
    name(file, out)
}

/// The folder that `path` lies in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
