//! A catalog with the jobs of plugins beside those of another.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use mapfold_job::{BuildError, Catalog, Runner};
use mapfold_terms::{FileId, JobInfo};

use super::runner::PluginRunner;
use super::{OpenPluginError, Plugin, PluginFile, Probed};

/// The name of a plugin's job in a catalog: `name@hash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginJob {
    /// The job's own name.
    pub name: String,
    /// The plugin.
    pub plugin: FileId,
}

impl fmt::Display for PluginJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.plugin)
    }
}

/// A text is the name of a job that no plugin has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a plugin's job")]
pub struct NoPluginJob(String);

impl FromStr for PluginJob {
    type Err = NoPluginJob;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.rsplit_once('@');
        let job = parts.and_then(|(name, id)| {
            Some(Self {
                name: name.to_owned(),
                plugin: id.parse().ok()?,
            })
        });
        job.ok_or_else(|| NoPluginJob(text.to_owned()))
    }
}

/// The jobs of plugins, under their full names, beside those of another catalog.
pub struct PluginCatalog {
    others: Arc<dyn Catalog>,
    plugins: Vec<OnePlugin>,
    /// Whether a panic in this process ends nothing but an attempt.
    expendable: bool,
}

struct OnePlugin {
    file: PluginFile,
    /// Known from a look inside in a process of its own; empty where this is that process.
    jobs: Vec<JobInfo>,
    open: Mutex<Option<Arc<Plugin>>>,
}

impl PluginCatalog {
    /// With plugins that were looked into. They are opened in this process when the first of their jobs is made.
    pub fn new(others: Arc<dyn Catalog>, plugins: impl IntoIterator<Item = Probed>) -> Self {
        let plugins = plugins.into_iter().map(|probed| OnePlugin {
            file: probed.file,
            jobs: probed.jobs,
            open: Mutex::default(),
        });
        Self {
            others,
            plugins: plugins.collect(),
            expendable: false,
        }
    }

    /// For a process that makes attempts for a slot, and may be lost.
    pub fn in_a_child(
        others: Arc<dyn Catalog>,
        plugins: impl IntoIterator<Item = PluginFile>,
    ) -> Self {
        let plugins = plugins.into_iter().map(|file| OnePlugin {
            file,
            jobs: Vec::new(),
            open: Mutex::default(),
        });
        Self {
            others,
            plugins: plugins.collect(),
            expendable: true,
        }
    }
}

impl Catalog for PluginCatalog {
    fn list(&self) -> Vec<JobInfo> {
        let of_plugins = self.plugins.iter().flat_map(|plugin| {
            plugin.jobs.iter().map(|info| JobInfo {
                name: PluginJob {
                    name: info.name.clone(),
                    plugin: plugin.file.id,
                }
                .to_string(),
                ..info.clone()
            })
        });
        self.others.list().into_iter().chain(of_plugins).collect()
    }

    fn info(&self, name: &str) -> Option<JobInfo> {
        let Ok(job) = name.parse::<PluginJob>() else {
            return self.others.info(name);
        };
        let plugin = self.plugins.iter().find(|it| it.file.id == job.plugin)?;
        let info = plugin.jobs.iter().find(|info| info.name == job.name)?;
        Some(JobInfo {
            name: name.to_owned(),
            ..info.clone()
        })
    }

    fn build(
        &self,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, BuildError> {
        let Ok(job) = name.parse::<PluginJob>() else {
            return self.others.build(name, params);
        };
        let Some(plugin) = self.plugins.iter().find(|it| it.file.id == job.plugin) else {
            return Err(BuildError::UnknownJob {
                name: name.to_owned(),
                known: self.list().into_iter().map(|info| info.name).collect(),
            });
        };
        let not_opened = |error: OpenPluginError| {
            let failure = error.failure();
            BuildError::Plugin {
                chain: failure.chain,
                hint: failure.hint,
            }
        };
        let open = plugin.open().map_err(not_opened)?;
        if !self.expendable && !open.about().panic_unwinds {
            return Err(not_opened(OpenPluginError::Aborts {
                path: plugin.file.path.clone(),
            }));
        }
        let jobs = match plugin.jobs.as_slice() {
            [] => open.list(&plugin.file).map_err(not_opened)?,
            known => known.to_vec(),
        };
        let info = jobs.iter().find(|info| info.name == job.name);
        let info = info.cloned().ok_or_else(|| BuildError::UnknownJob {
            name: job.name.clone(),
            known: jobs.into_iter().map(|info| info.name).collect(),
        })?;
        let made = open.make(&job.name, params)?;
        Ok(Arc::new(PluginRunner { info, job: made }))
    }
}

impl OnePlugin {
    fn open(&self) -> Result<Arc<Plugin>, OpenPluginError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*open {
            return Ok(Arc::clone(open));
        }
        Ok(Arc::clone(open.insert(Arc::new(Plugin::open(&self.file)?))))
    }
}
