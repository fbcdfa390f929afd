//! Unpacks a stream.

use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use mapfold_terms::Codec;

use super::lz4::Lz4Decoder;
use super::zlib::ZlibDecoder;

/// Unpacks what it reads from `R`, through all members or frames.
///
/// Errors of the format have no code of the system; those of `R` come through as they are.
pub enum Decoder<R: BufRead> {
    /// Passes everything on.
    Plain(R),
    /// Members of gzip.
    Gzip(Box<MultiGzDecoder<R>>),
    /// Frames of Zstandard.
    Zstd(zstd::stream::read::Decoder<'static, R>),
    /// Frames of LZ4.
    Lz4(Box<Lz4Decoder<R>>),
    /// Members of bzip2.
    Bzip2(Box<MultiBzDecoder<R>>),
    /// Streams of zlib.
    Deflate(Box<ZlibDecoder<R>>),
}

impl<R: BufRead> Decoder<R> {
    /// A decoder before the first byte; reads nothing yet.
    pub fn new(codec: Codec, from: R) -> io::Result<Self> {
        Ok(match codec {
            Codec::Plain => Self::Plain(from),
            Codec::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(from))),
            Codec::Zstd => Self::Zstd(zstd::stream::read::Decoder::with_buffer(from)?),
            Codec::Lz4 => Self::Lz4(Box::new(Lz4Decoder::new(from))),
            Codec::Bzip2 => Self::Bzip2(Box::new(MultiBzDecoder::new(from))),
            Codec::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(from))),
        })
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        match self {
            Self::Plain(from) => from,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
            Self::Lz4(decoder) => decoder.get_ref(),
            Self::Bzip2(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(from) => from.read(room),
            Self::Gzip(decoder) => decoder.read(room),
            Self::Zstd(decoder) => decoder.read(room),
            Self::Lz4(decoder) => decoder.read(room),
            Self::Bzip2(decoder) => decoder.read(room),
            Self::Deflate(decoder) => decoder.read(room),
        }
    }
}
