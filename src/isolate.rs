//! `--isolate`, and the hidden `mapfold slot` that it starts.

use std::env;
use std::sync::Arc;

use mapfold_job::Catalog;
use mapfold_terms::ByteSize;
use mapfold_worker::IsolateSettings;

use crate::error::Problem;
use crate::exit::Exit;
use crate::local_workers::end_with_parent;

/// The same jobs, with attempts in processes of their own, if that was asked for.
pub(crate) fn catalog(
    catalog: Arc<dyn Catalog>,
    isolate: bool,
) -> Result<Arc<dyn Catalog>, Problem> {
    if !isolate {
        return Ok(catalog);
    }
    let program = env::current_exe().map_err(|error| {
        Problem::new(Exit::Internal, "cannot find the file of this program").because(&error)
    })?;
    let settings = IsolateSettings {
        program,
        data_max: ByteSize(0),
    };
    Ok(mapfold_worker::isolated(catalog, settings))
}

/// Makes attempts for a worker until that hangs up.
pub(crate) fn slot(
    parent: u32,
    data_max: ByteSize,
    catalog: Arc<dyn Catalog>,
) -> Result<Exit, Problem> {
    // Whoever would read an error has gone.
    end_with_parent(parent).map_err(|_| Problem::silent(Exit::Terminated))?;
    match mapfold_worker::run_slot(catalog, data_max) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            Err(Problem::new(Exit::Internal, "cannot make attempts for a worker").because(&error))
        }
    }
}
