//! Part files: the rows of one partition, written by a reduce attempt into a folder of its own.
//!
//! What is written is hashed on the way, so the manifest tells what the attempt meant to write and not what a disk
//! made of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mapfold_terms::{PartSummary, PartitionId};

use crate::storage::{is_no_space, sync_folder};

/// Rows are written in pieces of about this size: beyond it, larger ones are no faster.
const WRITE_BYTES: usize = 1 << 20;

/// Name of a partition's part file: `part-00000`, with more digits where needed.
pub fn part_name(partition: PartitionId) -> String {
    format!("part-{:05}", partition.0)
}

/// Writes one part file. Dropped unfinished, it removes the file, and the folder if that is empty.
#[derive(Debug)]
pub struct PartWriter {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    hasher: Box<blake3::Hasher>,
    rows: u64,
    bytes: u64,
    finished: bool,
}

/// Why a part file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WritePartError {
    /// The disk of the output is full.
    #[error("no space left to write {}", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It could not be created, written or made durable. Never tried again on the same file.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl WritePartError {
    /// Whether the cause is a full disk.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_no_space(&source) {
            Self::NoSpace { path, source }
        } else {
            Self::Io { path, source }
        }
    }
}

impl PartWriter {
    /// Creates the attempt's own `folder` (and those above it) and in it the part file of `partition`, which must
    /// not exist yet.
    pub fn create(folder: &Path, partition: PartitionId) -> Result<Self, WritePartError> {
        DirBuilder::new()
            .recursive(true)
            .create(folder)
            .map_err(|source| WritePartError::new(folder, source))?;
        let path = folder.join(part_name(partition));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| WritePartError::new(&path, source))?;
        Ok(Self {
            path,
            file,
            buffer: Vec::new(),
            hasher: Box::default(),
            rows: 0,
            bytes: 0,
            finished: false,
        })
    }

    /// Adds one row; `encode` appends the whole row, its line end included, to what it is given, and must not touch what is
    /// there.
    #[inline]
    pub fn row(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), WritePartError> {
        encode(&mut self.buffer);
        self.rows += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is left and makes file and folder durable.
    pub fn finish(mut self) -> Result<PartSummary, WritePartError> {
        self.write_out()?;
        let synced = self.file.sync_all();
        synced.map_err(|source| WritePartError::new(&self.path, source))?;
        let folder = self.folder();
        sync_folder(folder).map_err(|source| WritePartError::new(folder, source))?;
        self.finished = true;
        Ok(PartSummary {
            rows: self.rows,
            bytes: self.bytes,
            hash: *self.hasher.finalize().as_bytes(),
        })
    }

    #[cold]
    fn write_out(&mut self) -> Result<(), WritePartError> {
        self.hasher.update(&self.buffer);
        let written = self.file.write_all(&self.buffer);
        written.map_err(|source| WritePartError::new(&self.path, source))?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the whole staging folder is removed when the job ends.
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_dir(self.folder());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_holds_its_rows_and_the_summary_tells_of_them() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("staging/1-7");
        let mut part = PartWriter::create(&folder, PartitionId(3)).unwrap();
        let mut want = Vec::new();
        for n in 0..200_000_u32 {
            let row = format!("row {n}\n");
            part.row(|out| out.extend_from_slice(row.as_bytes()))
                .unwrap();
            want.extend_from_slice(row.as_bytes());
        }
        let summary = part.finish().unwrap();
        let got = std::fs::read(folder.join("part-00003")).unwrap();
        assert!(got == want);
        assert_eq!((summary.rows, summary.bytes), (200_000, want.len() as u64));
        assert_eq!(summary.hash, *blake3::hash(&want).as_bytes());
    }

    #[test]
    fn a_part_without_rows_is_an_empty_file() {
        let base = tempfile::tempdir().unwrap();
        let part = PartWriter::create(base.path(), PartitionId(0)).unwrap();
        let path = part.path().to_owned();
        assert_eq!(part.finish().unwrap().bytes, 0);
        assert_eq!(std::fs::read(path).unwrap(), b"");
    }

    #[test]
    fn an_unfinished_part_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("1-7");
        drop(PartWriter::create(&folder, PartitionId(0)).unwrap());
        assert!(!folder.exists());
    }

    #[test]
    fn a_part_that_exists_is_not_touched() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("part-00000");
        std::fs::write(&path, "earlier").unwrap();
        let error = PartWriter::create(base.path(), PartitionId(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}", path.display())
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"earlier");
    }

    #[test]
    fn a_full_disk_is_told_apart_and_leaves_no_file() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("1-7");
        let mut part = PartWriter::create(&folder, PartitionId(0)).unwrap();
        part.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        part.row(|out| out.extend_from_slice(b"row\n")).unwrap();
        let error = part.finish().unwrap_err();
        assert!(error.is_no_space(), "{error:?}");
        assert!(!folder.exists());
    }

    #[test]
    fn names_sort_as_partitions_do_up_to_five_digits() {
        assert_eq!(part_name(PartitionId(7)), "part-00007");
        assert_eq!(part_name(PartitionId(123_456)), "part-123456");
    }
}
