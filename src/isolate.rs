//! `--isolate`, and the hidden `mapfold slot` that it starts.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use mapfold_job::Catalog;
use mapfold_terms::ByteSize;
use mapfold_worker::{IsolateSettings, Isolation, PluginCatalog, PluginFile};

use crate::error::Problem;
use crate::exit::Exit;
use crate::local_workers::end_with_parent;

/// The same jobs, with attempts in processes of their own, if that was asked for.
pub(crate) fn catalog(
    catalog: Arc<dyn Catalog>,
    isolate: bool,
    plugins: Vec<PathBuf>,
) -> Result<Arc<dyn Catalog>, Problem> {
    match isolate {
        true => Ok(isolation(plugins)?.catalog(catalog)),
        false => Ok(catalog),
    }
}

/// Processes that make attempts, and may be asked for the jobs of these plugins.
pub(crate) fn isolation(plugins: Vec<PathBuf>) -> Result<Isolation, Problem> {
    settings(plugins).map(Isolation::new)
}

/// How the processes are started, which may be asked for the jobs of these plugins.
pub(crate) fn settings(plugins: Vec<PathBuf>) -> Result<IsolateSettings, Problem> {
    let program = env::current_exe().map_err(|error| {
        Problem::new(Exit::Internal, "cannot find the file of this program").because(&error)
    })?;
    Ok(IsolateSettings {
        program,
        data_max: ByteSize(0),
        plugins,
    })
}

/// Makes attempts for a worker until that hangs up.
pub(crate) fn slot(
    parent: u32,
    data_max: ByteSize,
    plugins: &[PathBuf],
    catalog: Arc<dyn Catalog>,
) -> Result<Exit, Problem> {
    // Whoever would read an error has gone.
    end_with_parent(parent).map_err(|_| Problem::silent(Exit::Terminated))?;
    let files = plugins.iter().map(|path| PluginFile::look(path));
    // One that is gone is missed by those who ask for its jobs.
    let catalog = PluginCatalog::in_a_child(catalog, files.filter_map(Result::ok));
    match mapfold_worker::run_slot(Arc::new(catalog), data_max) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            Err(Problem::new(Exit::Internal, "cannot make attempts for a worker").because(&error))
        }
    }
}
