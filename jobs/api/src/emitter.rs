//! Where `map` puts keys and values: the fold table or the sort buffer, and spills when over budget.

use std::any::Any;
use std::cell::Cell;
use std::mem::needs_drop;

use mapfold_data::fold_table::PARTITION_BYTES;
use mapfold_data::merge::Push;
use mapfold_data::partition::partition_of_hash;
use mapfold_data::run::{Run, RunBytes, Segment};
use mapfold_data::sort_buffer::SortBuffer;
use mapfold_terms::{ByteSize, Counters, Digest, Format, PartitionId, RunSummary, Staged};

use crate::budget::Budget;
use crate::combine::{MergeError, combine, combine_runs, fold};
use crate::job::group_of;
use crate::output::Output;
use crate::partition::partition_of;
use crate::sink::Sink;
use crate::spills::Spills;
use crate::state::State;
use crate::{Attempt, Job, Key, KeyRef, Partition, Record, Rows, Value, ValueOwned, ValueRef};

/// Where `map` puts keys and values.
pub struct Emitter<'a, J: Job> {
    job: &'a J,
    budget: &'a Budget<'a>,
    /// The block at hand, of which most keys are slices.
    text: &'a [u8],
    emitted: &'a mut Emitted<J>,
}

/// What `map` has emitted so far in one attempt.
pub(crate) struct Emitted<J: Job> {
    sink: Sink<J>,
    /// Space for encoding keys.
    encoded: Vec<u8>,
    spills: Spills,
    /// For the rows of a job without reduce tasks.
    output: Output,
    format: Format,
    /// The first error; the attempt fails with it at the end of the block.
    error: Option<MergeError>,
    counters: Counters,
    records_out: u64,
    place: Place,
    /// The job's own.
    state: State,
}

/// The record at hand, for the message if its `map` fails.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of its first byte, in the unpacked file.
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// What an attempt leaves when all is emitted.
pub(crate) struct Finished<J: Job> {
    pub(crate) run: RunBytes,
    pub(crate) summary: RunSummary,
    pub(crate) records_out: u64,
    pub(crate) counters: Counters,
    pub(crate) spills: u32,
    pub(crate) spilled: ByteSize,
    /// Of a job without reduce tasks.
    pub(crate) staged: Option<Staged>,
    /// Empty, with the memory that is left for another attempt.
    pub(crate) sink: Sink<J>,
}

impl<'a, J: Job> Emitter<'a, J> {
    /// What the `map` of a block whose bytes are `text` emits goes to `emitted`.
    pub(crate) fn new(
        job: &'a J,
        budget: &'a Budget<'a>,
        text: &'a [u8],
        emitted: &'a mut Emitted<J>,
    ) -> Self {
        Self {
            job,
            budget,
            text,
            emitted,
        }
    }

    /// Emits one value for a key. Neither is kept: both are copied or folded before the call returns. A key that is a slice of the
    /// record, and has at most 15 bytes, is fastest.
    ///
    /// Costs a spill (a pass over memory and a sequential write) when the memory budget is full.
    #[inline(always)]
    pub fn emit(&mut self, key: KeyRef<'_, J>, value: ValueRef<'_, J>) {
        self.emit_from(self.text, key, value);
    }

    /// The same, where a key that is a slice of `text` is fastest: for a job that has its keys from elsewhere than the record.
    #[inline(always)]
    pub fn emit_from(&mut self, text: &[u8], key: KeyRef<'_, J>, value: ValueRef<'_, J>) {
        const {
            assert!(
                !J::MAP_ONLY,
                "a job without reduce tasks emits nothing: it writes rows, `out.rows().row(..)`"
            );
        }
        let job = self.job;
        let Emitted { sink, encoded, .. } = &mut *self.emitted;
        let given = key;
        let key = <J::Key as Key>::encode(key, encoded);
        let over_budget = match J::FOLD {
            // An accumulator that owns memory is not worth making only to be folded.
            Some(_) if needs_drop::<ValueOwned<J>>() => {
                // One of the two closures is called, once, and takes the value.
                let value = Cell::new(Some(value));
                let take = || value.take().expect("the table calls one of the two, once");
                let insert = || J::Value::into_owned(take());
                let update = |sum: &mut _| fold(job, key, sum, take());
                sink.table.upsert(text, key, insert, update) && self.table_is_full()
            }
            Some(_) => {
                let acc = J::Value::into_owned(value);
                let join = |key: &[u8], sum: &mut _, acc| fold_owned(job, key, sum, &acc);
                sink.table.push(text, key, acc, join) && self.table_is_full()
            }
            None => {
                let encode = |out: &mut Vec<u8>| J::Value::encode(value, out);
                let added = match sink.buffer.gathers() {
                    true => gather(job, self.budget, &mut sink.buffer, (text, key), encode),
                    false => push(job, self.budget, &mut sink.buffer, (given, key), encode),
                };
                let may_have_grown = added.unwrap_or_else(|error| {
                    self.emitted.error.get_or_insert(error);
                    true
                });
                may_have_grown && self.emitted.sink.buffer.bytes() > self.budget.for_records()
            }
        };
        self.emitted.records_out += 1;
        if over_budget {
            self.spill();
        }
    }

