//! What a mapper has printed for a combiner.

use std::ops::Range;

/// Keys and values in one buffer, and where they are.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    /// Of each: what it is sorted by, its key, its value.
    places: Vec<[usize; 4]>,
}

impl Gathered {
    /// Adds one; `sorted_by` comes before the key's bytes in its order.
    pub(crate) fn push(&mut self, sorted_by: &[u8], key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        for part in [sorted_by, key, value] {
            self.bytes.extend_from_slice(part);
        }
        let key_at = start + sorted_by.len();
        let value_at = key_at + key.len();
        self.places
            .push([start, key_at, value_at, self.bytes.len()]);
    }

    /// What it occupies.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<[usize; 4]>()
    }

    /// Keys and values, sorted; those of equal keys as they came. Empty afterwards.
    pub(crate) fn drain_sorted<E>(
        &mut self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { bytes, places } = self;
        let part = |range: Range<usize>| &bytes[range];
        places.sort_by(|one, other| {
            let by = |[start, key, value, _]: &[usize; 4]| (part(*start..*key), part(*key..*value));
            by(one).cmp(&by(other))
        });
        let drained = places
            .iter()
            .try_for_each(|[_, key, value, end]| each(part(*key..*value), part(*value..*end)));
        places.clear();
        bytes.clear();
        drained
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn pairs_leave_in_order_of_what_they_are_sorted_by_and_their_keys() {
        let mut gathered = Gathered::default();
        for (by, key, value) in [
            ("2", "a", "1"),
            ("1", "c", "2"),
            ("1", "b", "3"),
            ("1", "c", "0"),
        ] {
            gathered.push(by.as_bytes(), key.as_bytes(), value.as_bytes());
        }
        let mut got = String::new();
        let mut keep = |key: &[u8], value: &[u8]| {
            got += str::from_utf8(key).unwrap();
            got += str::from_utf8(value).unwrap();
            Ok::<_, Infallible>(())
        };
        gathered.drain_sorted(&mut keep).unwrap();
        gathered.drain_sorted(&mut keep).unwrap();
        assert_eq!(got, "b3c2c0a1");
        assert_eq!(gathered.bytes(), 0);
    }
}
