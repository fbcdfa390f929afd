//! Archives that go with a job, unpacked: zip and jar, tar, and tar packed with gzip.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::Archive;
use zip::ZipArchive;
use zip::result::ZipError;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("cannot read the archive {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot unpack {}", path.display())]
    Tar { path: PathBuf, source: io::Error },
    #[error("cannot unpack {}", path.display())]
    Zip { path: PathBuf, source: ZipError },
}

/// How an archive is packed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Zip,
    Tar,
    TarGzip,
}

/// Unpacks an archive into a new folder; `false` if it is none by its name. What would lie outside of the folder is refused or left out.
///
/// # Errors
/// See [`UnpackError`].
pub(crate) fn unpack(archive: &Path, into: &Path) -> Result<bool, UnpackError> {
    let Some(packing) = packing(archive) else {
        return Ok(false);
    };
    let read = |source| UnpackError::Read {
        path: archive.to_owned(),
        source,
    };
    let file = File::open(archive).map_err(read)?;
    fs::create_dir_all(into).map_err(read)?;
    let bytes = BufReader::new(file);
    match packing {
        Packing::Tar => untar(bytes, archive, into)?,
        Packing::TarGzip => untar(MultiGzDecoder::new(bytes), archive, into)?,
        Packing::Zip => {
            let unpacked = ZipArchive::new(bytes).and_then(|mut zip| zip.extract(into));
            unpacked.map_err(|source| UnpackError::Zip {
                path: archive.to_owned(),
                source,
            })?;
        }
    }
    Ok(true)
}

fn untar(bytes: impl Read, archive: &Path, into: &Path) -> Result<(), UnpackError> {
    let unpacked = Archive::new(bytes).unpack(into);
    unpacked.map_err(|source| UnpackError::Tar {
        path: archive.to_owned(),
        source,
    })
}

fn packing(archive: &Path) -> Option<Packing> {
    let name = archive.file_name()?.to_string_lossy().to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".zip", ".jar"]) {
        return Some(Packing::Zip);
    }
    if ends(&[".tgz", ".tar.gz"]) {
        return Some(Packing::TarGzip);
    }
    ends(&[".tar"]).then_some(Packing::Tar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_archives_are_packed() {
        let check = |name: &str, want| assert_eq!(packing(Path::new(name)), want, "{name}");
        check("a/b.zip", Some(Packing::Zip));
        check("b.JAR", Some(Packing::Zip));
        check("b.tar", Some(Packing::Tar));
        check("b.tgz", Some(Packing::TarGzip));
        check("b.tar.gz", Some(Packing::TarGzip));
        check("b.gz", None);
    }

    #[test]
    fn what_is_no_archive_inside_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("out");
        for name in ["a.zip", "a.tgz"] {
            let archive = folder.path().join(name);
            fs::write(&archive, "no archive").unwrap();
            let error = unpack(&archive, &into).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(!unpack(&folder.path().join("a.txt"), &into).unwrap());
    }
}
