//! Reads a split as blocks of whole records.
//!
//! A line belongs to the piece in which it begins, and a line begins at the start of the file and
//! after every LF. So the reader of a piece that starts inside a file looks at the byte before it,
//! skips to the first line that begins here, and reads the last one to its end, which may lie in the
//! pieces that follow. Those look for a line that begins in them, find none, and yield nothing:
//! each line is read once wherever the cuts fall, and skipping holds no more than a buffer.
//!
//! Of a file of rows (`csv`), the first line is the header and no record; the reader of every piece looks there first.
//!
//! Parquet files have a reader of their own (`parquet.rs`).

use std::slice;

use mapfold_terms::{ByteSize, Format, InputFile, Piece, RecordAt, Split};
use memchr::{memchr, memrchr};

use super::block::excerpt;
use super::parquet::RowReader;
use super::source::Source;
use super::{Block, Header, ReadBuffer, ReadSplitError};

/// Least number of bytes that are read at a time beyond the end of a piece, to finish its last line.
const TAIL_READ_BYTES: usize = 8 << 10;

/// Reads one [`Split`], in the order of its pieces. The [module](super) shows it at work.
///
/// Reading blocks costs little more than copying them: 472 MB of text in the page cache took 60 to 110 ms
/// on a busy machine, and 270 to 380 ms with each of its 12 million lines looked at. Buffers from 64 KiB
/// to 4 MiB differed little; 256 KiB was the best by a tenth.
pub struct SplitReader<'s> {
    /// Of files that have none of their own.
    rest: Format,
    /// Of the file at hand.
    format: Format,
    /// Bytes of the longest record.
    limit: usize,
    pieces: slice::Iter<'s, Piece>,
    current: Option<Current<'s>>,
    /// Of the file at hand, if the format has one.
    header: Option<Header>,
    buffer: ReadBuffer,
    /// Bytes of the pieces that are done.
    done_bytes: u64,
}

impl<'s> SplitReader<'s> {
    /// A reader in front of the first piece. Opens nothing yet. Files that have no format of their own have this one. A record longer than `max_record` (and
    /// than the buffer of 256 KiB) is an error.
    pub fn new(split: &'s Split, format: Format, max_record: ByteSize) -> Self {
        Self::with_buffer(split, format, max_record, ReadBuffer::new())
    }

    /// The same with memory that another reader has given back.
    pub fn with_buffer(
        split: &'s Split,
        format: Format,
        max_record: ByteSize,
        buffer: ReadBuffer,
    ) -> Self {
        Self {
            rest: format,
            format,
            limit: max_record.as_usize().max(buffer.size()),
            pieces: split.pieces.iter(),
            current: None,
            header: None,
            buffer,
            done_bytes: 0,
        }
    }

    /// The next block, or `None` after the last. The split was read as it was planned only if `None`
    /// has been returned: the last check of a file comes after its last block.
    ///
    /// # Errors
    /// See [`ReadSplitError`]; the reader is of no use afterwards.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, ReadSplitError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(piece) = self.pieces.next() else {
                    return Ok(None);
                };
                self.format = piece.file.format_or(self.rest);
                self.header = None;
                self.current = Some(match self.format {
                    Format::Parquet => Current::Rows(Box::new(RowReader::open(piece, self.limit)?)),
                    _ => Current::Bytes(PieceReader::open(piece)?),
                });
                continue;
            };
            let current = match current {
                Current::Bytes(current) => current,
                Current::Rows(rows) => {
                    if !rows.fill()? {
                        self.done_bytes += rows.bytes_read();
                        self.current = None;
                        continue;
                    }
                    break;
                }
            };
            let file: &'s InputFile = &current.piece.file;
            let header = &mut self.header;
            match current.next(&mut self.buffer, self.format, self.limit, header)? {
                Some(len) => {
                    let offset = self.buffer.offset();
                    let block = self.buffer.take(len);
                    let bytes = self.buffer.taken(block);
                    let block = Block::new(file, offset, bytes, self.format);
                    return Ok(Some(block.with_header(self.header.as_ref())));
                }
                None => {
                    current.source.verify()?;
                    self.done_bytes += current.piece.end - current.piece.start;
                    self.current = None;
                }
            }
        }
        let Some(Current::Rows(rows)) = &self.current else {
            return Ok(None);
        };
        Ok(Some(rows.block()))
    }

    /// Bytes of the split's own ranges that have been read so far, as stored; at the end
    /// [`Split::bytes`].
    pub fn bytes_read(&self) -> u64 {
        let current = match &self.current {
            None => 0,
            Some(Current::Bytes(piece)) => piece.bytes_read(&self.buffer),
            Some(Current::Rows(rows)) => rows.bytes_read(),
        };
        self.done_bytes + current
    }

    /// Gives the memory back for the next reader.
    pub fn into_buffer(mut self) -> ReadBuffer {
        self.buffer.reset();
        self.buffer
    }
}

