//! Streams of zlib, one after the other: what Hadoop's DefaultCodec writes as `.deflate`.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// Unpacks zlib streams, all that follow each other. One that is cut short is an error.
pub struct ZlibDecoder<R> {
    from: R,
    stream: Decompress,
    /// Within a stream.
    open: bool,
}

impl<R: BufRead> ZlibDecoder<R> {
    /// A decoder before the first byte.
    pub fn new(from: R) -> Self {
        Self {
            from,
            stream: Decompress::new(true),
            open: false,
        }
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        &self.from
    }
}

impl<R: BufRead> Read for ZlibDecoder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.from.fill_buf()?;
            let at_end = packed.is_empty();
            if room.is_empty() || at_end && !self.open {
                return Ok(0);
            }
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(packed, room, FlushDecompress::None)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let taken = count(self.stream.total_in() - before.0);
            let given = count(self.stream.total_out() - before.1);
            self.from.consume(taken);
            self.open = status != Status::StreamEnd;
            if !self.open {
                self.stream.reset(true);
            }
            if given > 0 {
                return Ok(given);
            }
            if at_end && self.open {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Of bytes of a slice.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it is no more than a slice has")
}
