//! A look inside a plugin in a process that may be lost: its library runs code as soon as it is opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mapfold_job::BuildError;
use mapfold_job::border::About;
use mapfold_terms::{ByteSize, Failure, JobInfo};
use serde::{Deserialize, Serialize};

use super::{OpenPluginError, Plugin, PluginFile};
use crate::isolate::{Looked, look_in_a_child};
use crate::{IsolateSettings, data_max_for};

/// A plugin that has not answered by then never will. Opening one takes less than a millisecond.
const PROBE_MAX: Duration = Duration::from_secs(20);

/// What is inside a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probed {
    /// The file.
    pub file: PluginFile,
    /// How it was built.
    pub about: About,
    /// Its jobs, sorted by name.
    pub jobs: Vec<JobInfo>,
    /// Why the job that was asked for cannot be made, if it cannot.
    pub refused: Option<BuildError>,
    /// Whether the rows of the job that was asked for are its records.
    pub keeps_records: bool,
}

/// A job to be made in that process, to see whether it takes these parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TryJob {
    /// Its name; `None` for the only one there is.
    pub name: Option<String>,
    /// As typed.
    pub params: BTreeMap<String, String>,
}

/// Looks into a plugin, and makes a job if one is asked for, in a process of its own. Takes some milliseconds.
///
/// # Errors
/// It is no plugin for this engine: an [`OpenPluginError`], flattened.
pub fn probe(
    path: &Path,
    attempt: Option<TryJob>,
    settings: &IsolateSettings,
) -> Result<Probed, Box<Failure>> {
    let file = PluginFile::look(path).map_err(|error| Box::new(error.failure()))?;
    let settings = IsolateSettings {
        data_max: settings.data_max.max(data_max_for(ByteSize(0))),
        ..settings.clone()
    };
    let path = file.path.clone();
    match look_in_a_child(&settings, file, attempt, PROBE_MAX) {
        Ok(Looked::Probed(probed)) => *probed,
        Ok(Looked::Ended(how)) => Err(OpenPluginError::Crashed { path, how }.failure().into()),
        Err(source) => Err(OpenPluginError::Probe { path, source }.failure().into()),
    }
}

/// Looks into a plugin in this process.
pub(crate) fn look_inside(
    file: &PluginFile,
    attempt: Option<&TryJob>,
) -> Result<Probed, Box<Failure>> {
    let look = || {
        let plugin = Arc::new(Plugin::open(file)?);
        let jobs = plugin.list(file)?;
        let made = attempt.and_then(|attempt| {
            let name = match (&attempt.name, jobs.as_slice()) {
                (Some(name), _) => name,
                (None, [only]) => &only.name,
                (None, _) => return None,
            };
            Some(plugin.make(name, &attempt.params))
        });
        Ok(Probed {
            file: file.clone(),
            about: plugin.about().clone(),
            jobs,
            keeps_records: matches!(&made, Some(Ok(made)) if made.keeps_records()),
            refused: made.and_then(Result::err),
        })
    };
    look().map_err(|error: OpenPluginError| Box::new(error.failure()))
}
