//! What a worker may use of this machine: what was typed, else what the machine has to give.

use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::thread;

use mapfold_terms::ByteSize;

use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;

/// What a worker may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resources {
    pub(crate) slots: NonZeroUsize,
    pub(crate) memory: ByteSize,
}

impl Resources {
    /// With less, a slot writes a run for every few records.
    const MEMORY_PER_SLOT_MIN: ByteSize = ByteSize::mib(1);

    /// Refuses less memory than the slots can work with.
    pub(crate) fn check(self) -> Result<Self, Problem> {
        let slots = u64::try_from(self.slots.get()).unwrap_or(u64::MAX);
        let least = Self::MEMORY_PER_SLOT_MIN.bytes().saturating_mul(slots);
        if self.memory.bytes() >= least {
            return Ok(self);
        }
        let what = format!(
            "--memory {} is too little for {}",
            self.memory,
            counted(slots, "slot")
        );
        Err(Problem::new(Exit::Usage, what).hint(format!(
            "give at least {}, or fewer --slots",
            ByteSize(least)
        )))
    }

    /// Of each of `workers` on this machine; what was not typed is an even share of what there is.
    pub(crate) fn new(
        slots: Option<NonZeroU32>,
        memory: Option<ByteSize>,
        workers: NonZeroU32,
    ) -> Self {
        let shares = usize::try_from(workers.get()).unwrap_or(usize::MAX);
        let share = |slots: NonZeroUsize| NonZeroUsize::new(slots.get() / shares);
        Self {
            slots: match slots {
                Some(slots) => slots.try_into().unwrap_or(NonZeroUsize::MAX),
                None => share(default_slots()).unwrap_or(NonZeroUsize::MIN),
            },
            memory: memory
                .unwrap_or_else(|| ByteSize(default_memory().bytes() / u64::from(workers.get()))),
        }
    }
}

/// One slot per CPU that this process may use (affinity and cgroup quota count).
fn default_slots() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Half of the memory that could be had now, so that page cache and neighbours keep the other half.
fn default_memory() -> ByteSize {
    /// Where the system does not tell.
    const UNKNOWN: u64 = 1 << 30;
    /// The engine works with less, but not well; who has less can say so.
    const LEAST: u64 = 64 << 20;
    let available = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| mem_available(&text));
    let have = [available, cgroup_limit()]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(UNKNOWN);
    ByteSize((have / 2).max(LEAST))
}

/// `MemAvailable:   12345 kB`, in bytes.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The limit of a container, where there is one: cgroup v2, then v1. Limits of outer groups are not
/// seen from inside, and need not be: they are set on the container's own.
fn cgroup_limit() -> Option<u64> {
    [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_kib() {
        let text =
            "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    4000000 kB\n";
        assert_eq!(mem_available(text), Some(4_096_000_000));
        assert_eq!(mem_available("MemTotal: 1 kB\n"), None);
        assert_eq!(mem_available("MemAvailable: x kB\n"), None);
    }

    #[test]
    fn there_is_a_default() {
        assert!(default_memory() >= ByteSize::mib(64));
    }
}
