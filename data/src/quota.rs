//! A bound on the bytes of all temporary files of one process, so that a job cannot fill a disk that others need.
//!
//! Bytes are counted as they are handed to the file system, before it sees them, and given back when their file is deleted. Being over the
//! bound looks like a full disk to whoever writes: the attempt fails, and is tried elsewhere.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mapfold_terms::ByteSize;

/// A bound, or none. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quota(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    max: u64,
    used: AtomicU64,
}

/// What one file, or one folder, takes of a quota; given back when dropped.
#[derive(Debug, Default)]
pub struct Charge {
    quota: Quota,
    bytes: u64,
}

/// The temporary files of this process have reached their bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("temporary files of this process may take {max}, and no more (--temp-max)")]
pub(crate) struct OverQuota {
    max: ByteSize,
}

impl Quota {
    /// A bound of `max` bytes; `None` for none.
    pub(crate) fn new(max: Option<ByteSize>) -> Self {
        Self(max.map(|max| {
            Arc::new(Shared {
                max: max.bytes(),
                used: AtomicU64::new(0),
            })
        }))
    }

    /// Nothing taken yet.
    pub(crate) fn charge(&self) -> Charge {
        Charge {
            quota: self.clone(),
            bytes: 0,
        }
    }
}

impl Charge {
    /// Whether there is a bound at all.
    pub fn is_bounded(&self) -> bool {
        self.quota.0.is_some()
    }

    /// Takes `more` bytes.
    ///
    /// # Errors
    /// They would be too many; nothing is taken then. The kind is that of a disk quota.
    pub fn add(&mut self, more: u64) -> io::Result<()> {
        self.set(self.bytes.saturating_add(more))
    }

    /// Takes `bytes` in all: what is above that is given back.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn set(&mut self, bytes: u64) -> io::Result<()> {
        let Some(shared) = &self.quota.0 else {
            return Ok(());
        };
        let before = self.bytes;
        let update = |used: u64| {
            let used = (used - before).checked_add(bytes)?;
            (used <= shared.max || bytes <= before).then_some(used)
        };
        let updated = shared
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        if updated.is_err() {
            let max = ByteSize(shared.max);
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                OverQuota { max },
            ));
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(shared) = &self.quota.0 {
            shared.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_over_all_files_and_given_back() {
        let quota = Quota::new(Some(ByteSize(100)));
        let (mut one, mut two) = (quota.charge(), quota.charge());
        one.add(60).unwrap();
        two.add(40).unwrap();
        let refused = two.add(1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
        assert!(refused.to_string().contains("100 B"), "{refused}");
        one.set(10).unwrap();
        two.add(50).unwrap();
        drop(one);
        two.add(10).unwrap();
        drop(two);
        quota.charge().add(100).unwrap();
    }

    #[test]
    fn without_a_bound_nothing_is_refused() {
        let mut charge = Quota::default().charge();
        charge.add(u64::MAX).unwrap();
        charge.add(u64::MAX).unwrap();
        assert!(!charge.is_bounded());
    }
}
