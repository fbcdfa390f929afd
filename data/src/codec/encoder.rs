//! Packs a stream.

use std::io::{self, Write};

use bzip2::write::BzEncoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use mapfold_terms::Codec;

/// gzip's own default. Level 1 is twice as fast and a fifth larger; who wants speed takes another codec.
const GZIP_LEVEL: u32 = 6;

/// Zstandard's own default.
const ZSTD_LEVEL: i32 = 3;

/// Packs what is written to it into `W`, in a member or frame of its own. Without [`finish`](Self::finish) the stream is
/// cut short.
pub enum Encoder<W: Write> {
    /// Passes everything on.
    Plain(W),
    /// A gzip member.
    Gzip(GzEncoder<W>),
    /// A Zstandard frame with a checksum.
    Zstd(zstd::stream::write::Encoder<'static, W>),
    /// An LZ4 frame with a checksum.
    Lz4(Box<FrameEncoder<W>>),
    /// A bzip2 member.
    Bzip2(BzEncoder<W>),
    /// A zlib stream.
    Deflate(ZlibEncoder<W>),
}

impl<W: Write> Encoder<W> {
    /// Begins a stream into `out`, which is written to in small pieces.
    pub fn new(codec: Codec, out: W) -> io::Result<Self> {
        Ok(match codec {
            Codec::Plain => Self::Plain(out),
            Codec::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL))),
            Codec::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            Codec::Lz4 => {
                // Larger blocks pack no better: LZ4 looks back 64 KiB.
                let info = FrameInfo::new()
                    .block_size(BlockSize::Max256KB)
                    .content_checksum(true);
                Self::Lz4(Box::new(FrameEncoder::with_frame_info(info, out)))
            }
            Codec::Bzip2 => Self::Bzip2(BzEncoder::new(out, bzip2::Compression::best())),
            Codec::Deflate => {
                Self::Deflate(ZlibEncoder::new(out, flate2::Compression::new(GZIP_LEVEL)))
            }
        })
    }

    /// Ends the stream.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Lz4(encoder) => Ok(encoder.finish()?),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Lz4(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
            Self::Deflate(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Lz4(encoder) => encoder.flush(),
            Self::Bzip2(encoder) => encoder.flush(),
            Self::Deflate(encoder) => encoder.flush(),
        }
    }
}