    /// Emits the same value for each of many keys: the name of a file for all its words. For values that own memory this is much
    /// faster than to emit them one by one, as keys can be looked up together.
    #[inline]
    pub fn emit_each<'k>(
        &mut self,
        keys: impl Iterator<Item = KeyRef<'k, J>>,
        value: &ValueOwned<J>,
    ) {
        if J::FOLD.is_none() || !needs_drop::<ValueOwned<J>>() {
            return keys.for_each(|key| self.emit(key, J::Value::borrow(value)));
        }
        let Self { job, text, .. } = *self;
        let insert = || J::Value::into_owned(J::Value::borrow(value));
        let update = |key: &[u8], sum: &mut _| fold_owned(job, key, sum, value);
        for key in keys {
            let Emitted { sink, encoded, .. } = &mut *self.emitted;
            let key = <J::Key as Key>::encode(key, encoded);
            let changed = sink.table.push_each(text, key, insert, update);
            self.emitted.records_out += 1;
            if changed && self.table_is_full() {
                self.emitted.sink.table.flush_each(insert, update);
                self.spill();
            }
        }
        let changed = self.emitted.sink.table.flush_each(insert, update);
        if changed && self.table_is_full() {
            self.spill();
        }
    }

    /// Where a job without reduce tasks ([`map_only!`](crate::map_only)) writes rows: into the part file of its map task, in the
    /// order of the calls.
    #[inline]
    pub fn rows(&mut self) -> Rows<'_> {
        const {
            assert!(
                J::MAP_ONLY,
                "only a job without reduce tasks writes rows from `map`: say `mapfold_job::map_only!();` in its `impl Job`"
            );
        }
        let Emitted {
            output,
            counters,
            state,
            format,
            ..
        } = &mut *self.emitted;
        Rows::new(output, counters, state, *format, self.budget.attempt)
    }

    /// Whether the attempt is to stop: the job was cancelled, or another attempt at the task has won. The engine looks between blocks; a job
    /// that waits for something within one looks now and then, and returns any error.
    pub fn cancelled(&self) -> bool {
        self.budget.attempt.cancelled()
    }

    /// Says in a few words how it is going; see [`Attempt::status`].
    pub fn status(&self, text: &str) {
        self.budget.attempt.status(text);
    }

    /// What there is to know of the attempt: which it is, and what it reads.
    pub fn attempt(&self) -> &'a Attempt<'a> {
        self.budget.attempt
    }

    /// Adds `n` to the job's counter `name`. Counters of the attempts that win are summed in the report; beyond 64 bits they wrap around.
    pub fn count(&mut self, name: &str, n: i64) {
        self.emitted.counters.add(name, n);
    }

    /// Adds `n` to the counter `name` of a group of counters, whose name has no line feed.
    pub fn count_in(&mut self, group: &str, name: &str, n: i64) {
        self.emitted.counters.add_in(group, name, n);
    }

    /// What the job keeps from record to record of this attempt: one value of each type, made when it is first asked for. See
    /// [`Job::finish_map`].
    #[inline]
    pub fn state<T: Any + Default>(&mut self) -> &mut T {
        self.state_or_else(T::default)
    }

    /// The same, made by `make`.
    #[inline]
    pub fn state_or_else<T: Any>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        self.emitted.state.get(make)
    }

    /// Takes out what the job has kept, so that it can be emitted; the default, if it never asked for it.
    pub fn take_state<T: Any + Default>(&mut self) -> T {
        self.emitted.state.take().unwrap_or_default()
    }

    /// Notes the record at hand, so that an error or panic in it names its place. A job that overrides
    /// [`Job::map_block`] calls it where it wants that.
    #[inline]
    pub fn begin_record(&mut self, record: &Record<'_>) {
        self.emitted.place = Place {
            offset: record.offset,
            len: record.bytes.len(),
        };
    }

    #[inline]
    fn table_is_full(&self) -> bool {
        let table = &self.emitted.sink.table;
        let to_leave = match J::PARTITION {
            None => 0,
            Some(_) => table.len() * PARTITION_BYTES,
        };
        table.bytes_next() + to_leave > self.budget.for_records()
    }

    /// Writes what is in memory to disk as a run and empties it.
    #[cold]
    fn spill(&mut self) {
        self.emitted.spill(self.job, self.budget);
    }
}

