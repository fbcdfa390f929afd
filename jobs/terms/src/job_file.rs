//! Files that go with a job: the plugin that it is in, side files that its tasks read.
//!
//! They are known by the hash of their bytes, so one that was sent once need not be sent again, a worker knows that it has the right
//! one, and two versions of a file are two files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ByteSize, RawPath};

/// A file that every worker has at hand before it runs an attempt of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFile {
    /// What it is for.
    pub kind: JobFileKind,
    /// The name that the job knows it by: no path, at most [`JobFile::NAME_MAX`] bytes, once a job and kind.
    pub name: String,
    /// Its length.
    pub bytes: ByteSize,
    /// The hash of its bytes.
    pub id: FileId,
    /// Where the client read it, absolute. Workers of the client's own machine that it has started read it there; those of a
    /// cluster get its bytes from the master.
    pub path: RawPath,
}

impl JobFile {
    /// Files of one job. They travel with each order.
    pub const MAX: usize = 64;
    /// Bytes of a name.
    pub const NAME_MAX: usize = 255;
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobFileKind {
    /// The shared library that the job is in; at most one.
    Plugin,
    /// Something that the job reads beside its input.
    Side,
}

/// What a file is known by: the BLAKE3 of its bytes. Prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub [u8; 32]);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no [`FileId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the hash of a file: 64 hexadecimal digits")]
pub struct FileIdError(pub String);

impl FromStr for FileId {
    type Err = FileIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?))
            .collect();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) if rest.is_empty() => Ok(Self(bytes)),
            _ => Err(FileIdError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_print_and_parse_alike() {
        let mut bytes = [0; 32];
        for (byte, value) in bytes.iter_mut().zip((0..=255).step_by(8)) {
            *byte = value;
        }
        let id = FileId(bytes);
        assert!(id.to_string().starts_with("000810182028"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        let text = id.to_string();
        for bad in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &format!("{text}00"),
            &text.replace('8', "g"),
        ] {
            assert!(bad.parse::<FileId>().is_err(), "{bad}");
        }
    }
}
