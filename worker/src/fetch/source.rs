//! A run that is asked for, by the map attempt that wrote it and where the master says it is.

use mapfold_data::run::Run;
use mapfold_protocol::service::Location;
use mapfold_terms::{AttemptId, ByteSize, FetchCause, FetchFailure, PartitionId};

use super::error::FetchError;
use super::fetcher::Fetched;

/// The run that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) map: AttemptId,
    pub(super) location: &'a Location,
}

impl Source<'_> {
    pub(super) fn failure(&self, cause: FetchCause, what: impl std::fmt::Display) -> FetchError {
        let (map, holder) = (self.map, self.location.holder);
        FetchError::Run(FetchFailure {
            map,
            holder,
            cause,
            message: format!("cannot fetch the run of {map} from worker {holder}: {what}"),
        })
    }

    /// The segment of a run that is open here, if it is the right run.
    pub(super) fn segment_of(
        &self,
        run: &Run,
        partition: PartitionId,
    ) -> Result<Fetched, FetchError> {
        let want = self.location.digest;
        if run.token() != self.map.token || run.digest() != want || partition.0 >= run.partitions()
        {
            let got = run.digest();
            let what = format_args!("it holds another run, with digest {got}, not {want}");
            return Err(self.failure(FetchCause::Corrupt, what));
        }
        let segment = run
            .segment(partition)
            .map_err(|error| self.failure(FetchCause::Corrupt, format_args!("{error}")))?;
        Ok(Fetched {
            segment: segment.with_map(self.map.task.index),
            remote: ByteSize(0),
        })
    }
}
