//! A job without reduce tasks that tells where it is, waits there, and fails, as lines tell it.

use mapfold_job::{Emitter, Job, JobError, Record, map_only, params};

use crate::Trace;

params! {
    /// Parameters of `sift`.
    pub struct SiftParams {
        /// Folder for signs.
        pub trace: String = String::new(),
    }
}

/// Copies lines. One that is `hold` leaves a sign and waits for the file `go-map`, if there is a folder for signs; one that begins with
/// `fail` fails; one that begins with `>` goes to the output that its first word names.
pub struct Sift {
    params: SiftParams,
    trace: Trace,
}

impl Job for Sift {
    map_only!();
    type Params = SiftParams;
    const NAME: &'static str = "lab-sift";
    const SUMMARY: &'static str = "copies lines, some of them aside";

    fn new(params: SiftParams) -> Result<Self, JobError> {
        Ok(Self {
            trace: Trace::new(&params.trace),
            params,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let line = str::from_utf8(record.bytes)?;
        if line == "hold" && !self.params.trace.is_empty() {
            self.trace.leave("map")?;
            if !Trace::wait(|| self.trace.has("go-map")) {
                return Err("nobody let the map go".into());
            }
        }
        if line.starts_with("fail") {
            return Err("a line that it refuses".into());
        }
        match line.strip_prefix('>').and_then(|rest| rest.split_once(' ')) {
            Some((name, rest)) => out.rows().to(name).record(rest),
            None => out.rows().record(line),
        }
        out.count("lines", 1);
        Ok(())
    }
}
