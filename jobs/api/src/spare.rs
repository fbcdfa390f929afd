//! Memory that a job's attempts hand on: fresh memory is expensive, so a slot maps split after split in the same.
//!
//! A slot is a thread that the job does not know, so whoever begins an attempt takes any set of memory that is idle. An
//! attempt hands back only what it leaves empty and whole at a good end; after an error, a panic or a merge of spills (which
//! needs the room) the memory is freed. Every attempt that begins takes a set out, a reduce attempt to free it. So there are never
//! more sets, idle or in use, than the most attempts that ran at once, and as a set is within one attempt's budget, all are
//! within the worker's. The last of it goes with the job.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mapfold_data::input::ReadBuffer;

use crate::Job;
use crate::sink::Sink;

/// What a map attempt works in.
pub(crate) struct MapMemory<J: Job> {
    pub(crate) buffer: ReadBuffer,
    pub(crate) sink: Sink<J>,
}

/// Memory that no attempt uses.
pub(crate) struct Spare<J: Job>(Mutex<Vec<MapMemory<J>>>);

impl<J: Job> MapMemory<J> {
    fn new() -> Self {
        Self {
            buffer: ReadBuffer::new(),
            sink: Sink::new(),
        }
    }
}

impl<J: Job> Spare<J> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// For a map attempt that begins: idle memory, or else fresh.
    pub(crate) fn take(&self) -> MapMemory<J> {
        self.pop().unwrap_or_else(MapMemory::new)
    }

    /// From a map attempt that ended well. The sink is empty.
    pub(crate) fn put(&self, memory: MapMemory<J>) {
        self.idle().push(memory);
    }

    /// Frees one set for an attempt that needs other memory.
    pub(crate) fn free_one(&self) {
        drop(self.pop());
    }

    /// Frees all that is idle.
    pub(crate) fn free_all(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    /// The lock is held for no longer than this.
    fn pop(&self) -> Option<MapMemory<J>> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<MapMemory<J>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
