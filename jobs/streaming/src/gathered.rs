//! What a mapper has printed for a combiner.

/// Keys and values in one buffer, and where they are.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a record is.
#[derive(Debug)]
struct Place {
    /// Of what it is sorted by, which ends with its key.
    start: usize,
    key: usize,
    value: usize,
    end: usize,
}

impl Gathered {
    /// Adds one. The last `key_len` bytes of what it is sorted by are its key.
    pub(crate) fn push(&mut self, sorted: &[u8], key_len: usize, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(sorted);
        self.bytes.extend_from_slice(value);
        let value = start + sorted.len();
        self.places.push(Place {
            start,
            key: value - key_len,
            value,
            end: self.bytes.len(),
        });
    }

    /// What it occupies.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    /// Keys and values, sorted; those of equal keys as they came. Empty afterwards.
    pub(crate) fn drain_sorted<E>(
        &mut self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { bytes, places } = self;
        places.sort_by(|one, other| {
            let sorted = |place: &Place| &bytes[place.start..place.value];
            sorted(one).cmp(sorted(other))
        });
        let drained = places.iter().try_for_each(|place| {
            each(
                &bytes[place.key..place.value],
                &bytes[place.value..place.end],
            )
        });
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
        for (sorted, value) in [("2a", "1"), ("1c", "2"), ("1b", "3"), ("1c", "0")] {
            gathered.push(sorted.as_bytes(), 1, value.as_bytes());
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