/// What reads the piece at hand.
enum Current<'s> {
    Bytes(PieceReader<'s>),
    Rows(Box<RowReader<'s>>),
}

/// Reads one piece.
struct PieceReader<'s> {
    piece: &'s Piece,
    source: Source<'s>,
    /// Where the piece ends, in unpacked bytes; beyond everything if that is not known.
    end: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Opened,
    Reading,
    Done,
}

impl<'s> PieceReader<'s> {
    fn open(piece: &'s Piece) -> Result<Self, ReadSplitError> {
        let source = Source::open(&piece.file)?;
        Ok(Self {
            piece,
            end: source.len().map_or(u64::MAX, |_| piece.end),
            source,
            state: State::Opened,
        })
    }

    /// Brings whole records to the front of `buffer` and tells their length. `None`: there are no more.
    fn next(
        &mut self,
        buffer: &mut ReadBuffer,
        format: Format,
        limit: usize,
        header: &mut Option<Header>,
    ) -> Result<Option<usize>, ReadSplitError> {
        let first = self.state == State::Opened;
        let begins = match self.state {
            State::Opened => match format {
                Format::Csv(delimiter) => self.begin_rows(buffer, limit, delimiter, header)?,
                format => self.begin(buffer, format)?,
            },
            State::Reading => true,
            State::Done => false,
        };
        let records = match format {
            _ if !begins => None,
            Format::Lines | Format::NLine(_) | Format::Csv(_) => self.lines(buffer, limit)?,
            Format::Fixed(record) => self.fixed(buffer, limit, record.get() as usize)?,
            Format::Files if first => Some(self.whole(buffer, limit)?),
            // Parquet has its own reader.
            Format::Files | Format::Parquet => None,
        };
        self.state = match records {
            Some(_) => State::Reading,
            None => State::Done,
        };
        // An empty file is shown to the job as one empty block.
        let empty = first && records.is_none() && self.piece.start == 0;
        Ok(if empty { Some(0) } else { records })
    }

    /// Goes to the first record; tells whether there may be one.
    fn begin(&mut self, buffer: &mut ReadBuffer, format: Format) -> Result<bool, ReadSplitError> {
        match (format, self.piece.start) {
            (Format::Lines | Format::NLine(_), 1..) => self.skip_to_line(buffer),
            (_, start) => {
                buffer.seek(start);
                Ok(true)
            }
        }
    }

    /// Reads the header, wherever the piece begins, and goes to the first row; tells whether there may be one.
    fn begin_rows(
        &mut self,
        buffer: &mut ReadBuffer,
        limit: usize,
        delimiter: u8,
        header: &mut Option<Header>,
    ) -> Result<bool, ReadSplitError> {
        buffer.seek(0);
        let len = self.first_line(buffer, limit)?;
        let line = &buffer.bytes()[..len];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = Header::new(line, delimiter).map_err(|source| ReadSplitError::Header {
            name: self.piece.file.name.clone(),
            source,
        });
        *header = Some(read?);
        if self.piece.start > len as u64 {
            return self.skip_to_line(buffer);
        }
        buffer.take(len);
        Ok(true)
    }

    /// Reads the line at the front of `buffer`; returns its length, with its end.
    fn first_line(
        &mut self,
        buffer: &mut ReadBuffer,
        limit: usize,
    ) -> Result<usize, ReadSplitError> {
        let longest = limit.saturating_add("\r\n".len());
        let mut total = match self.piece.start {
            // What follows is read, too.
            0 => bytes_between(0, self.end).min(buffer.size()),
            _ => TAIL_READ_BYTES,
        };
        loop {
            total = total.clamp(1, longest);
            let ended = self.source.fill(buffer, total)?;
            if let Some(end) = memchr(b'\n', buffer.bytes()) {
                return Ok(end + 1);
            }
            if ended {
                return Ok(buffer.len());
            }
            if buffer.len() >= longest {
                return Err(self.too_long(buffer, limit));
            }
            total = total.saturating_mul(2);
        }
    }

    /// Goes to the first line that begins in the piece, or at its end; tells whether there is one.
    fn skip_to_line(&mut self, buffer: &mut ReadBuffer) -> Result<bool, ReadSplitError> {
        buffer.seek(self.piece.start - 1);
        while buffer.offset() < self.end {
            let total = bytes_between(buffer.offset(), self.end).min(buffer.size());
            self.source.fill(buffer, total)?;
            if let Some(end) = memchr(b'\n', buffer.bytes()) {
                buffer.take(end + 1);
                return Ok(true);
            }
            buffer.take(buffer.len());
        }
        Ok(false)
    }