impl<J: Job> Emitted<J> {
    /// Nothing yet; `sink` is empty.
    pub(crate) fn new(mut sink: Sink<J>, budget: &Budget<'_>) -> Self {
        sink.keep_at_most(budget.kept_max());
        Self {
            sink,
            encoded: Vec::new(),
            spills: Spills::default(),
            output: Output::default(),
            format: Format::Lines,
            error: None,
            counters: Counters::default(),
            records_out: 0,
            place: Place::default(),
            state: State::default(),
        }
    }

    /// Rows go there from now on, rather than nowhere.
    pub(crate) fn write_rows(&mut self, output: Output, format: Format) {
        self.output = output;
        self.format = format;
    }

    /// Where rows went.
    pub(crate) fn into_output(self) -> Output {
        self.output
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn set_place(&mut self, place: Place) {
        self.place = place;
    }

    /// What was emitted so far.
    pub(crate) fn records_out(&self) -> u64 {
        self.records_out
    }

    /// What is in memory: everything, if nothing was spilled.
    pub(crate) fn into_sink(mut self, job: &J, budget: &Budget<'_>) -> Result<Sink<J>, MergeError> {
        settle(job, budget, &mut self.sink.buffer)?;
        Ok(self.sink)
    }

    /// Lets go of what the job has kept.
    pub(crate) fn drop_state(&mut self) {
        self.state = State::default();
    }

    /// The first error so far.
    pub(crate) fn check(&mut self) -> Result<(), MergeError> {
        self.error.take().map_or(Ok(()), Err)?;
        Ok(self.output.check()?)
    }

    fn spill(&mut self, job: &J, budget: &Budget<'_>) {
        if let Err(error) = self.write_spill(job, budget) {
            self.error.get_or_insert(error);
        }
    }

    fn write_spill(&mut self, job: &J, budget: &Budget<'_>) -> Result<(), MergeError> {
        let (bytes, _) = self.write_memory(job, budget, ByteSize(0))?;
        let kept_max = match self.spills.merge_is_next() {
            true => 0,
            false => budget.kept_max(),
        };
        self.sink.keep_at_most(kept_max);
        let run = Run::open(bytes)?;
        self.spills.push(run, budget, combiner(job, budget))
    }

    /// What is in memory as a run. Memory is empty afterwards, also after an error.
    fn write_memory(
        &mut self,
        job: &J,
        budget: &Budget<'_>,
        in_memory_max: ByteSize,
    ) -> Result<(RunBytes, RunSummary), MergeError> {
        let mut writer = budget.run_writer(in_memory_max);
        let Sink { table, buffer } = &mut self.sink;
        if J::FOLD.is_none() {
            writer = writer.expecting(buffer.record_bytes());
            settle(job, budget, buffer)?;
            buffer.sort_and_drain(|record| writer.push_counted(record))?;
            return Ok(writer.finish()?);
        }
        table.flush(|key, sum, acc| fold_owned(job, key, sum, &acc));
        writer = writer.with_room(table.run_bytes_max());
        let Some(of) = J::PARTITION else {
            table.drain_by_hash(|hash, key, value| {
                let partition = partition_of_hash(hash, budget.partitions);
                writer.push_with(partition, key, |out| J::Value::encode_owned(value, out))
            })?;
            return Ok(writer.finish()?);
        };
        let mut decoded = Vec::new();
        table.drain_by_partition(
            budget.partitions,
            |key| partition_of_encoded(job, of, key, &mut decoded, budget.partitions),
            |partition, key, value| {
                let pushed =
                    writer.push_with(partition, key, |out| J::Value::encode_owned(value, out));
                pushed.map_err(MergeError::from)
            },
        )?;
        Ok(writer.finish()?)
    }

    /// The run of the attempt: from memory if everything fitted, else merged from the spills.
    pub(crate) fn finish(
        mut self,
        job: &J,
        budget: &Budget<'_>,
    ) -> Result<Finished<J>, MergeError> {
        if J::MAP_ONLY {
            return self.finish_rows();
        }
        let (run, summary) = if self.spills.is_empty() {
            let run_max = budget.for_run(self.sink.bytes());
            self.write_memory(job, budget, run_max)?
        } else {
            self.spill(job, budget);
            self.check()?;
            // The merge may use the memory that the records had.
            self.sink = Sink::new();
            let runs = self.spills.runs();
            let (run, summary, spilled) = combine_runs(runs, budget, combiner(job, budget))?;
            self.spills.bytes.0 += spilled.0;
            (run, summary)
        };
        self.sink.keep_at_most(budget.handed_on_max());
        Ok(Finished {
            run,
            summary,
            records_out: self.records_out,
            counters: self.counters,
            spills: self.spills.count,
            spilled: self.spills.bytes,
            staged: None,
            sink: self.sink,
        })
    }

    /// What was written, and a run of nothing.
    fn finish_rows(self) -> Result<Finished<J>, MergeError> {
        let staged = self.output.finish()?;
        Ok(Finished {
            run: RunBytes::from(Vec::new()),
            summary: RunSummary {
                records: 0,
                bytes: 0,
                digest: staged.as_ref().map_or(Digest(0), Staged::digest),
            },
            records_out: staged
                .iter()
                .flat_map(Staged::files)
                .map(|file| file.rows)
                .sum(),
            counters: self.counters,
            spills: 0,
            spilled: ByteSize(0),
            staged,
            sink: self.sink,
        })
    }
}

#[inline]
fn fold_owned<J: Job>(job: &J, key: &[u8], sum: &mut ValueOwned<J>, value: &ValueOwned<J>) {
    fold(job, key, sum, J::Value::borrow(value));
}

/// How the spills of an attempt become one.
fn combiner<J: Job>(
    job: &J,
    budget: &Budget<'_>,
) -> impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), MergeError> {
    move |segments, push| combine(job, segments, budget.partitions, budget.for_folds(), push)
}

