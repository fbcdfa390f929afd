//! LZ4 frames, one after the other, to the end of a file.
//!
//! The library's decoder ends with "no more bytes" alike after a frame, after the last one, and where a file was cut
//! between two blocks. What was read for that answer tells them apart: a frame ends without a look beyond it, the file
//! ends where a frame could begin and there is not one byte more.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Unpacks all frames.
pub struct Lz4Decoder<R: BufRead> {
    frames: FrameDecoder<Watched<R>>,
    /// Whether the last frame is whole, or there was none yet.
    between_frames: bool,
}

/// A reader that notes how far it came.
struct Watched<R> {
    from: R,
    read: u64,
    ended: bool,
}

impl<R: BufRead> Lz4Decoder<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            frames: FrameDecoder::new(Watched {
                from,
                read: 0,
                ended: false,
            }),
            between_frames: true,
        }
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.frames.get_ref().from
    }
}

impl<R: BufRead> Read for Lz4Decoder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            let before = self.frames.get_ref().read;
            let got = self.frames.read(room)?;
            let Watched { read, ended, .. } = *self.frames.get_ref();
            match got {
                1.. => {
                    self.between_frames = false;
                    return Ok(got);
                }
                0 if !ended => self.between_frames = true,
                0 if self.between_frames && read == before => return Ok(0),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(room)?;
        self.read += got as u64;
        self.ended = got == 0 && !room.is_empty();
        Ok(got)
    }
}
