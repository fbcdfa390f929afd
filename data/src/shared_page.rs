//! A page of memory that outlives the process which writes to it, for as long as another has its file open.
//!
//! Whoever dies tells nothing, and what it writes to a file costs a call each time. A write here is one to memory: cheap enough to be made for each key.
#![expect(
    unsafe_code,
    reason = "a mapped file is memory that others could change"
)]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{Ordering, compiler_fence};

use memmap2::{MmapMut, MmapOptions};

/// The first bytes of a file, mapped.
#[derive(Debug)]
pub struct SharedPage(MmapMut);

impl SharedPage {
    /// Bytes of a page, and least length of its file.
    pub const BYTES: usize = 4096;

    /// Maps the page of a file whose bytes are in memory, or on a disk that has room for them: what cannot be written ends this process.
    ///
    /// # Errors
    /// The file cannot be opened or mapped, or is too short.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() < Self::BYTES as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: nobody else may write to the bytes or cut the file while they are mapped. Callers pass a file that was made for
        // this one writer; others read it when the writer has ended.
        let map = unsafe { MmapOptions::new().len(Self::BYTES).map_mut(&file) }?;
        Ok(Self(map))
    }

    /// Changes the page, now, and not when it suits the compiler.
    #[inline]
    pub fn change(&mut self, change: impl FnOnce(&mut [u8; Self::BYTES])) {
        let page = self.0.first_chunk_mut().expect("the page was mapped whole");
        change(page);
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_written_is_in_the_file_when_the_writer_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        fs::write(&path, [7; SharedPage::BYTES]).unwrap();
        let mut page = SharedPage::open(&path).unwrap();
        page.change(|bytes| bytes[1..3].copy_from_slice(b"ab"));
        assert!(fs::read(&path).unwrap().starts_with(b"\x07ab\x07"));
        drop(page);
        assert!(fs::read(&path).unwrap().starts_with(b"\x07ab\x07"));
        fs::write(&path, [7; SharedPage::BYTES - 1]).unwrap();
        assert!(SharedPage::open(&path).is_err());
        assert!(SharedPage::open(&folder.path().join("none")).is_err());
    }
}
