//! Lists of values that grow in turn, each in a few pieces of one memory, so that it is read from front to back.
//!
//! A list begins with a small chunk; when that is full another follows, twice as large up to a bound. Lucene keeps the postings of terms in
//! the same way while it indexes ("slices" of byte blocks). In a chunk:
//! ```text
//! a short value    length + 1 u8  bytes
//! a longer one     255  length u32, in native order  bytes
//! a link           0  where the next chunk begins u32, in native order          once the chunk is full; room for it is kept
//! ```

use std::ops::Range;

use crate::hint;

/// Bytes for values in the first chunk of a list, and in the largest. A value that is longer has a chunk to itself.
const ROOM_MIN: usize = 8;
const ROOM_MAX: usize = 4096;

/// Bytes of the longest value that is short.
const SHORT_MAX: usize = 253;
const LONG: u8 = 255;
const LONG_HEAD: usize = 1 + size_of::<u32>();

const LINK: u8 = 0;
const LINK_BYTES: usize = 1 + size_of::<u32>();

/// Lists of so many bytes are full. Places are told in 32 bits, so that a key and its list are one half of a cache line; what is still added in
/// one go has place above.
const FULL: usize = 5 << 29;

/// Values of many lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    bytes: Vec<u8>,
    /// The most that was in it since its memory was last given back.
    kept: usize,
}

/// One of them, to be appended to.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    extent: Extent,
    /// Bytes for values that are left in its last chunk.
    left: u16,
    /// Its last chunk is so many times twice as large as the smallest.
    doublings: u16,
}

/// Where a list begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    first: u32,
    end: u32,
}

impl List {
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }
}

impl Extent {
    /// Length of its bytes.
    pub(super) const BYTES: usize = 2 * size_of::<u32>();

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [first, end] = [self.first, self.end].map(u64::from);
        (first << u32::BITS | end).to_ne_bytes()
    }

    /// From its bytes; the extent of an empty list from others.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are what is wanted"
    )]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let both = bytes
            .first_chunk()
            .map_or(0, |both| u64::from_ne_bytes(*both));
        Self {
            first: (both >> u32::BITS) as u32,
            end: both as u32,
        }
    }
}

impl Lists {
    /// A list of one value. `value` is shorter than 2^32 bytes.
    pub(super) fn begin(&mut self, value: &[u8]) -> List {
        let first = place(self.bytes.len());
        let mut list = List {
            extent: Extent { first, end: first },
            left: 0,
            doublings: 0,
        };
        self.add_chunk(&mut list, value);
        list
    }

    /// Begins to load the place where the next value of a list goes.
    #[inline]
    pub(super) fn ask(&self, list: &List) {
        hint::prefetch(&self.bytes, list.extent.end as usize);
    }

    /// Begins to load the first values of a list.
    #[inline]
    pub(super) fn ask_first(&self, extent: Extent) {
        hint::prefetch(&self.bytes, extent.first as usize);
    }

    /// Appends a value, which is shorter than 2^32 bytes. Tells whether that took more memory.
    #[inline]
    pub(super) fn append(&mut self, list: &mut List, value: &[u8]) -> bool {
        let needed = 1 + value.len();
        if needed > usize::from(list.left).min(1 + SHORT_MAX) {
            return self.append_slowly(list, value);
        }
        let end = list.extent.end as usize;
        let room = &mut self.bytes[end..end + needed];
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 254")]
        let needed = needed as u8;
        room[0] = needed;
        match value {
            // A copy of unknown length is a call.
            [byte] => room[1] = *byte,
            _ => room[1..].copy_from_slice(value),
        }
        list.left -= u16::from(needed);
        list.extent.end += u32::from(needed);
        false
    }

    #[cold]
    fn append_slowly(&mut self, list: &mut List, value: &[u8]) -> bool {
        let (head, head_len) = head(value.len());
        let needed = head_len + value.len();
        let end = list.extent.end as usize;
        if needed <= usize::from(list.left) {
            let (head_at, value_at) = self.bytes[end..end + needed].split_at_mut(head_len);
            head_at.copy_from_slice(&head[..head_len]);
            value_at.copy_from_slice(value);
            list.extent.end = place(end + needed);
            list.left = left(usize::from(list.left), needed);
            return false;
        }
        let next = place(self.bytes.len()).to_ne_bytes();
        self.bytes[end] = LINK;
        self.bytes[end + 1..end + LINK_BYTES].copy_from_slice(&next);
        list.doublings += u16::from(ROOM_MIN << list.doublings < ROOM_MAX);
        self.add_chunk(list, value);
        true
    }

