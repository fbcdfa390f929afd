//! Rows of Parquet files, each as a line of JSON.
//!
//! A Parquet file is cut into row groups, which its footer lists. The plan cuts it at any byte, as it does with text, and a row group belongs to the
//! piece in which its first byte lies: so planning reads no file, and each row group is read once. A piece in which none begins has no rows.
//!
//! Rows, and not columns, because that is what a `map` function takes; the `parquet` crate puts them together. It is used without arrow, which would be three
//! times as much to build. Its memory, some pages of each column, comes on top of a job's budget. It panics on some files that are
//! damaged, or that use what it does not know; that is told as an error.

use std::any::Any;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;

use mapfold_terms::{ByteSize, Format, Piece};
use parquet::basic::{ConvertedType, Repetition};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::Type;

use super::checked_file::CheckedFile;
use super::{Block, ReadSplitError};

mod json;
#[cfg(test)]
mod tests;

/// Whether this program reads `--format parquet`.
pub const READS_PARQUET: bool = true;

/// Bytes of lines in a block.
const BLOCK_BYTES: usize = 256 << 10;

/// Reads the row groups that begin in one piece.
pub(super) struct RowReader<'s> {
    piece: &'s Piece,
    file: CheckedFile<'s>,
    parquet: SerializedFileReader<PlannedFile>,
    groups: vec::IntoIter<RowGroup>,
    current: Option<(RowGroup, ReaderIter)>,
    /// Bytes of the longest line.
    limit: usize,
    rows_total: u64,
    rows_read: u64,
    /// The file has no row, and has still to be shown to the job.
    empty: bool,
    /// The block: lines, and which row the first is.
    lines: Vec<u8>,
    first_row: u64,
}

/// One row group, and how far it has been read.
struct RowGroup {
    index: usize,
    /// The rows of all row groups before it.
    first_row: u64,
    /// Of its own.
    rows_read: u64,
}

impl<'s> RowReader<'s> {
    /// Reads the footer. A line longer than `limit` is an error.
    pub(super) fn open(piece: &'s Piece, limit: usize) -> Result<Self, ReadSplitError> {
        let file = CheckedFile::open(&piece.file)?;
        let planned = PlannedFile {
            file: file.shared()?,
            len: piece.file.fingerprint.len,
        };
        let opened = caught(|| {
            let parquet = SerializedFileReader::new(planned)?;
            let schema = parquet.metadata().file_metadata().schema_descr();
            refuse_bare_repeats(schema.root_schema(), false)?;
            let groups = groups_of(parquet.metadata().row_groups(), piece);
            Ok((parquet, groups))
        });
        let (parquet, groups) = opened.map_err(|fault| not_read(&file, None, fault))?;
        let rows_in = |group: &RowGroup| rows_of(parquet.metadata().row_group(group.index));
        Ok(Self {
            rows_total: groups.iter().map(rows_in).sum(),
            rows_read: 0,
            empty: piece.start == 0
                && parquet
                    .metadata()
                    .row_groups()
                    .iter()
                    .all(|group| rows_of(group) == 0),
            groups: groups.into_iter(),
            current: None,
            lines: Vec::new(),
            first_row: 0,
            piece,
            file,
            parquet,
            limit,
        })
    }

    /// Makes the next [`block`](Self::block); `false` if there is none, and the file is as it was planned.
    pub(super) fn fill(&mut self) -> Result<bool, ReadSplitError> {
        self.lines.clear();
        let filled = caught(|| self.fill_lines());
        filled.map_err(|fault| {
            // One that cannot be begun is still to come.
            let at = self.current.as_ref().map(|(group, _)| group);
            let at = at.or(self.groups.as_slice().first());
            let at = at.map(|group| (group.index, group.rows_read));
            not_read(&self.file, at, fault)
        })?;
        if self.lines.is_empty() && !std::mem::take(&mut self.empty) {
            self.file.verify()?;
            return Ok(false);
        }
        Ok(true)
    }

    fn fill_lines(&mut self) -> Result<(), Fault> {
        while self.lines.is_empty() {
            let Some((group, rows)) = &mut self.current else {
                let Some(group) = self.groups.as_slice().first() else {
                    return Ok(());
                };
                let schema = self.parquet.metadata().file_metadata().schema_descr_ptr();
                let reader = self.parquet.get_row_group(group.index)?;
                let rows = TreeBuilder::new().as_iter(schema, &*reader)?;
                self.current = self.groups.next().zip(Some(rows));
                continue;
            };
            self.first_row = group.first_row + group.rows_read;
            while self.lines.len() < BLOCK_BYTES
                && let Some(row) = rows.next()
            {
                let start = self.lines.len();
                json::write_row(&row?, &mut self.lines)?;
                if self.lines.len() - start > self.limit {
                    let limit = ByteSize(self.limit as u64);
                    return Err(Fault::TooLong { limit });
                }
                self.lines.push(b'\n');
                group.rows_read += 1;
                self.rows_read += 1;
            }
            if self.lines.is_empty() {
                self.current = None;
            }
        }
        Ok(())
    }

