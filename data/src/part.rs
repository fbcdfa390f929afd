//! Part files: the rows of one partition, or of one split, written by an attempt under a name of its own, in a folder that attempts share.
//!
//! What is written is hashed on the way, so the manifest tells what the attempt meant to write and not what a disk
//! made of it. Rows may be packed on the way; the hash is over the bytes of the file then too, so that whoever checks or copies
//! a folder need not unpack it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use mapfold_terms::{Codec, PartSummary, PartitionId, Token};

use crate::codec::{Decoder, Encoder};
use crate::hint::begin_writeback;
use crate::storage::{is_no_space, sync_folder};

/// Rows are written in pieces of about this size: beyond it, larger ones are no faster.
const WRITE_BYTES: usize = 1 << 20;

/// The same where an attempt writes many files at once.
const WRITE_BYTES_OF_MANY: usize = 64 << 10;

/// What is read of a part file at a time.
const READ_BYTES: usize = 64 << 10;

/// Name of a partition's part file: `part-00000`, with more digits where needed, then the codec's extension.
pub fn part_name(partition: PartitionId, codec: Codec) -> String {
    named_part_name(PART, partition, codec)
}

/// The same of an output that the job has named: `errors-00000`.
pub fn named_part_name(name: &str, partition: PartitionId, codec: Codec) -> String {
    format!("{name}-{:05}{}", partition.0, codec.extension())
}

/// The first word of a part file's name, and so of no named output's.
pub const PART: &str = "part";

/// The name of a part file while it waits for its job's commit: the attempt's token makes it its own.
pub fn attempt_part_name(token: Token, partition: PartitionId, codec: Codec) -> String {
    attempt_file_name(token, &part_name(partition, codec))
}

/// The same of any file of the output.
pub fn attempt_file_name(token: Token, name: &str) -> String {
    format!("{token}-{name}")
}

/// The rows of a part file, unpacked as its name says.
///
/// # Errors
/// It cannot be opened. Damage is told where it is read.
pub fn open_part(path: &Path) -> io::Result<Decoder<BufReader<File>>> {
    let codec = Codec::of_name(&path.to_string_lossy());
    let file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
    Decoder::new(codec, file)
}

/// Writes one part file. Dropped unfinished, it removes the file, and the folder if that is empty.
pub struct PartWriter {
    path: PathBuf,
    /// Rows wait until they are so many bytes.
    write_bytes: usize,
    /// Rows that are not packed yet.
    buffer: Vec<u8>,
    /// `None` once it is finished.
    out: Option<Out>,
    rows: u64,
    unpacked_bytes: u64,
}

/// Where rows go: plain ones as they are, packed ones in pieces that are as large.
enum Out {
    Plain(Hashed),
    Packed(Box<Encoder<BufWriter<Hashed>>>),
}

/// A file whose bytes are hashed as they are written, and are on their way to the disk then.
struct Hashed {
    file: File,
    /// None in a bare part, which nobody waits to be durable.
    hasher: Option<Box<blake3::Hasher>>,
    bytes: u64,
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

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartWriter({}, {} rows)", self.path.display(), self.rows)
    }
}

impl PartWriter {
    /// Creates `folder`, if it is not there, with those above it, and in it the part file `name`, which must not exist yet.
    pub fn create(folder: &Path, name: &str, codec: Codec) -> Result<Self, WritePartError> {
        Self::create_with(folder, name, codec, Some(Box::default()), WRITE_BYTES)
    }

    /// The same for one of several that are written at once: holds fewer rows in memory.
    pub fn create_one_of_many(
        folder: &Path,
        name: &str,
        codec: Codec,
    ) -> Result<Self, WritePartError> {
        let hasher = Some(Box::default());
        Self::create_with(folder, name, codec, hasher, WRITE_BYTES_OF_MANY)
    }

    /// A part file that is neither hashed nor made durable: rows in a file, packed or not, as a program without an engine leaves them.
    /// To be ended by [`finish_bare`](Self::finish_bare).
    pub fn create_bare(folder: &Path, name: &str, codec: Codec) -> Result<Self, WritePartError> {
        Self::create_with(folder, name, codec, None, WRITE_BYTES)
    }

