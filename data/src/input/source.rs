//! Where a reader's bytes come from: a file as it is, or what a decoder makes of it.

use std::io::{self, BufReader, Read};

use mapfold_terms::{Codec, InputFile};

use super::checked_file::CheckedFile;
use super::failure::CodecName;
use super::{ReadBuffer, ReadSplitError};
use crate::codec::Decoder;

/// Packed bytes that are read at a time.
const PACKED_READ_BYTES: usize = 64 << 10;

pub(super) enum Source<'f> {
    Plain(CheckedFile<'f>),
    Packed { decoder: Unpacking<'f>, ended: bool },
}

impl<'f> Source<'f> {
    /// Opens a file that is still as it was planned. A packed file of no bytes is an empty file; but for gzip, which is cut short then, as gzip
    /// itself says.
    pub(super) fn open(planned: &'f InputFile) -> Result<Self, ReadSplitError> {
        let file = CheckedFile::open(planned)?;
        if planned.codec == Codec::Plain
            || planned.fingerprint.len == 0 && planned.codec != Codec::Gzip
        {
            return Ok(Self::Plain(file));
        }
        Ok(Self::Packed {
            decoder: Unpacking::new(Packed { file, at: 0 })?,
            ended: false,
        })
    }

    /// Reads on at the end of `buffer` until it holds `total` bytes or the file ends; tells whether it
    /// is known to have ended.
    pub(super) fn fill(
        &mut self,
        buffer: &mut ReadBuffer,
        total: usize,
    ) -> Result<bool, ReadSplitError> {
        match self {
            Self::Plain(file) => {
                let len = file.planned().fingerprint.len;
                let left = usize::try_from(len - buffer.end()).unwrap_or(usize::MAX);
                let total = total.min(buffer.len().saturating_add(left));
                let at = buffer.end();
                let room = buffer.room(total);
                file.read_exact_at(room, at)?;
                let got = room.len();
                buffer.filled(got);
                Ok(buffer.end() == len)
            }
            Self::Packed { decoder, ended } => {
                while !*ended {
                    let room = buffer.room(total);
                    if room.is_empty() {
                        break;
                    }
                    let got = decoder.read(room)?;
                    buffer.filled(got);
                    *ended = got == 0;
                }
                Ok(*ended)
            }
        }
    }

    /// The file's length in unpacked bytes, where it is known beforehand.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Plain(file) => Some(file.planned().fingerprint.len),
            Self::Packed { .. } => None,
        }
    }

    /// Packed bytes read so far; `None` if the file is not packed.
    pub(super) fn packed_bytes(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Packed { decoder, .. } => Some(decoder.packed().at),
        }
    }

    /// Makes sure that the file is still the version that was planned.
    pub(super) fn verify(&self) -> Result<(), ReadSplitError> {
        match self {
            Self::Plain(file) => file.verify(),
            Self::Packed { decoder, .. } => decoder.packed().file.verify(),
        }
    }
}

/// A decoder over the packed bytes of a file.
pub(super) struct Unpacking<'f>(Decoder<BufReader<Packed<'f>>>);

impl<'f> Unpacking<'f> {
    fn new(packed: Packed<'f>) -> Result<Self, ReadSplitError> {
        let planned = packed.file.planned();
        let buffered = BufReader::with_capacity(PACKED_READ_BYTES, packed);
        Decoder::new(planned.codec, buffered)
            .map(Self)
            .map_err(|source| ReadSplitError::Open {
                name: planned.name.clone(),
                source,
            })
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize, ReadSplitError> {
        loop {
            match self.0.read(room) {
                Ok(got) => return Ok(got),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
            }
        }
    }

    /// A file that changed explains any error; else the system failed to read it, or its content is bad.
    fn explain(&self, source: io::Error) -> ReadSplitError {
        let Packed { file, at } = self.packed();
        if let Err(changed) = file.verify() {
            return changed;
        }
        if source.raw_os_error().is_some() {
            return file.read_error(*at, source);
        }
        let planned = file.planned();
        ReadSplitError::Corrupt {
            name: planned.name.clone(),
            codec: CodecName(planned.codec),
            packed_offset: *at,
            source,
        }
    }

    fn packed(&self) -> &Packed<'f> {
        self.0.get_ref().get_ref()
    }
}

/// The packed bytes of a file, as many as were planned.
pub(super) struct Packed<'f> {
    file: CheckedFile<'f>,
    at: u64,
}

impl Read for Packed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.file.planned().fingerprint.len - self.at;
        let want = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = self.file.read_at(&mut buf[..want], self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