    /// Gives a list one more chunk, with its first value.
    fn add_chunk(&mut self, list: &mut List, value: &[u8]) {
        let (head, head_len) = head(value.len());
        let needed = head_len + value.len();
        let room = needed.max(ROOM_MIN << list.doublings);
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&head[..head_len]);
        self.bytes.extend_from_slice(value);
        self.bytes.resize(begin + room + LINK_BYTES, 0);
        list.extent.end = place(begin + needed);
        list.left = left(room, needed);
    }

    /// Where the first value of what is left of a list is, which is then shorter; `None` if nothing is left.
    #[inline]
    pub(super) fn next(&self, rest: &mut Extent) -> Option<Range<usize>> {
        if rest.first == rest.end {
            return None;
        }
        let mut at = rest.first as usize;
        if self.bytes[at] == LINK {
            at = self.number(at + 1);
        }
        let (head_len, length) = match self.bytes[at] {
            LONG => (LONG_HEAD, self.number(at + 1)),
            short => (1, usize::from(short) - 1),
        };
        let value = at + head_len..at + head_len + length;
        rest.first = place(value.end);
        Some(value)
    }

    /// The value that is there.
    #[inline]
    pub(super) fn value(&self, place: Range<usize>) -> &[u8] {
        &self.bytes[place]
    }

    fn number(&self, at: usize) -> usize {
        let bytes = self.bytes[at..].first_chunk();
        u32::from_ne_bytes(*bytes.expect("links and heads are whole")) as usize
    }

    /// Whether they can take only what is being added.
    pub(super) fn are_full(&self) -> bool {
        self.bytes.len() > FULL
    }

    /// Bytes of memory that they occupy.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len().max(self.kept)
    }

    /// Forgets all lists; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.kept = self.bytes();
        self.bytes.clear();
    }
}

/// Where something is; [`FULL`] keeps it inside a u32.
#[inline]
fn place(at: usize) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "full lists are not added to"
    )]
    {
        at as u32
    }
}

/// What stands before a value of that length, and its own length.
#[expect(
    clippy::cast_possible_truncation,
    reason = "short lengths fit a byte, and values are shorter than 2^32 bytes"
)]
fn head(length: usize) -> ([u8; LONG_HEAD], usize) {
    let mut head = [LONG; LONG_HEAD];
    if length <= SHORT_MAX {
        head[0] = length as u8 + 1;
        return (head, 1);
    }
    head[1..].copy_from_slice(&(length as u32).to_ne_bytes());
    (head, LONG_HEAD)
}

/// What a value leaves of the room of a chunk. A value for which a chunk was made larger than others leaves nothing.
fn left(room: usize, needed: usize) -> u16 {
    u16::try_from(room - needed).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn values(lists: &Lists, list: &List) -> Vec<Vec<u8>> {
        let mut rest = list.extent();
        let next = || {
            lists
                .next(&mut rest)
                .map(|place| lists.value(place).to_vec())
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn values_of_all_lengths_read_back() {
        let mut lists = Lists::default();
        let value = |length: usize| vec![7; length];
        let mut list = lists.begin(&value(0));
        let lengths: Vec<usize> = (0..600).chain([4090, 4096, 70_000, 0, 1, 5000]).collect();
        for length in &lengths {
            lists.append(&mut list, &value(*length));
        }
        let want: Vec<_> = [0].into_iter().chain(lengths).map(value).collect();
        assert!(values(&lists, &list) == want);
        assert_eq!(
            Extent::of_bytes(&list.extent().to_bytes()).end,
            list.extent().end
        );
    }

    #[test]
    fn a_key_and_its_list_take_half_a_cache_line() {
        assert_eq!(size_of::<List>(), 12);
    }

    #[test]
    fn a_long_list_of_short_values_takes_hardly_more_than_they() {
        let mut lists = Lists::default();
        let mut list = lists.begin(b"1");
        let grown = (1..100_000)
            .filter(|_| lists.append(&mut list, b"1"))
            .count();
        assert!(grown < 120, "{grown}");
        assert!(lists.bytes() < 210_000, "{}", lists.bytes());
    }

    proptest! {
        #[test]
        fn lists_that_grow_in_turn_do_not_mix(
            pushes in vec((0..4_usize, prop_oneof![4 => 0..3_usize, 2 => 0..40_usize, 1 => 240..600_usize]), 0..300)
        ) {
            let mut lists = Lists::default();
            let mut want: [Vec<Vec<u8>>; 4] = Default::default();
            let mut got: [Option<List>; 4] = [None; 4];
            for (number, (at, length)) in (0_u8..=255).cycle().zip(pushes) {
                let value = vec![number; length];
                match &mut got[at] {
                    None => got[at] = Some(lists.begin(&value)),
                    Some(list) => {
                        let before = lists.bytes();
                        prop_assert_eq!(lists.append(list, &value), lists.bytes() > before);
                    }
                }
                want[at].push(value);
            }
            for (want, got) in want.iter().zip(got) {
                let got = got.map(|list| values(&lists, &list));
                prop_assert_eq!(want, &got.unwrap_or_default());
            }
        }
    }
}