    fn create_with(
        folder: &Path,
        name: &str,
        codec: Codec,
        hasher: Option<Box<blake3::Hasher>>,
        write_bytes: usize,
    ) -> Result<Self, WritePartError> {
        DirBuilder::new()
            .recursive(true)
            .create(folder)
            .map_err(|source| WritePartError::new(folder, source))?;
        let path = folder.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| WritePartError::new(&path, source))?;
        let out = Out::new(codec, file, hasher, write_bytes)
            .map_err(|source| WritePartError::new(&path, source))?;
        Ok(Self {
            path,
            write_bytes,
            buffer: Vec::new(),
            out: Some(out),
            rows: 0,
            unpacked_bytes: 0,
        })
    }

    /// Adds one row; `encode` appends the whole row, its line end included, to what it is given, and must not touch what is
    /// there.
    #[inline]
    pub fn row(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), WritePartError> {
        encode(&mut self.buffer);
        self.rows += 1;
        if self.buffer.len() >= self.write_bytes {
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
        let finished = self.end(|written| written.file.sync_all())?;
        let folder = self.folder();
        if let Err(source) = sync_folder(folder) {
            self.remove();
            return Err(WritePartError::new(folder, source));
        }
        Ok(PartSummary {
            rows: self.rows,
            bytes: finished.bytes,
            unpacked_bytes: self.unpacked_bytes,
            hash: *finished
                .hasher
                .expect("only a bare part has none")
                .finalize()
                .as_bytes(),
        })
    }

    /// Writes what is left of a bare part. Returns the number of rows.
    pub fn finish_bare(mut self) -> Result<u64, WritePartError> {
        self.end(|_| Ok(()))?;
        Ok(self.rows)
    }

    /// Writes what is left; then `last` is done with the file.
    fn end(
        &mut self,
        last: impl FnOnce(&Hashed) -> io::Result<()>,
    ) -> Result<Hashed, WritePartError> {
        self.write_out()?;
        let out = self.out.take().expect("it is finished once");
        let ended = out
            .finish()
            .and_then(|written| last(&written).map(|()| written));
        ended.map_err(|source| {
            self.remove();
            WritePartError::new(&self.path, source)
        })
    }

    #[cold]
    fn write_out(&mut self) -> Result<(), WritePartError> {
        let out = self.out.as_mut().expect("nothing is written after the end");
        let written = out.write(&self.buffer);
        written.map_err(|source| WritePartError::new(&self.path, source))?;
        self.unpacked_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Best effort: the whole staging folder is removed when the job ends.
    fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_dir(self.folder());
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if self.out.is_some() {
            self.remove();
        }
    }
}

impl Out {
    fn new(
        codec: Codec,
        file: File,
        hasher: Option<Box<blake3::Hasher>>,
        write_bytes: usize,
    ) -> io::Result<Self> {
        let hashed = Hashed {
            file,
            hasher,
            bytes: 0,
        };
        if codec == Codec::Plain {
            return Ok(Self::Plain(hashed));
        }
        let buffered = BufWriter::with_capacity(write_bytes, hashed);
        Ok(Self::Packed(Box::new(Encoder::new(codec, buffered)?)))
    }

