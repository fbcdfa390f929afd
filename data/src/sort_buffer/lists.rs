//! Lists of values that grow in turn, each in a few pieces of one memory, so that it is read from front to back.
//!
//! A list begins with a small chunk; when that is full another follows, twice as large up to a bound. Lucene keeps the postings of terms in
//! the same way while it indexes ("slices" of byte blocks). In a chunk:
//! ```text
//! a short value    length + 1 u8  bytes
//! a longer one     255  length u32, in native order  bytes
//! times            254  u32: so often the value before comes again
//! a link           0  where the next chunk begins u32, in native order          once the chunk is full; room for it is kept
//! ```

use std::ops::Range;

use crate::hint;

/// Bytes for values in the first chunk of a list, and in the largest. A value that is longer has a chunk to itself.
const ROOM_MIN: usize = 8;
const ROOM_MAX: usize = 4096;

/// Bytes of the longest value that is short.
const SHORT_MAX: usize = 252;
const LONG: u8 = 255;
const LONG_HEAD: usize = 1 + size_of::<u32>();

const AGAIN: u8 = 254;
const AGAIN_BYTES: usize = 1 + size_of::<u32>();

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

/// One of them, to be appended to. A value of one byte that comes again and again, as those of words that are counted do, is only counted: in
/// here, so memory is not looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    extent: Extent,
    room: Room,
    /// The last value, if it is one byte and may be counted.
    last: Option<u8>,
}

/// What is left in the last chunk of a list, and how often that is twice as large as the smallest.
#[derive(Clone, Copy, Debug)]
struct Room(u16);

impl Room {
    const LEFT_BITS: u32 = ROOM_MAX.ilog2();

    /// Of a chunk whose values take `left` bytes less than it has for them. A chunk that was made for one long value has nothing left.
    fn new(left: usize, doublings: u16) -> Self {
        let left = u16::try_from(left).unwrap_or(0) % (1 << Self::LEFT_BITS);
        Self(doublings << Self::LEFT_BITS | left)
    }

    #[inline]
    fn left(self) -> usize {
        usize::from(self.0 % (1 << Self::LEFT_BITS))
    }

    fn doublings(self) -> u16 {
        self.0 >> Self::LEFT_BITS
    }
}

/// Where a list begins and ends, and how often its last value comes again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    first: u32,
    end: u32,
    again: u32,
}

/// What is left to be read of a list.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    extent: Extent,
    /// The value that was read last.
    last: Range<usize>,
}

impl List {
    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Appends a value, if it only has to be counted. Otherwise the next ones are not counted either, until it [is appended](Lists::append).
    #[inline]
    pub(super) fn count(&mut self, value: &[u8]) -> bool {
        let counts = matches!((value, self.last), ([byte], Some(last)) if *byte == last)
            && self.extent.again < u32::MAX;
        match counts {
            true => self.extent.again += 1,
            false => self.last = None,
        }
        counts
    }
}

impl Extent {
    /// Length of its bytes.
    pub(super) const BYTES: usize = 3 * size_of::<u32>();

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [self.first, self.end, self.again];
        for (number, bytes) in numbers.into_iter().zip(bytes.as_chunks_mut().0) {
            *bytes = number.to_ne_bytes();
        }
        bytes
    }

    /// From its bytes; the extent of an empty list from others.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let (numbers, _) = bytes.as_chunks();
        let number = |at: usize| {
            numbers
                .get(at)
                .map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        Self {
            first: number(0),
            end: number(1),
            again: number(2),
        }
    }

    /// All of its values.
    pub(super) fn rest(self) -> Rest {
        Rest {
            extent: self,
            last: 0..0,
        }
    }
}

impl Lists {
    /// A list of one value. `value` is shorter than 2^32 bytes.
    pub(super) fn begin(&mut self, value: &[u8]) -> List {
        let first = place(self.bytes.len());
        let mut list = List {
            extent: Extent {
                first,
                end: first,
                again: 0,
            },
            room: Room::new(0, 0),
            last: None,
        };
        let (head, head_len) = head(value.len());
        self.begin_chunk(&mut list, 0, &head[..head_len], value);
        list.last = single(value);
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
        list.last = single(value);
        let end = list.extent.end as usize;
        let needed = 1 + value.len();
        let left = list.room.left();
        if list.extent.again > 0 || needed > left.min(1 + SHORT_MAX) {
            return self.append_slowly(list, value);
        }
        let room = &mut self.bytes[end..end + needed];
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 253")]
        {
            room[0] = needed as u8;
        }
        match value {
            // A copy of unknown length is a call.
            [byte] => room[1] = *byte,
            _ => room[1..].copy_from_slice(value),
        }
        list.extent.end = place(end + needed);
        list.room = Room::new(left - needed, list.room.doublings());
        false
    }

    #[cold]
    fn append_slowly(&mut self, list: &mut List, value: &[u8]) -> bool {
        let mut grew = false;
        if list.extent.again > 0 {
            let again = std::mem::take(&mut list.extent.again);
            grew = self.append_pieces(list, &[AGAIN], &again.to_ne_bytes());
        }
        let (head, head_len) = head(value.len());
        self.append_pieces(list, &head[..head_len], value) || grew
    }

