//! The machine that was measured on: without it no figure means anything.

use std::fs;
use std::thread;

use mapfold_terms::ByteSize;
use serde::Serialize;

/// What a reader needs to know of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// CPUs that this process may use.
    pub(crate) cpus: usize,
    pub(crate) cpu_model: String,
    /// All of it.
    pub(crate) memory_bytes: u64,
    /// Name and release.
    pub(crate) kernel: String,
    /// Of Mapfold.
    pub(crate) version: &'static str,
    /// Whether Mapfold was compiled without optimisation: figures are worth nothing then.
    pub(crate) debug_build: bool,
}

impl Machine {
    /// This one.
    pub(crate) fn look() -> Self {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            cpus: thread::available_parallelism().map_or(1, usize::from),
            cpu_model: field("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| text(uname.machine())),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches("kB").trim().parse().ok())
                .map_or(0, |kib: u64| kib << 10),
            kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
            version: env!("CARGO_PKG_VERSION"),
            debug_build: cfg!(debug_assertions),
        }
    }

    /// `2 CPUs (AMD EPYC 9R14), 24.0 GiB, Linux 6.1.0, mapfold 0.1.0`.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} ({}), {}, {}, mapfold {}{}",
            crate::count::counted(self.cpus as u64, "CPU"),
            self.cpu_model,
            ByteSize(self.memory_bytes),
            self.kernel,
            self.version,
            if self.debug_build {
                ", NOT OPTIMISED"
            } else {
                ""
            },
        )
    }
}

/// The first value of `name` in a file of lines `name: value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
