//! How keys are shared out to partitions.

use serde::{Deserialize, Serialize};

/// How keys are shared out to partitions. Travels with each order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Partitioning {
    /// By the hash of the key: partitions of about equal numbers of keys, whatever the keys are.
    #[default]
    Hash,
    /// By ranges of keys: all keys of a partition are below all keys of the next.
    Ranges(Boundaries),
}

/// Where ranges of keys begin: partition `n + 1` holds the keys from boundary `n` on, as encoded bytes compare.
/// Nondecreasing; one less than there are partitions, or fewer, and the last partitions are empty then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries {
    /// One behind the other: an order is cloned often, and there may be thousands.
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Boundaries {
    /// Adds one, which is not below the last.
    ///
    /// # Panics
    /// All together are longer than 4 GiB.
    pub fn push(&mut self, boundary: &[u8]) {
        self.bytes.extend_from_slice(boundary);
        let end = u32::try_from(self.bytes.len());
        self.ends.push(end.expect("boundaries fit a message"));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, in order. What was damaged on its way gives empty ones.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let boundary = self.bytes.get(begin..end).unwrap_or_default();
            begin = end;
            boundary
        })
    }
}

impl<'a> FromIterator<&'a [u8]> for Boundaries {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(boundaries: I) -> Self {
        let mut all = Self::default();
        boundaries.into_iter().for_each(|one| all.push(one));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_come_back_in_order() {
        let given: [&[u8]; 4] = [b"", b"a", b"a", b"bc"];
        let boundaries: Boundaries = given.into_iter().collect();
        assert_eq!(boundaries.iter().collect::<Vec<_>>(), given);
        assert_eq!((boundaries.len(), boundaries.is_empty()), (4, false));
    }

    #[test]
    fn damaged_boundaries_do_not_panic() {
        let damaged = Boundaries {
            bytes: b"abc".to_vec(),
            ends: vec![2, 1, 9],
        };
        let empty: &[u8] = b"";
        assert_eq!(damaged.iter().collect::<Vec<_>>(), [b"ab", empty, empty]);
    }
}