    /// What [`fill`](Self::fill) has made.
    pub(super) fn block(&self) -> Block<'_> {
        let row_group = self
            .current
            .as_ref()
            .map(|(group, _)| u32::try_from(group.index).unwrap_or(u32::MAX));
        Block::new(
            &self.piece.file,
            self.first_row,
            &self.lines,
            Format::Parquet,
        )
        .of_row_group(row_group)
    }

    /// Bytes of the piece, in the measure in which its rows have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        let bytes = u128::from(self.piece.end - self.piece.start);
        let read = match self.rows_total {
            0 => bytes,
            total => bytes * u128::from(self.rows_read) / u128::from(total),
        };
        u64::try_from(read).unwrap_or(u64::MAX)
    }
}

/// The row groups whose first byte lies in the piece.
fn groups_of(all: &[RowGroupMetaData], piece: &Piece) -> Vec<RowGroup> {
    let mut groups = Vec::new();
    let mut rows_before = 0;
    for (index, group) in all.iter().enumerate() {
        if (piece.start..piece.end).contains(&first_byte(group)) {
            groups.push(RowGroup {
                index,
                first_row: rows_before,
                rows_read: 0,
            });
        }
        rows_before += rows_of(group);
    }
    groups
}

/// That of the first column's first page. Some writers say 0 where there is no dictionary.
fn first_byte(group: &RowGroupMetaData) -> u64 {
    let first = group.columns().first().map_or(0, |column| {
        let dictionary = column.dictionary_page_offset().filter(|at| *at > 0);
        let data = column.data_page_offset();
        dictionary.map_or(data, |at| at.min(data))
    });
    first.cast_unsigned()
}

fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

/// Fields that repeat by themselves, as protocol buffers write them, do not come out right of the crate
/// (arrow-rs issue 2394): only lists and maps are read.
fn refuse_bare_repeats(schema: &Type, in_list: bool) -> Result<(), Fault> {
    for field in schema.get_fields() {
        let about = field.get_basic_info();
        if !in_list && about.has_repetition() && about.repetition() == Repetition::REPEATED {
            let column = field.name().to_owned();
            return Err(Fault::Repeats { column });
        }
        if field.is_group() {
            let lists = [
                ConvertedType::LIST,
                ConvertedType::MAP,
                ConvertedType::MAP_KEY_VALUE,
            ];
            refuse_bare_repeats(field, lists.contains(&about.converted_type()))?;
        }
    }
    Ok(())
}

/// Why rows cannot be had.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// As the crate passes it on, which would be told twice.
    #[error(transparent)]
    Below(Box<dyn std::error::Error + Send + Sync>),
    #[error("the reader panicked: {0}")]
    Panic(String),
    #[error("column `{column}` repeats without being a list or a map, which is not read")]
    Repeats { column: String },
    #[error("a decimal of {bytes} bytes is longer than the 16 that are read")]
    LongDecimal { bytes: usize },
    #[error("the row is longer than {limit}")]
    TooLong { limit: ByteSize },
}

/// What the crate panics with becomes an error.
fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Fault::Panic(said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a word").to_owned()
}

/// A file that changed explains any error; else the system failed to read it, or its content is bad.
fn not_read(
    file: &CheckedFile<'_>,
    row_group: Option<(usize, u64)>,
    fault: Fault,
) -> ReadSplitError {
    if let Err(changed) = file.verify() {
        return changed;
    }
    let fault = match fault {
        Fault::Parquet(ParquetError::External(error)) => match error.downcast::<io::Error>() {
            Ok(error) if error.raw_os_error().is_some() => return file.read_error(0, *error),
            Ok(error) => Fault::Below(error),
            Err(error) => Fault::Below(error),
        },
        fault => fault,
    };
    ReadSplitError::Parquet {
        name: file.planned().name.clone(),
        row_group,
        source: Box::new(fault),
    }
}

/// An open file of the length that was planned.
struct PlannedFile {
    file: File,
    len: u64,
}

impl Length for PlannedFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for PlannedFile {
    type T = BufReader<Chunk>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let file = self.file.try_clone()?;
        // Headers of pages are read here, of some tens of bytes.
        Ok(BufReader::with_capacity(512, Chunk { file, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len) {
            let what = format!("bytes {start} to {start} + {length} of {}", self.len);
            return Err(ParquetError::EOF(what));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A file from some byte on.
struct Chunk {
    file: File,
    at: u64,
}

impl Read for Chunk {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buf, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
