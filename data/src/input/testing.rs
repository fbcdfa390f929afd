//! A folder of input files, for tests.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mapfold_terms::{Codec, InputFile, InputName};
use tempfile::TempDir;

use super::{DiscoverError, discover};
use crate::codec::Encoder;

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, last modified in the past so that any later write shows in its times.
    pub(super) fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(past).unwrap();
        path
    }

    /// Writes a file of zeros that takes no room on the disk, however long.
    pub(super) fn write_sparse(&self, name: impl AsRef<Path>, len: u64) {
        let path = self.write(name, b"");
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(len).unwrap();
    }

    /// An input named relative to the folder.
    pub(super) fn input(&self, typed: impl AsRef<Path>) -> InputName {
        InputName {
            typed: typed.as_ref().into(),
            absolute: self.path(typed.as_ref()).into(),
            input: 0,
            format: None,
        }
    }

    pub(super) fn discover(&self, typed: &[&str]) -> Result<Vec<InputFile>, DiscoverError> {
        let inputs: Vec<_> = typed.iter().map(|typed| self.input(typed)).collect();
        discover(&inputs)
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn lz4(bytes: &[u8]) -> Vec<u8> {
    packed(Codec::Lz4, bytes)
}

pub(super) fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(codec, Vec::new()).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
