//! A file that is the value of a parameter.

use std::fmt;

use crate::{FileId, JobFile};

/// What stands in a job's parameters for a file that was named there: what is in it, and where it is. Prints as
/// `blake3:HASH:PATH`, the hash as 64 hexadecimal digits.
///
/// The file is known by its hash: wherever the job is made, what is read is held against that. The path says where to find it on this machine; that of
/// another copy may be put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamFile {
    /// The hash of its bytes.
    pub id: FileId,
    /// Where it is: absolute.
    pub path: String,
}

impl ParamFile {
    /// What the description of a job calls such a parameter ([`ParamInfo::kind`](crate::ParamInfo::kind)).
    pub const KIND: &'static str = "file";

    const SCHEME: &'static str = "blake3:";
    const DIGITS: usize = 64;

    /// What was printed; `None` if it is something else, such as a path alone.
    pub fn parse(value: &str) -> Option<Self> {
        let rest = value.strip_prefix(Self::SCHEME)?;
        let (digits, path) = rest.split_at_checked(Self::DIGITS)?;
        Some(Self {
            id: digits.parse().ok()?,
            path: path.strip_prefix(':')?.to_owned(),
        })
    }

    /// The value of a parameter without what depends on where its file is: `blake3:HASH`. Any other value as it is.
    pub fn content_of(value: &str) -> &str {
        match Self::parse(value) {
            Some(_) => &value[..Self::SCHEME.len() + Self::DIGITS],
            None => value,
        }
    }
}

impl fmt::Display for ParamFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", Self::SCHEME, self.id, self.path)
    }
}

impl From<&JobFile> for ParamFile {
    fn from(file: &JobFile) -> Self {
        Self {
            id: file.id,
            path: file.path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_as_printed() {
        let file = ParamFile {
            id: FileId([0xa5; 32]),
            path: "/a:b=c/wörter".to_owned(),
        };
        let printed = file.to_string();
        assert_eq!(ParamFile::parse(&printed), Some(file));
        let digits = "a5".repeat(32);
        assert_eq!(ParamFile::content_of(&printed), format!("blake3:{digits}"));
    }

    #[test]
    fn other_values_are_left_as_they_are() {
        let digits = "0".repeat(63);
        for value in [
            "",
            "stop.txt",
            "blake3:",
            "blake3:00:x",
            &format!("blake3:{digits}g:x"),
            &format!("blake3:{digits}ö:x"),
            &format!("blake3:{digits}0"),
        ] {
            assert_eq!(ParamFile::parse(value), None, "{value}");
            assert_eq!(ParamFile::content_of(value), value);
        }
    }
}
