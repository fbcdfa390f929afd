//! What a worker may use of this machine: what was typed, else what the machine has to give.

use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::thread;

use mapfold_terms::ByteSize;

use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;

/// What a worker may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resources {
    pub(crate) slots: NonZeroUsize,
    /// Of the whole process.
    pub(crate) memory: ByteSize,
}

impl Resources {
    /// Refuses less memory than the slots can work with, and more than `workers` on this machine can have.
    pub(crate) fn check(self, workers: NonZeroU32) -> Result<Self, Problem> {
        let least = mapfold_worker::memory_least(self.slots);
        if self.memory < least {
            let slots = counted(self.slots.get() as u64, "slot");
            let what = format!("--memory {} is too little for {slots}", self.memory);
            return Err(Problem::new(Exit::Usage, what)
                .hint(format!("give at least {least}, or fewer --slots")));
        }
        let all = self.memory.bytes().saturating_mul(workers.get().into());
        match machine_memory() {
            Some(most) if all > most => {
                let each = match workers.get() {
                    1 => String::new(),
                    count => format!(" for each of {count} workers"),
                };
                let what = format!(
                    "--memory {}{each} is more than the {} that can be had here",
                    self.memory,
                    ByteSize(most)
                );
                Err(Problem::new(Exit::Usage, what).hint(
                    "it is a limit on what the process occupies; leave some to the system, or leave it out",
                ))
            }
            _ => Ok(self),
        }
    }

    /// Of each of `workers` on this machine; what was not typed is an even share of what there is.
    pub(crate) fn new(
        slots: Option<NonZeroU32>,
        memory: Option<ByteSize>,
        workers: NonZeroU32,
    ) -> Self {
        let shares = usize::try_from(workers.get()).unwrap_or(usize::MAX);
        let share = |slots: NonZeroUsize| NonZeroUsize::new(slots.get() / shares);
        let slots = match slots {
            Some(slots) => slots.try_into().unwrap_or(NonZeroUsize::MAX),
            None => share(default_slots()).unwrap_or(NonZeroUsize::MIN),
        };
        let share = || ByteSize(default_memory().bytes() / u64::from(workers.get()));
        Self {
            slots,
            // The engine works with little, even where there is less: it has nothing to ask then.
            memory: memory.unwrap_or_else(|| share().max(mapfold_worker::memory_least(slots))),
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
    let available = meminfo("MemAvailable");
    let have = available.into_iter().chain(cgroup_limit()).min();
    ByteSize(have.unwrap_or(UNKNOWN) / 2)
}

/// All that this process could ever have.
fn machine_memory() -> Option<u64> {
    let total = meminfo("MemTotal");
    total.into_iter().chain(cgroup_limit()).min()
}

fn meminfo(field: &str) -> Option<u64> {
    meminfo_field(&fs::read_to_string("/proc/meminfo").ok()?, field)
}

/// `MemAvailable:   12345 kB`, in bytes.
fn meminfo_field(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The lowest limit of this process's control group and of those that it is in.
fn cgroup_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    cgroup_files(&groups)
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .min()
}

/// Files that may hold a limit, whether they exist or not: of version 2 (`0::/PATH`) and of version 1 (`N:memory:/PATH`), of the group
/// and of all around it. Inside a container the path may be that of the outside; then there is the root, which is the
/// container's own.
fn cgroup_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        files.extend(
            path.ancestors()
                .map(|group| Path::new(root).join(group).join(name)),
        );
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::Paint;

    #[test]
    fn fields_of_meminfo_are_read_in_kib() {
        let text =
            "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    4000000 kB\n";
        assert_eq!(meminfo_field(text, "MemAvailable"), Some(4_096_000_000));
        assert_eq!(meminfo_field(text, "MemTotal"), Some(8_192_000_000));
        assert_eq!(meminfo_field("MemTotal: 1 kB\n", "MemAvailable"), None);
        assert_eq!(meminfo_field("MemTotal: x kB\n", "MemTotal"), None);
    }

    #[test]
    fn limits_are_looked_for_in_all_groups_around() {
        let files = cgroup_files("12:cpu:/a\n9:hugetlb,memory:/a/b\n0::/c\nnonsense\n");
        let files: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/c/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
    }

    #[test]
    fn more_than_the_machine_has_is_refused() {
        let one = NonZeroU32::MIN;
        let fits = Resources::new(Some(one), None, one);
        assert!(fits.check(one).is_ok());
        let greedy = Resources::new(Some(one), Some(ByteSize(u64::MAX)), one);
        let refused = greedy.check(one).unwrap_err().render(Paint::Plain);
        assert!(refused.contains("more than the"), "{refused}");
    }
}
