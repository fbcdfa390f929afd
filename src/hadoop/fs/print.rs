//! `-cat`, `-text`, `-head` and `-tail`: bytes on stdout.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use mapfold_data::codec::Decoder;
use mapfold_data::manifest::MANIFEST_NAME;
use mapfold_terms::Codec;

use super::super::uri::Located;
use super::error::FsError;
use super::{Call, Outcome};

/// Bytes that `-head` and `-tail` print.
const END_BYTES: u64 = 1024;

pub(super) fn cat(call: &Call<'_>) -> Outcome {
    cat_all(call, &call.arguments.paths)
}

pub(super) fn cat_all(call: &Call<'_>, typed: &[String]) -> Outcome {
    call.each_found(typed, |located| {
        let file = open(located)?;
        print(&mut file.take(data_bytes(located)), located)
    })
}

/// As `-cat`, and unpacks what is packed by its name.
pub(super) fn text(call: &Call<'_>) -> Outcome {
    call.each_found(&call.arguments.paths, |located| {
        let codec = Codec::of_name(&located.typed);
        let packed = BufReader::new(open(located)?.take(data_bytes(located)));
        let mut unpacked = Decoder::new(codec, packed).map_err(FsError::at(located))?;
        print(&mut unpacked, located)
    })
}

pub(super) fn head(call: &Call<'_>) -> Outcome {
    call.each_found(&call.arguments.paths, |located| {
        print(&mut open(located)?.take(END_BYTES), located)
    })
}

pub(super) fn tail(call: &Call<'_>) -> Outcome {
    call.each_found(&call.arguments.paths, |located| {
        let mut file = open(located)?;
        let length = file.metadata().map_err(FsError::at(located))?.len();
        let from = SeekFrom::Start(length.saturating_sub(END_BYTES));
        file.seek(from).map_err(FsError::at(located))?;
        print(&mut file, located)
    })
}

/// How much of a file is data at most. A manifest is none: scripts print and merge all files of a folder (`out/*`), as Hadoop's `_SUCCESS` is empty.
pub(super) fn data_bytes(located: &Located) -> u64 {
    match located.name() == Path::new(MANIFEST_NAME) {
        true => 0,
        false => u64::MAX,
    }
}

fn open(located: &Located) -> Result<File, FsError> {
    if located.path.is_dir() {
        return Err(FsError::IsDirectory(located.typed.clone()));
    }
    File::open(&located.path).map_err(FsError::at(located))
}

fn print(bytes: &mut impl Read, located: &Located) -> Result<(), FsError> {
    let mut out = io::stdout().lock();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = match bytes.read(&mut buffer) {
            Ok(0) => return out.flush().map_err(FsError::Stdout),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FsError::at(located)(error)),
        };
        out.write_all(&buffer[..length]).map_err(FsError::Stdout)?;
    }
}
