//! Jobs that meet: each attempt waits until as many others run at the same moment as the test asks for.
//! If the engine ran them one after the other, the meeting would never happen and the job would fail.

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::trace::Trace;

params! {
    /// Parameters of the jobs that meet.
    pub struct MeetParams {
        /// Folder for signs.
        pub trace: String,
        /// How many must be there at the same moment.
        pub meet: u64 = 2,
    }
}

/// A place where attempts meet.
struct Meeting {
    trace: Trace,
    meet: u64,
}

impl Meeting {
    fn new(params: &MeetParams) -> Self {
        Self {
            trace: Trace::new(&params.trace),
            meet: params.meet,
        }
    }

    /// Waits until `meet` attempts stand here at once; then how many processes they are.
    fn attend(&self, name: &str) -> Result<(), JobError> {
        if self.trace.has(&format!("{name}-met")) {
            return Ok(());
        }
        let sign = self.trace.leave(name)?;
        let there = || {
            self.trace
                .count(name)
                .is_ok_and(|count| count as u64 >= self.meet)
        };
        let met = Trace::wait(|| self.trace.has(&format!("{name}-met")) || there());
        std::fs::write(self.trace.path().join(format!("{name}-met")), "")?;
        std::fs::remove_file(sign)?;
        if met {
            Ok(())
        } else {
            Err(format!("fewer than {} {name} attempts ran at once", self.meet).into())
        }
    }
}

/// Map attempts meet.
pub struct MapParallel(Meeting);

/// Reduce attempts meet.
pub struct ReduceParallel(Meeting);

macro_rules! meeting_job {
    ($job:ident, $name:literal, $summary:literal, $map:expr, $reduce:expr) => {
        impl Job for $job {
            type Params = MeetParams;
            type Key = Vec<u8>;
            type Value = u64;

            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;

            fn new(params: MeetParams) -> Result<Self, JobError> {
                Ok(Self(Meeting::new(&params)))
            }

            fn map(
                &self,
                record: &Record<'_>,
                out: &mut Emitter<'_, Self>,
            ) -> Result<(), JobError> {
                if $map && record.offset == 0 {
                    self.0.attend("map")?;
                }
                if record.offset == 0 {
                    for letter in b'a'..=b'z' {
                        out.emit(&[letter], 1);
                    }
                }
                Ok(())
            }

            fn reduce(
                &self,
                key: &[u8],
                values: &mut Values<'_, Self>,
                rows: &mut Rows<'_>,
            ) -> Result<(), JobError> {
                if $reduce {
                    self.0.attend("reduce")?;
                }
                rows.row(key, values.owned().sum::<u64>());
                Ok(())
            }
        }
    };
}

meeting_job!(
    MapParallel,
    "lab-map-parallel",
    "map attempts that must run at the same moment",
    true,
    false
);
meeting_job!(
    ReduceParallel,
    "lab-reduce-parallel",
    "reduce attempts that must run at the same moment",
    false,
    true
);
