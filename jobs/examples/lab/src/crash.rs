//! A job whose attempts end their whole worker process, or stall it past its lease, about a third each.

use std::process;

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::trace::Trace;

params! {
    /// Parameters of `lab-crash`.
    pub struct CrashParams {
        /// Folder for signs.
        pub trace: String,
        /// Crashes and stalls in all, after which attempts behave; so that the job comes to an end.
        pub most: u64 = 12,
        /// Seed of the choice.
        pub seed: u64 = 1,
    }
}

/// Emits what the lab's crash job does: for each file its name, size class and a few constants.
pub struct Crash {
    trace: Trace,
    params: CrashParams,
}

impl Job for Crash {
    type Params = CrashParams;
    type Key = Vec<u8>;
    type Value = Vec<u8>;

    const NAME: &'static str = "lab-crash";
    const SUMMARY: &'static str = "workers that exit or stall at random";

    fn new(params: CrashParams) -> Result<Self, JobError> {
        Ok(Self {
            trace: Trace::new(&params.trace),
            params,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.maybe_crash(record.offset)?;
        let name = record.file.name.as_bytes();
        out.emit(b"a", name);
        out.emit(b"b", &record.bytes.len().to_string().into_bytes());
        out.emit(b"c", &name.len().to_string().into_bytes());
        out.emit(b"d", b"xyzzy");
        out.emit(name, b"1");
        Ok(())
    }

    fn reduce(
        &self,
        key: &[u8],
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        self.maybe_crash(key.len() as u64)?;
        let mut all: Vec<Vec<u8>> = values.owned().collect();
        all.sort_unstable();
        rows.row(key, all.join(&b' '));
        Ok(())
    }
}

impl Crash {
    /// About a third of the calls end the process, a third stop it for longer than its lease (the test continues it).
    fn maybe_crash(&self, salt: u64) -> Result<(), JobError> {
        let happened = (self.trace.count("exit")? + self.trace.count("stall")?) as u64;
        if happened >= self.params.most {
            return Ok(());
        }
        let seed = self.params.seed ^ salt ^ happened << 32 ^ u64::from(process::id()) << 8;
        match mix(seed) % 3 {
            0 => {
                self.trace.leave("exit")?;
                process::exit(1);
            }
            1 => {
                self.trace.leave("stall")?;
                rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::STOP,
                )?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// SplitMix64's finalizer.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
