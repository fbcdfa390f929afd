//! A job whose last reduce is much slower than the others: nobody may leave before it is done.

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::trace::Trace;

params! {
    /// Parameters of `lab-early-exit`.
    pub struct EarlyExitParams {
        /// Folder for signs.
        pub trace: String,
    }
}

/// The reduce of one key waits until the test has looked around; all others are quick.
pub struct EarlyExit {
    trace: Trace,
}

impl Job for EarlyExit {
    type Params = EarlyExitParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "lab-early-exit";
    const SUMMARY: &'static str = "one reduce is much slower than the others";

    fn new(params: EarlyExitParams) -> Result<Self, JobError> {
        Ok(Self {
            trace: Trace::new(&params.trace),
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(record.file.name.as_bytes(), 1);
        Ok(())
    }

    fn reduce(
        &self,
        key: &[u8],
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if key.ends_with(b"pg-sherlock_holmes.txt") || key.ends_with(b"pg-tom_sawyer.txt") {
            self.trace.leave("late")?;
            if !Trace::wait(|| self.trace.has("go")) {
                return Err("nobody let the late reduce go".into());
            }
        }
        rows.row(key, values.owned().sum::<u64>());
        Ok(())
    }
}
