//! Where `map` puts keys and values: the fold table or the sort buffer, and spills when over budget.

use std::cell::Cell;

use mapfold_data::partition::Partitioner;
use mapfold_data::run::{Run, RunBytes, RunWriter, WriteRunError};
use mapfold_data::scratch::Scratch;
use mapfold_terms::{ByteSize, Counters, RunSummary, Token};

use crate::combine::{MergeError, combine_runs};
use crate::sink::Sink;
use crate::spills::Spills;
use crate::{Job, Key, KeyRef, Record, Value, ValueRef};

/// Where `map` puts keys and values.
pub struct Emitter<'a, J: Job> {
    job: &'a J,
    budget: Budget<'a>,
    sink: Sink<J>,
    /// Space for encoding keys.
    encoded: Vec<u8>,
    spills: Spills,
    /// The first error; the attempt fails with it at the end of the block.
    error: Option<MergeError>,
    counters: Counters,
    records_out: u64,
    place: Place,
}

/// What an attempt's runs are called and may use.
pub(crate) struct Budget<'a> {
    pub(crate) token: Token,
    pub(crate) partitions: u32,
    pub(crate) partitioner: &'a Partitioner,
    pub(crate) memory: ByteSize,
    pub(crate) in_memory_max: ByteSize,
    pub(crate) scratch: &'a Scratch,
}

impl Budget<'_> {
    /// The same, for runs that are to leave memory.
    pub(crate) fn on_disk(&self) -> Self {
        Self {
            in_memory_max: ByteSize(0),
            ..*self
        }
    }

    pub(crate) fn run_writer(&self, in_memory_max: ByteSize) -> RunWriter {
        RunWriter::new(
            self.token,
            self.partitions,
            self.scratch.clone(),
            in_memory_max,
        )
    }

    fn kept_max(&self) -> usize {
        let (part, whole) = KEPT_SHARE;
        ByteSize(self.memory.bytes() / whole * part).as_usize()
    }
}

/// The record at hand, for the message if its `map` fails.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    /// Of its first byte, in the unpacked file.
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// What an emitter leaves.
pub(crate) struct Emitted<J: Job> {
    pub(crate) run: RunBytes,
    pub(crate) summary: RunSummary,
    pub(crate) records_out: u64,
    pub(crate) counters: Counters,
    pub(crate) spills: u32,
    pub(crate) spilled: ByteSize,
    /// Empty, with the memory that is left for another attempt.
    pub(crate) sink: Sink<J>,
}

/// The share of the budget that an empty sink may keep; the rest makes sure that records come in between two spills, however unlike
/// those before. A fold table that spills at its largest keeps 43 to 85 percent of the budget.
const KEPT_SHARE: (u64, u64) = (7, 8);

impl<'a, J: Job> Emitter<'a, J> {
    /// An emitter into `sink`, which is empty.
    pub(crate) fn new(job: &'a J, budget: Budget<'a>, mut sink: Sink<J>) -> Self {
        sink.keep_at_most(budget.kept_max());
        Self {
            job,
            budget,
            sink,
            encoded: Vec::new(),
            spills: Spills::default(),
            error: None,
            counters: Counters::default(),
            records_out: 0,
            place: Place::default(),
        }
    }

    /// Emits one value for a key. Neither is kept: both are copied or folded before the call returns.
    ///
    /// Costs a spill (a sort and a sequential write) when the memory budget is full.
    #[inline]
    pub fn emit(&mut self, key: KeyRef<'_, J>, value: ValueRef<'_, J>) {
        let key = <J::Key as Key>::encode(key, &mut self.encoded);
        self.records_out += 1;
        let over_budget = match &mut self.sink {
            Sink::Fold(fold, table) => {
                // One of the two closures is called, once, and takes the value.
                let value = Cell::new(Some(value));
                let take = || value.take().expect("the table calls one of the two, once");
                let insert = || J::Value::into_owned(take());
                // Through the constant where there is one, so that the combiner is inlined here.
                let fold = J::FOLD.unwrap_or(*fold);
                let grew = table.upsert(key, insert, |sum| fold(self.job, key, sum, take()));
                grew && table.bytes_next() > self.budget.memory.as_usize()
            }
            Sink::Sort(buffer) => {
                let partition = self.budget.partitioner.of(key);
                let pushed = buffer.push(partition, key, |out| J::Value::encode(value, out));
                if let Err(error) = pushed {
                    let error = WriteRunError::RecordTooLong { bytes: error.bytes };
                    self.error.get_or_insert(error.into());
                }
                buffer.bytes() > self.budget.memory.as_usize()
            }
        };
        if over_budget {
            self.spill();
        }
    }

    /// Adds `n` to the job's counter `name`. Counters of the attempts that win are summed in the report.
    pub fn count(&mut self, name: &str, n: u64) {
        self.counters.add(name, n);
    }

    /// Notes the record at hand, so that an error or panic in it names its place. A job that overrides
    /// [`Job::map_block`] calls it where it wants that.
    #[inline]
    pub fn begin_record(&mut self, record: &Record<'_>) {
        self.place = Place {
            offset: record.offset,
            len: record.bytes.len(),
        };
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn set_place(&mut self, place: Place) {
        self.place = place;
    }

    /// The first error so far.
    pub(crate) fn check(&mut self) -> Result<(), MergeError> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Writes what is in memory to disk as a sorted run and empties it.
    #[cold]
    fn spill(&mut self) {
        if let Err(error) = self.write_spill() {
            self.error.get_or_insert(error);
        }
    }

    fn write_spill(&mut self) -> Result<(), MergeError> {
        let (bytes, _) = self.write_memory(ByteSize(0))?;
        self.sink.keep_at_most(self.budget.kept_max());
        self.spills.push(self.job, Run::open(bytes)?, &self.budget)
    }

    /// What is in memory as a run, sorted by partition and key. Memory is empty afterwards, also after an error.
    fn write_memory(
        &mut self,
        in_memory_max: ByteSize,
    ) -> Result<(RunBytes, RunSummary), WriteRunError> {
        let mut writer = self.budget.run_writer(in_memory_max);
        match &mut self.sink {
            Sink::Fold(_, table) => {
                let mut encoded = Vec::new();
                table.drain_sorted(self.budget.partitions, |partition, key, value| {
                    encoded.clear();
                    J::Value::encode_owned(value, &mut encoded);
                    writer.push(partition, key, &encoded)
                })?;
            }
            Sink::Sort(buffer) => {
                buffer
                    .sort_and_drain(|partition, key, value| writer.push(partition, key, value))?;
            }
        }
        writer.finish()
    }

    /// The run of the attempt: from memory if everything fitted, else merged from the spills.
    pub(crate) fn finish(mut self) -> Result<Emitted<J>, MergeError> {
        let (run, summary) = if self.spills.is_empty() {
            self.write_memory(self.budget.in_memory_max)?
        } else {
            self.spill();
            self.check()?;
            // The merge may use the memory that the records had.
            self.sink = Sink::new();
            let (run, summary, spilled) = combine_runs(self.job, self.spills.runs(), &self.budget)?;
            self.spills.bytes.0 += spilled.0;
            (run, summary)
        };
        Ok(Emitted {
            run,
            summary,
            records_out: self.records_out,
            counters: self.counters,
            spills: self.spills.count,
            spilled: self.spills.bytes,
            sink: self.sink,
        })
    }
}
