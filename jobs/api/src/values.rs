//! The values of one key, as `reduce` sees them.

use mapfold_data::merge::{Cursor, same_key};
use mapfold_data::run::ReadRunError;

use crate::combine::MergeError;
use crate::job::group_of;
use crate::{Job, Value, ValueOwned, ValueRef};

/// The values of one key, in input order (with [`Job::GROUP_BY_FIRST`] in order of the rest of their keys, then of the input); exactly one if the job has a combiner.
///
/// They stream: a list may be longer than memory, and can be read once. What `reduce` does not read is skipped.
pub struct Values<'a, J: Job>(Source<'a, J>);

enum Source<'a, J: Job> {
    Folded(ValueOwned<J>, Given),
    Streamed(Group<'a>),
}

/// Whether the one folded value was given out.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Given(bool);

/// The records of one key in a sorted stream.
struct Group<'a> {
    stream: &'a mut (dyn Cursor<Error = ReadRunError> + 'a),
    /// What the keys of the group have in common.
    key: &'a [u8],
    at: At,
    records: u64,
    error: Option<MergeError>,
}

/// Where the stream stands, as seen from the group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the group's first record, which is not given out yet.
    First,
    /// At a record of the group that is given out.
    Given,
    /// At the next group.
    Next,
    /// At the end.
    End,
}

/// What is known once a group is through.
pub(crate) struct GroupEnd {
    /// Whether the stream stands at a further group.
    pub(crate) more: bool,
    /// Records that the group had.
    pub(crate) records: u64,
}

impl<'a, J: Job> Values<'a, J> {
    /// The one value that the combiner has left.
    pub(crate) fn folded(value: ValueOwned<J>) -> Self {
        Self(Source::Folded(value, Given(false)))
    }

    /// The group at whose first record `stream` stands.
    pub(crate) fn streamed(
        stream: &'a mut (dyn Cursor<Error = ReadRunError> + 'a),
        key: &'a [u8],
    ) -> Self {
        Self(Source::Streamed(Group {
            stream,
            key,
            at: At::First,
            records: 0,
            error: None,
        }))
    }

    /// The next value, `None` at the end. (Not an `Iterator`, since values are lent; [`Values::owned`] is.)
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, so it is no Iterator"
    )]
    pub fn next(&mut self) -> Option<ValueRef<'_, J>> {
        match &mut self.0 {
            Source::Folded(value, given) => given.take().map(|()| J::Value::borrow(value)),
            Source::Streamed(group) => group.next::<J>(),
        }
    }

    /// The next value, and how often it is known to come, one after the other; the next call goes on after those. More of it may still come. For
    /// jobs to which a value that comes a million times is less work than a million values.
    #[inline]
    pub fn next_times(&mut self) -> Option<(ValueRef<'_, J>, u64)> {
        match &mut self.0 {
            Source::Folded(value, given) => given.take().map(|()| (J::Value::borrow(value), 1)),
            Source::Streamed(group) => group.next_times::<J>(),
        }
    }

    /// The values as an iterator, each copied.
    pub fn owned(&mut self) -> impl Iterator<Item = ValueOwned<J>> {
        std::iter::from_fn(|| self.next().map(J::Value::into_owned))
    }

    /// Skips what is left.
    pub(crate) fn finish(self) -> Result<GroupEnd, MergeError> {
        match self.0 {
            Source::Folded(..) => Ok(GroupEnd {
                more: false,
                records: 1,
            }),
            Source::Streamed(mut group) => {
                while group.advance::<J>() {
                    group.records += u64::from(group.stream.skip_same());
                }
                let more = group.at == At::Next;
                group.error.map_or(
                    Ok(GroupEnd {
                        more,
                        records: group.records,
                    }),
                    Err,
                )
            }
        }
    }
}

impl Given {
    /// Something, the first time.
    fn take(&mut self) -> Option<()> {
        (!std::mem::replace(&mut self.0, true)).then_some(())
    }
}

impl Group<'_> {
    fn next<J: Job>(&mut self) -> Option<ValueRef<'_, J>> {
        if !self.advance::<J>() {
            return None;
        }
        self.value::<J>()
    }

    fn next_times<J: Job>(&mut self) -> Option<(ValueRef<'_, J>, u64)> {
        if !self.advance::<J>() {
            return None;
        }
        let more = u64::from(self.stream.skip_same());
        self.records += more;
        Some((self.value::<J>()?, 1 + more))
    }

    /// That of the record at which the stream stands.
    fn value<J: Job>(&mut self) -> Option<ValueRef<'_, J>> {
        match J::Value::decode(self.stream.value()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error = Some(error.into());
                None
            }
        }
    }

    /// Goes to the next record of the group; false when there is none, or an error stopped it.
    fn advance<J: Job>(&mut self) -> bool {
        if self.error.is_some() {
            return false;
        }
        self.at = match self.at {
            At::First => At::Given,
            At::Given => match self.stream.advance() {
                Ok(true) if self.has_same_key::<J>() => At::Given,
                Ok(true) => At::Next,
                Ok(false) => At::End,
                Err(error) => {
                    self.error = Some(error.into());
                    At::End
                }
            },
            past => past,
        };
        self.records += u64::from(self.at == At::Given);
        self.at == At::Given
    }

    /// Whether the record at which the stream stands, and which follows one of the group, is one too.
    #[inline]
    fn has_same_key<J: Job>(&self) -> bool {
        self.stream.repeats() || same_key(group_of::<J>(self.stream.key()), self.key)
    }
}