    /// Lines that begin in the piece. A line begins at the front of `buffer`.
    ///
    /// Up to the end of the piece, as many as fit; what is left then is a line that crosses the end,
    /// or nothing.
    fn lines(
        &mut self,
        buffer: &mut ReadBuffer,
        limit: usize,
    ) -> Result<Option<usize>, ReadSplitError> {
        if buffer.offset() >= self.end {
            return Ok(None);
        }
        if buffer.end() >= self.end {
            // The search for the first line may have brought all of a small piece.
            let inside = bytes_between(buffer.offset(), self.end);
            if let Some(line_end) = memrchr(b'\n', &buffer.bytes()[..inside]) {
                return Ok(Some(line_end + 1));
            }
        }
        let longest = limit.saturating_add("\r\n".len());
        let mut size = buffer.size();
        let mut scanned = 0;
        loop {
            let inside = buffer.end() < self.end;
            let total = if inside {
                bytes_between(buffer.offset(), self.end)
            } else {
                buffer.len() + buffer.len().max(TAIL_READ_BYTES)
            };
            let ended = self.source.fill(buffer, total.min(size))?;
            let fresh = &buffer.bytes()[scanned..];
            let line_end = match inside {
                true if ended => None,
                true => memrchr(b'\n', fresh),
                false => memchr(b'\n', fresh),
            };
            if let Some(line_end) = line_end {
                return Ok(Some(scanned + line_end + 1));
            }
            scanned = buffer.len();
            if ended {
                return Ok((scanned > 0).then_some(scanned));
            }
            if scanned >= longest {
                return Err(self.too_long(buffer, limit));
            }
            if scanned >= size {
                size = size.saturating_mul(2).min(longest);
            }
        }
    }

    /// Records of `record` bytes, up to the end of the piece.
    fn fixed(
        &mut self,
        buffer: &mut ReadBuffer,
        limit: usize,
        record: usize,
    ) -> Result<Option<usize>, ReadSplitError> {
        if buffer.offset() >= self.end {
            return Ok(None);
        }
        if record > limit {
            self.source.fill(buffer, RecordAt::EXCERPT_MAX)?;
            return Err(self.too_long(buffer, limit));
        }
        let size = (buffer.size() - buffer.size() % record).max(record);
        let total = bytes_between(buffer.offset(), self.end).min(size);
        self.source.fill(buffer, total)?;
        let whole = buffer.len() - buffer.len() % record;
        match (whole, buffer.len()) {
            (0, 0) => Ok(None),
            (0, got) => {
                self.source.verify()?;
                Err(ReadSplitError::PartialRecord {
                    name: self.piece.file.name.clone(),
                    offset: buffer.offset(),
                    got: got as u64,
                    want: record as u64,
                })
            }
            _ => Ok(Some(whole)),
        }
    }

    /// The whole file.
    fn whole(&mut self, buffer: &mut ReadBuffer, limit: usize) -> Result<usize, ReadSplitError> {
        let len = self.source.len().map(|len| ByteSize(len).as_usize());
        if len.is_some_and(|len| len > limit) {
            self.source.fill(buffer, RecordAt::EXCERPT_MAX)?;
            return Err(self.too_long(buffer, limit));
        }
        let mut total = len.unwrap_or(buffer.size());
        loop {
            let ended = self.source.fill(buffer, total)?;
            if buffer.len() > limit {
                return Err(self.too_long(buffer, limit));
            }
            if ended {
                return Ok(buffer.len());
            }
            total = total.saturating_mul(2).min(limit.saturating_add(1));
        }
    }

    /// The record at the front of `buffer` is longer than `limit`. If the file changed, say so instead.
    fn too_long(&self, buffer: &ReadBuffer, limit: usize) -> ReadSplitError {
        if let Err(changed) = self.source.verify() {
            return changed;
        }
        ReadSplitError::RecordTooLong {
            name: self.piece.file.name.clone(),
            offset: buffer.offset(),
            limit: ByteSize(limit as u64),
            excerpt: excerpt(buffer.bytes()),
        }
    }

    fn bytes_read(&self, buffer: &ReadBuffer) -> u64 {
        match self.source.packed_bytes() {
            Some(bytes) => bytes,
            None if self.state == State::Opened => 0,
            None => buffer.end().clamp(self.piece.start, self.piece.end) - self.piece.start,
        }
    }
}

/// From `from` to `to`, as far as memory can hold.
fn bytes_between(from: u64, to: u64) -> usize {
    ByteSize(to - from).as_usize()
}

#[cfg(test)]
mod tests;