    fn write(&mut self, rows: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(rows),
            Self::Packed(encoder) => encoder.write_all(rows),
        }
    }

    /// Ends the file.
    fn finish(self) -> io::Result<Hashed> {
        match self {
            Self::Plain(file) => Ok(file),
            Self::Packed(encoder) => encoder
                .finish()?
                .into_inner()
                .map_err(io::IntoInnerError::into_error),
        }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let upto = self.bytes + written as u64;
        if let Some(hasher) = &mut self.hasher {
            begin_writeback(&self.file, self.bytes..upto);
            hasher.update(&bytes[..written]);
        }
        self.bytes = upto;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn create(folder: &Path, partition: u32, codec: Codec) -> Result<PartWriter, WritePartError> {
        PartWriter::create(folder, &part_name(PartitionId(partition), codec), codec)
    }

    #[test]
    fn a_part_holds_its_rows_and_the_summary_tells_of_them() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("staging/1-7");
        let mut part = create(&folder, 3, Codec::Plain).unwrap();
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
    fn a_bare_part_holds_its_rows_and_an_unfinished_one_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("bare");
        for finished in [false, true] {
            let name = part_name(PartitionId(0), Codec::Gzip);
            let mut part = PartWriter::create_bare(&folder, &name, Codec::Gzip).unwrap();
            for _ in 0..3 {
                part.row(|out| out.extend_from_slice(b"row\n")).unwrap();
            }
            if finished {
                assert_eq!(part.finish_bare().unwrap(), 3);
            } else {
                drop(part);
                assert!(!folder.exists());
            }
        }
        let mut rows = String::new();
        let mut part = open_part(&folder.join("part-00000.gz")).unwrap();
        part.read_to_string(&mut rows).unwrap();
        assert_eq!(rows, "row\n".repeat(3));
    }

    #[test]
    fn a_part_without_rows_is_an_empty_file() {
        let base = tempfile::tempdir().unwrap();
        let part = create(base.path(), 0, Codec::Plain).unwrap();
        let path = part.path().to_owned();
        assert_eq!(part.finish().unwrap().bytes, 0);
        assert_eq!(std::fs::read(path).unwrap(), b"");
    }

    #[test]
    fn a_packed_part_unpacks_to_its_rows_and_its_hash_is_that_of_the_file() {
        let base = tempfile::tempdir().unwrap();
        let row = |n: u32| format!("row {n}\n").into_bytes();
        let want: Vec<u8> = (0..200_000).flat_map(row).collect();
        for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4] {
            let mut part = create(base.path(), 3, codec).unwrap();
            for n in 0..200_000 {
                part.row(|out| out.extend_from_slice(&row(n))).unwrap();
            }
            let summary = part.finish().unwrap();
            let path = base.path().join(part_name(PartitionId(3), codec));
            let stored = std::fs::read(&path).unwrap();
            assert_eq!(
                (summary.rows, summary.bytes, summary.unpacked_bytes),
                (200_000, stored.len() as u64, want.len() as u64)
            );
            assert!(stored.len() < want.len() / 2);
            assert_eq!(summary.hash, *blake3::hash(&stored).as_bytes());
            let mut unpacked = Vec::new();
            open_part(&path)
                .unwrap()
                .read_to_end(&mut unpacked)
                .unwrap();
            assert!(unpacked == want, "{codec:?}");
        }
    }

    #[test]
    fn a_packed_part_without_rows_unpacks_to_nothing() {
        let base = tempfile::tempdir().unwrap();
        for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4] {
            let part = create(base.path(), 0, codec).unwrap();
            let path = part.path().to_owned();
            assert!(part.finish().unwrap().bytes > 0);
            let mut unpacked = Vec::new();
            open_part(&path)
                .unwrap()
                .read_to_end(&mut unpacked)
                .unwrap();
            assert_eq!(unpacked, b"");
        }
    }

    #[test]
    fn an_unfinished_part_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("1-7");
        for codec in Codec::ALL {
            let mut part = create(&folder, 0, codec).unwrap();
            part.row(|out| out.extend_from_slice(&[b'x'; 2 << 20]))
                .unwrap();
            drop(part);
            assert!(!folder.exists());
        }
    }

    #[test]
    fn a_part_that_exists_is_not_touched() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("part-00000");
        std::fs::write(&path, "earlier").unwrap();
        let error = create(base.path(), 0, Codec::Plain).unwrap_err();
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
        for codec in Codec::ALL {
            let mut part = create(&folder, 0, codec).unwrap();
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            part.out = Some(Out::new(codec, full, Some(Box::default()), WRITE_BYTES).unwrap());
            part.row(|out| out.extend_from_slice(b"row\n")).unwrap();
            let error = part.finish().unwrap_err();
            assert!(error.is_no_space(), "{error:?}");
            assert!(!folder.exists());
        }
    }

    #[test]
    fn names_sort_as_partitions_do_up_to_five_digits() {
        assert_eq!(part_name(PartitionId(7), Codec::Plain), "part-00007");
        assert_eq!(part_name(PartitionId(7), Codec::Zstd), "part-00007.zst");
        assert_eq!(part_name(PartitionId(123_456), Codec::Plain), "part-123456");
        assert_eq!(
            named_part_name("errors", PartitionId(7), Codec::Gzip),
            "errors-00007.gz"
        );
    }
}
