//! Errors that are about an attempt as a whole.

use std::error::Error;
use std::fmt;

use crate::JobError;

/// An error of a job that is about no one record or key, and says itself where it came about: that of a program which was fed all of them, say.
///
/// Others are told with the record or key that was at hand, or with the function of the job that failed. This one is told as it is, and no
/// record is looked for that `map` fails on.
///
/// ```
/// # use mapfold_job::{AttemptError, Emitter, Job, JobError, NoParams, Record, Trial, map_only};
/// # #[derive(Debug)]
/// struct Strict;
///
/// impl Job for Strict {
///     map_only!();
/// #   type Params = NoParams;
/// #   const NAME: &'static str = "strict";
/// #   const SUMMARY: &'static str = "fails";
/// #   fn new(_: NoParams) -> Result<Self, JobError> { Ok(Self) }
/// #   fn map(&self, _: &Record<'_>, _: &mut Emitter<'_, Self>) -> Result<(), JobError> { Ok(()) }
///     fn finish_map(&self, _: &mut Emitter<'_, Self>) -> Result<(), JobError> {
///         Err(AttemptError::new("the sum of these records is odd").into())
///     }
/// }
/// let error = Trial::<Strict>::of("1\n").run().unwrap_err().to_string();
/// assert!(!error.contains("finish_map"), "{error}");
/// ```
#[derive(Debug)]
pub struct AttemptError(JobError);

impl AttemptError {
    /// With the message and the sources of `error`.
    pub fn new(error: impl Into<JobError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for AttemptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