    fn append_pieces(&mut self, list: &mut List, head: &[u8], rest: &[u8]) -> bool {
        let needed = head.len() + rest.len();
        let left = list.room.left();
        let end = list.extent.end as usize;
        if needed > left {
            self.add_chunk(list, head, rest);
            return true;
        }
        let (head_at, rest_at) = self.bytes[end..end + needed].split_at_mut(head.len());
        head_at.copy_from_slice(head);
        rest_at.copy_from_slice(rest);
        list.extent.end = place(end + needed);
        list.room = Room::new(left - needed, list.room.doublings());
        false
    }

    /// Links a list to one more chunk, in which it goes on.
    #[cold]
    fn add_chunk(&mut self, list: &mut List, head: &[u8], rest: &[u8]) {
        let next = place(self.bytes.len()).to_ne_bytes();
        let end = list.extent.end as usize;
        self.bytes[end] = LINK;
        self.bytes[end + 1..end + LINK_BYTES].copy_from_slice(&next);
        let doublings = list.room.doublings();
        let more = u16::from(ROOM_MIN << doublings < ROOM_MAX);
        self.begin_chunk(list, doublings + more, head, rest);
    }

    fn begin_chunk(&mut self, list: &mut List, doublings: u16, head: &[u8], rest: &[u8]) {
        let needed = head.len() + rest.len();
        let room = needed.max(ROOM_MIN << doublings);
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(rest);
        self.bytes.resize(begin + room + LINK_BYTES, 0);
        list.extent.end = place(begin + needed);
        list.room = Room::new(room - needed, doublings);
    }

    /// Where the next value of what is left of a list is, which is then shorter, and how often it comes: if often, the value before once more;
    /// `None` if nothing is left.
    #[inline]
    pub(super) fn next(&self, rest: &mut Rest) -> Option<(Range<usize>, u32)> {
        let Rest { extent, last } = rest;
        loop {
            if extent.first == extent.end {
                let again = std::mem::take(&mut extent.again);
                return (again > 0).then(|| (last.clone(), again));
            }
            let at = extent.first as usize;
            let (head_len, length) = match self.bytes[at] {
                LINK => {
                    extent.first = self.number(at + 1);
                    continue;
                }
                AGAIN => {
                    extent.first = place(at + AGAIN_BYTES);
                    return Some((last.clone(), self.number(at + 1)));
                }
                LONG => (LONG_HEAD, self.number(at + 1) as usize),
                short => (1, usize::from(short) - 1),
            };
            *last = at + head_len..at + head_len + length;
            extent.first = place(last.end);
            return Some((last.clone(), 1));
        }
    }

    /// The value that is there.
    #[inline]
    pub(super) fn value(&self, place: Range<usize>) -> &[u8] {
        &self.bytes[place]
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = self.bytes[at..].first_chunk();
        u32::from_ne_bytes(*bytes.expect("links, times and heads are whole"))
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

/// A value that may be counted.
#[inline]
fn single(value: &[u8]) -> Option<u8> {
    match value {
        [byte] => Some(*byte),
        _ => None,
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn values(lists: &Lists, list: &List) -> Vec<Vec<u8>> {
        let mut rest = Extent::of_bytes(&list.extent().to_bytes()).rest();
        std::iter::from_fn(|| lists.next(&mut rest))
            .flat_map(|(place, times)| vec![lists.value(place).to_vec(); times as usize])
            .collect()
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
    }

    #[test]
    fn a_key_and_its_list_take_half_a_cache_line() {
        assert_eq!(size_of::<List>(), 16);
    }

    #[test]
    fn a_long_list_of_short_values_takes_hardly_more_than_they() {
        let mut lists = Lists::default();
        let mut list = lists.begin(b"0");
        let grown = (1..100_000_u32).filter(|at| lists.append(&mut list, &[b'0' + (at % 2) as u8]));
        let grown = grown.count();
        assert!(grown < 120, "{grown}");
        assert!(lists.bytes() < 210_000, "{}", lists.bytes());
    }

    #[test]
    fn a_byte_that_comes_again_is_counted() {
        let mut lists = Lists::default();
        let mut list = lists.begin(b"1");
        let before = lists.bytes();
        assert!((0..100_000).all(|_| list.count(b"1")));
        assert_eq!(lists.bytes(), before);
        assert!(!list.count(b"2") && !list.count(b"1"));
        for value in [b"2", b"1"] {
            lists.append(&mut list, value);
        }
        assert!(list.count(b"1"));
        let want = [vec![b"1"; 100_001], vec![b"2", b"1", b"1"]].concat();
        assert!(values(&lists, &list).iter().eq(want.iter()));
    }

    proptest! {
        #[test]
        fn lists_that_grow_in_turn_do_not_mix(
            pushes in vec((0..4_usize, prop_oneof![4 => 0..3_usize, 2 => 0..40_usize, 1 => 240..600_usize]), 0..300)
        ) {
            let mut lists = Lists::default();
            let mut want: [Vec<Vec<u8>>; 4] = Default::default();
            let mut got: [Option<List>; 4] = [None; 4];
            for (number, (at, length)) in (0..).zip(pushes) {
                let value = vec![u8::try_from(number / 7 % 256).unwrap(); length];
                match &mut got[at] {
                    None => got[at] = Some(lists.begin(&value)),
                    Some(list) => {
                        let before = lists.bytes();
                        let grew = !list.count(&value) && lists.append(list, &value);
                        prop_assert_eq!(grew, lists.bytes() > before);
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
