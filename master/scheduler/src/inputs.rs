//! What reduce attempts of a job must have consumed.
//!
//! For every map task the digest of the run that won last is kept, also while that run is lost: reduce
//! tasks that consumed it stay valid until the task wins again with another digest.

use mapfold_terms::{Digest, InputsDigest};

/// The runs that count.
#[derive(Debug)]
pub(crate) struct Inputs {
    digests: Vec<Option<Digest>>,
    expected: InputsDigest,
}

/// What a won map task means for reduce tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It never won before.
    First,
    /// Its run holds what the earlier one held.
    Same,
    /// It holds something else: whatever consumed the earlier one is invalid.
    Other,
}

impl Inputs {
    pub(crate) fn new(maps: u32) -> Self {
        Self {
            digests: vec![None; maps as usize],
            expected: InputsDigest::default(),
        }
    }

    /// The set that a reduce attempt must have consumed, once all map tasks have won.
    pub(crate) fn expected(&self) -> InputsDigest {
        self.expected
    }

    /// The digest that counts for a map task.
    pub(crate) fn digest(&self, map: u32) -> Option<Digest> {
        self.digests.get(map as usize).copied().flatten()
    }

    /// Map task `map` was won; O(1).
    pub(crate) fn win(&mut self, map: u32, digest: Digest) -> Change {
        let before = self.digests[map as usize].replace(digest);
        let change = match before {
            None => Change::First,
            Some(before) if before == digest => return Change::Same,
            Some(before) => {
                self.expected.remove(map, before);
                Change::Other
            }
        };
        self.expected.add(map, digest);
        change
    }

    /// The expected set, computed anew; O(n), for checks.
    pub(crate) fn recomputed(&self) -> InputsDigest {
        let mut sum = InputsDigest::default();
        for (map, digest) in (0..).zip(&self.digests) {
            if let Some(digest) = digest {
                sum.add(map, *digest);
            }
        }
        sum
    }
}
