//! The journal of the simulated master, on a disk that forgets what was not synced when the master crashes.
//!
//! A shadow scheduler replays every record as it is appended: what the live one has decided for good must be what the
//! shadow has been told, at every step at which anything leaves the master.

use std::collections::BTreeSet;

use mapfold_journal::{Record, Writer, compact, read};
use mapfold_terms::{JobId, MasterEpoch, WorkerId};

use super::master::settings;
use super::rng::Rng;
use crate::Scheduler;

/// Jobs that ended and are kept; more than there are.
const ENDED_MAX: usize = 100;

pub(super) struct Disk {
    bytes: Vec<u8>,
    durable: usize,
    writer: Writer,
    shadow: Scheduler,
    /// Jobs whose commit is recorded.
    pub(super) committing: BTreeSet<JobId>,
    /// Jobs whose plan, or end, is recorded.
    pub(super) planned: BTreeSet<JobId>,
    /// What is not synced is about tasks alone.
    pub(super) tasks_only: bool,
}

impl Disk {
    /// The journal of a first start.
    pub(super) fn new(epoch: MasterEpoch) -> Self {
        Self::begin(epoch, &[])
    }

    fn begin(epoch: MasterEpoch, records: &[Record]) -> Self {
        let mut bytes = Vec::new();
        let writer = Writer::new(epoch, &mut bytes);
        let mut disk = Self {
            bytes,
            durable: 0,
            writer,
            shadow: Scheduler::new(epoch, 1, settings()),
            committing: BTreeSet::new(),
            planned: BTreeSet::new(),
            tasks_only: true,
        };
        disk.append(&Record::Began {
            epoch,
            since: MasterEpoch(1),
            next_job: JobId(0),
            last_worker: WorkerId(0),
        });
        records.iter().for_each(|record| disk.append(record));
        disk.sync();
        disk
    }

    pub(super) fn append(&mut self, record: &Record) {
        self.tasks_only &= matches!(
            record,
            Record::MapWon { .. } | Record::ReduceWon { .. } | Record::Lost { .. }
        );
        match record {
            Record::Committing { job } => drop(self.committing.insert(*job)),
            Record::Planned { job, .. } | Record::Ended { job, .. } => {
                self.planned.insert(*job);
            }
            _ => {}
        }
        self.shadow.replay(record);
        self.writer.append(record, &mut self.bytes);
    }

    pub(super) fn is_behind(&self) -> bool {
        self.durable < self.bytes.len()
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.bytes.len();
        self.tasks_only = true;
        self.writer.synced();
    }

    /// Whether the live scheduler has decided just what is recorded.
    pub(super) fn compare(&self, live: &Scheduler) -> Result<(), String> {
        let (want, got) = (self.shadow.lasting(), live.lasting());
        let (to_leave, leaves) = (&self.shadow.drains, &live.drains);
        if to_leave != leaves {
            return Err(format!("the journal says {to_leave:?}, not {leaves:?}"));
        }
        if want == got {
            return Ok(());
        }
        Err(format!("the journal says {want:?}, not {got:?}"))
    }

    /// Power is lost: of what was not synced any part may be there, the beginning, or more with holes.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let unsynced = self.bytes.len() - self.durable;
        let kept = self.durable + rng.index(unsynced + 1);
        if rng.chance(20) && unsynced > 0 {
            let hole = self.durable + rng.index(unsynced);
            self.bytes[hole] ^= 0x55;
        }
        self.bytes.truncate(kept);
    }

    /// The next start: its records and its new file, which must say the same as the old one.
    pub(super) fn restart(&self, epoch: MasterEpoch) -> Result<(Vec<Record>, Self), String> {
        let (records, _) = read(&self.bytes).map_err(|damage| damage.to_string())?;
        let compacted = compact(records.clone(), ENDED_MAX);
        let mut whole = Scheduler::new(epoch, 1, settings());
        records.iter().for_each(|record| whole.replay(record));
        let disk = Self::begin(epoch, &compacted);
        let same = disk.compare(&whole);
        same.map_err(|text| format!("a compacted journal differs: {text}"))?;
        Ok((compacted, disk))
    }
}
