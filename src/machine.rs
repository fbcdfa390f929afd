//! What this machine has to give: the defaults of `--slots` and `--memory`.

use std::fs;
use std::num::NonZeroUsize;
use std::thread;

use mapfold_terms::ByteSize;

/// One slot per CPU that this process may use (affinity and cgroup quota count).
pub(crate) fn default_slots() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Half of the memory that could be had now, so that page cache and neighbours keep the other half.
pub(crate) fn default_memory() -> ByteSize {
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
