//! Files of our own, mapped into memory.
#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe: others could change it"
)]

use std::fs::File;
use std::io;

/// An immutable file of ours as bytes.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: memmap2::Mmap,
}

impl Mapped {
    /// Maps the whole of a file that nobody will write to again.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the caller hands over a finished file in a folder that only this user can enter, and
        // the engine never writes to a finished file.
        let map = unsafe { memmap2::Mmap::map(file) }?;
        Ok(Self { map })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.map
    }
}
