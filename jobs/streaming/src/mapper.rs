//! The map side of a job: the mapper is fed records, and prints keys and values. Without one the records are those.

use mapfold_job::{Block, JobError};

use crate::conf::Conf;
use crate::feed::Feed;
use crate::input::Input;
use crate::kind::Kinds;
use crate::role::Role;
use crate::running::{Out, Running};
use crate::xml;

/// Bytes that are gathered before a program is fed.
pub(crate) const FEED_BYTES: usize = 256 << 10;

/// What maps.
#[derive(Debug)]
pub(crate) struct Mapper {
    input: Input,
    program: Option<(Role, Feed)>,
    kinds: Kinds,
}

/// What a map attempt keeps.
#[derive(Default)]
pub(crate) struct Mapping {
    running: Running,
    /// To be fed.
    fed: Vec<u8>,
    open: xml::Open,
}

impl Mapper {
    /// That of a job.
    ///
    /// # Errors
    /// What is no command, no separator, or cannot be fed.
    pub(crate) fn of(conf: &Conf) -> Result<Self, JobError> {
        let input = Input::new(&conf.records, conf.line_max)?;
        let records = input.kinds();
        let (program, kinds) = match &conf.mapper {
            None => (None, records),
            Some(command) => {
                let role = Role::new("mapper", command, &conf.map_output, conf)?;
                let feed = Feed::new(&conf.map_input, records)?.ignoring_keys(conf.ignore_key);
                (Some((role, feed)), Kinds::printed(conf.map_output.form))
            }
        };
        Ok(Self {
            input,
            program,
            kinds,
        })
    }

    /// What the keys and values are that leave it.
    pub(crate) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// Maps a block; what is printed meanwhile goes to `out`.
    ///
    /// # Errors
    /// What a program does that fails an attempt; of `out`.
    pub(crate) fn map(
        &self,
        mapping: &mut Mapping,
        block: &Block<'_>,
        out: &mut impl Out,
    ) -> Result<(), JobError> {
        let Mapping { running, fed, open } = mapping;
        let Some((role, feed)) = &self.program else {
            return self.input.each(block, open, |key, value| {
                out.pair(block.bytes(), key, value)
            });
        };
        running.start(role, out)?;
        if feed.is_values_alone()
            && let Some(lines) = self.input.values_as_they_are(block)
        {
            return running.feed(role, lines, out);
        }
        self.input.each(block, open, |key, value| {
            feed.put(key, value, fed);
            match fed.len() >= FEED_BYTES {
                true => running.feed_all(role, fed, out),
                false => Ok(()),
            }
        })?;
        running.feed_all(role, fed, out)
    }

    /// After the last block. A program that was fed nothing is run all the same.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub(crate) fn finish(&self, mapping: Mapping, out: &mut impl Out) -> Result<(), JobError> {
        let Mapping {
            mut running,
            mut fed,
            open,
        } = mapping;
        let pieces = out.attempt().split().map(|split| &split.pieces);
        let last = pieces.and_then(|pieces| pieces.last().cloned());
        let Some((role, feed)) = &self.program else {
            return self
                .input
                .finish(open, last.as_ref(), |key, value| out.pair(&[], key, value));
        };
        running.start(role, out)?;
        self.input.finish(open, last.as_ref(), |key, value| {
            feed.put(key, value, &mut fed);
            Ok(())
        })?;
        running.feed_all(role, &mut fed, out)?;
        running.finish(role, out)
    }
}
