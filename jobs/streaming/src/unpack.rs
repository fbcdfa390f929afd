//! Archives that go with a job, unpacked: zip and jar, tar, and tar packed with gzip.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use mapfold_data::scratch::Charge;
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
    #[error("there is no room to unpack {}", path.display())]
    Room { path: PathBuf, source: io::Error },
    #[error("the archive {} is refused: `{name}` in it leads out of it", path.display())]
    Outside { path: PathBuf, name: String },
}

/// How an archive is packed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Zip,
    Tar,
    TarGzip,
}

/// Unpacks an archive into a folder, which is there. One with something that would lie outside of the folder is refused.
///
/// # Errors
/// See [`UnpackError`].
pub(crate) fn unpack(
    packing: Packing,
    archive: &Path,
    into: &Path,
    charge: &mut Charge,
) -> Result<(), UnpackError> {
    let file = File::open(archive).map_err(|source| unread(archive, source))?;
    let bytes = BufReader::new(file);
    match packing {
        Packing::Tar => untar(bytes, archive, into, charge),
        Packing::TarGzip => untar(MultiGzDecoder::new(bytes), archive, into, charge),
        Packing::Zip => unzip(bytes, archive, into, charge),
    }
}

fn untar(
    bytes: impl Read,
    archive: &Path,
    into: &Path,
    charge: &mut Charge,
) -> Result<(), UnpackError> {
    let failed = |source| UnpackError::Tar {
        path: archive.to_owned(),
        source,
    };
    for entry in Archive::new(bytes).entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.into_owned();
        take(charge, entry.size(), archive)?;
        let leads_out =
            |part: Component<'_>| !matches!(part, Component::Normal(_) | Component::CurDir);
        // Also left out is what would go through a link to elsewhere.
        if name.components().any(leads_out) || !entry.unpack_in(into).map_err(failed)? {
            return Err(outside(archive, &name.to_string_lossy()));
        }
    }
    Ok(())
}

fn unzip(
    bytes: impl Read + Seek,
    archive: &Path,
    into: &Path,
    charge: &mut Charge,
) -> Result<(), UnpackError> {
    let failed = |source| UnpackError::Zip {
        path: archive.to_owned(),
        source,
    };
    let mut zip = ZipArchive::new(bytes).map_err(failed)?;
    for number in 0..zip.len() {
        let entry = zip.by_index_raw(number).map_err(failed)?;
        if entry.enclosed_name().is_none() {
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            return Err(outside(archive, &name));
        }
        take(charge, entry.size(), archive)?;
    }
    zip.extract(into).map_err(failed)
}

/// Before the bytes are written.
fn take(charge: &mut Charge, bytes: u64, archive: &Path) -> Result<(), UnpackError> {
    charge.add(bytes).map_err(|source| UnpackError::Room {
        path: archive.to_owned(),
        source,
    })
}

fn outside(archive: &Path, name: &str) -> UnpackError {
    UnpackError::Outside {
        path: archive.to_owned(),
        name: name.to_owned(),
    }
}

/// It cannot be looked at.
pub(crate) fn unread(archive: &Path, source: io::Error) -> UnpackError {
    UnpackError::Read {
        path: archive.to_owned(),
        source,
    }
}

/// `None` if it is no archive.
pub(crate) fn packing(archive: &Path) -> Option<Packing> {
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
    use std::fs;

    use mapfold_data::scratch::ScratchRoot;
    use mapfold_terms::ByteSize;

    use super::*;

    fn try_unpack(archive: &Path, room: Option<u64>) -> Result<(), UnpackError> {
        let base = tempfile::tempdir().unwrap();
        let root = ScratchRoot::open_within(base.path(), room.map(ByteSize)).unwrap();
        let scratch = root.scratch("archive");
        let into = scratch.folder().unwrap();
        unpack(
            packing(archive).unwrap(),
            archive,
            &into,
            &mut scratch.charge(),
        )
    }

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
        for name in ["a.zip", "a.tgz"] {
            let archive = folder.path().join(name);
            fs::write(&archive, "no archive").unwrap();
            let error = try_unpack(&archive, None).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    /// A tar with one file of so many bytes.
    fn tar_of(archive: &Path, name: &[u8], bytes: usize) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes as u64);
        header.set_mode(0o644);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_cksum();
        let mut tar = tar::Builder::new(File::create(archive).unwrap());
        tar.append(&header, &vec![b'x'; bytes][..]).unwrap();
        tar.finish().unwrap();
    }

    #[test]
    fn what_leads_out_of_an_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar");
        tar_of(&archive, b"../xx", 1);
        let error = try_unpack(&archive, None).unwrap_err();
        assert!(error.to_string().contains("`../xx`"), "{error}");
    }

    #[test]
    fn what_is_unpacked_is_within_the_bound_on_temporary_files() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar");
        tar_of(&archive, b"a", 1000);
        try_unpack(&archive, Some(1000)).unwrap();
        let error = try_unpack(&archive, Some(999)).unwrap_err();
        assert!(matches!(error, UnpackError::Room { .. }), "{error}");
    }
}
