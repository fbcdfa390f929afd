//! The page in which a reduce attempt notes what it has at hand, kept by the slot that waits for it.
//!
//! It is memory without a name that this process owns; the child finds it among the files of this process. Where that cannot be had, nothing is noted.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mapfold_job::border::{AtHand, shown_key};
use mapfold_terms::PartitionId;
use rustix::fs::{MemfdFlags, memfd_create};

/// The page of one attempt.
pub(super) struct NotePage {
    file: File,
    path: PathBuf,
}

impl NotePage {
    /// An empty one, as long as there are files to be had.
    pub(super) fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("at-hand", MemfdFlags::CLOEXEC)?);
        file.set_len(AtHand::PAGE_BYTES as u64)?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Ok(Self {
            file,
            path: path.into(),
        })
    }

    /// Where the attempt finds it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the attempt was doing, if it has noted that; its process has ended. `kind`: of its keys.
    pub(super) fn told(&self, kind: &str, partition: PartitionId) -> Option<String> {
        let mut page = [0; AtHand::PAGE_BYTES];
        self.file.read_exact_at(&mut page, 0).ok()?;
        told(AtHand::read(&page), kind, partition)
    }
}

fn told(at_hand: AtHand, kind: &str, partition: PartitionId) -> Option<String> {
    let partition = partition.0;
    Some(match at_hand {
        AtHand::Nothing => return None,
        AtHand::Combiner => {
            format!("it was combining values of partition {partition}, ahead of `reduce`")
        }
        AtHand::Reduce { number, key } => {
            let key = shown_key(kind, &key);
            format!("it was reducing key `{key}` (key {number} of partition {partition})")
        }
        AtHand::Finish { keys } => {
            format!("it was in `finish_reduce`, after {keys} keys of partition {partition}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_noted_is_told() {
        let page = NotePage::new().unwrap();
        assert_eq!(page.told("text", PartitionId(3)), None);
        // As the attempt does, from wherever it is.
        let mut noted = fs::read(page.path()).unwrap();
        noted[0] = 1;
        fs::write(page.path(), noted).unwrap();
        let told = page.told("text", PartitionId(3)).unwrap();
        assert_eq!(
            told,
            "it was combining values of partition 3, ahead of `reduce`"
        );
    }

    #[test]
    fn a_key_is_told_as_people_read_it() {
        let check = |kind, key: &[u8], want| {
            let key = key.to_vec();
            let at_hand = AtHand::Reduce { number: 7, key };
            let told = told(at_hand, kind, PartitionId(0)).unwrap();
            assert_eq!(
                told,
                format!("it was reducing key `{want}` (key 7 of partition 0)")
            );
        };
        check("text", b"a\tb", "a\\tb");
        check("u16", b"\x01\x02", "258");
    }
}