/// Adds a record to those with the same key, which is most often a slice of `text`. Tells whether the buffer may have grown.
#[inline]
fn gather<J: Job>(
    job: &J,
    budget: &Budget<'_>,
    buffer: &mut SortBuffer,
    (text, key): (&[u8], &[u8]),
    encode: impl FnOnce(&mut Vec<u8>),
) -> Result<bool, MergeError> {
    let changed = buffer.gather(text, key, encode)?;
    if changed && !buffer.gathers() {
        settle(job, budget, buffer)?;
    }
    Ok(changed)
}

/// Adds a record as it is, which makes the buffer grow. Its key is told as the job has given it, and encoded.
#[inline]
fn push<J: Job>(
    job: &J,
    budget: &Budget<'_>,
    buffer: &mut SortBuffer,
    (given, key): (KeyRef<'_, J>, &[u8]),
    encode: impl FnOnce(&mut Vec<u8>),
) -> Result<bool, MergeError> {
    let partition = match J::PARTITION {
        None => budget.partitioner.of(group_of::<J>(key)),
        Some(of) => partition_of(job, of, given, budget.partitions)?,
    };
    buffer.push(partition, key, encode)?;
    Ok(true)
}

/// Shares out the keys that were gathered.
#[cold]
fn settle<J: Job>(job: &J, budget: &Budget<'_>, buffer: &mut SortBuffer) -> Result<(), MergeError> {
    let mut decoded = Vec::new();
    buffer.settle(|key| match J::PARTITION {
        None => Ok(budget.partitioner.of(group_of::<J>(key))),
        Some(of) => partition_of_encoded(job, of, key, &mut decoded, budget.partitions),
    })
}

/// The partition that the job gives a key, which is told encoded.
fn partition_of_encoded<J: Job>(
    job: &J,
    of: Partition<J>,
    key: &[u8],
    decoded: &mut Vec<u8>,
    partitions: u32,
) -> Result<PartitionId, MergeError> {
    let key = <J::Key as Key>::decode(key, decoded)?;
    Ok(partition_of(job, of, key, partitions)?)
}
