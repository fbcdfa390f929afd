//! The event loop of a command: one thread, the main one. Work on data is done elsewhere, by the
//! worker's own threads.

use std::time::Duration;

use tokio::runtime::Builder;

use crate::error::Problem;
use crate::exit::Exit;

/// Work that blocks, such as a file being deleted, may take so long to end when the command has.
const LEFTOVERS_MAX: Duration = Duration::from_millis(500);

/// Runs a command's future on the main thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Problem::new(Exit::Internal, "cannot start the event loop").because(&error)
        })?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(LEFTOVERS_MAX);
    result
}
