//! Jobs in plugins: what was named on the command line, looked into before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapfold_data::side_file;
use mapfold_job::border::About;
use mapfold_job::{BuildError, Catalog, ParamError, ParamInfo, ParamValue, Runner};
use mapfold_terms::{ByteSize, InputName, JobFile, JobFileKind, JobInfo, ParamFile, RawPath};
use mapfold_worker::{PluginCatalog, PluginJob, Probed, TryJob};

use crate::args::JobArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::formats::Formats;
use crate::inputs::{Input, Known};
use crate::settings::{Place, Shown};
use crate::{crate_build, inputs, isolate, job, stderr};

/// The job that was named, and where it is found.
#[derive(Clone)]
pub(crate) struct Found {
    /// Has the job, plugin or not.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Its name there: of a plugin's job with the hash of the plugin.
    pub(crate) name: String,
    /// What was typed for it.
    typed: String,
    /// The plugin's file, absolute.
    pub(crate) plugin: Option<PathBuf>,
    /// The same as a file that goes with the job.
    file: Option<JobFile>,
    about: Option<About>,
}

/// What the job is given beside its input.
#[derive(Clone, Default)]
pub(crate) struct Settled {
    /// All but those that have no value.
    pub(crate) params: BTreeMap<String, String>,
    /// Those that they name.
    pub(crate) files: Vec<JobFile>,
}

/// Finds the job that was named.
pub(crate) fn find(job: &JobArgs, catalog: &Arc<dyn Catalog>) -> Result<Found, Problem> {
    look(job, catalog, None)
}

/// Finds the job that was named, and makes sure, in a process of its own, that it takes these parameters.
pub(crate) fn find_and_try(
    job: &JobArgs,
    catalog: &Arc<dyn Catalog>,
    params: &BTreeMap<String, String>,
) -> Result<Found, Problem> {
    look(job, catalog, Some(params))
}

fn look(
    job: &JobArgs,
    catalog: &Arc<dyn Catalog>,
    params: Option<&BTreeMap<String, String>>,
) -> Result<Found, Problem> {
    let typed = job.named.clone();
    if !is_file(&typed, &**catalog) {
        if job.of_plugin.is_some() {
            let what = format!("--job names a job of a plugin, and `{typed}` is none");
            return Err(Problem::new(Exit::Usage, what));
        }
        return Ok(Found {
            catalog: Arc::clone(catalog),
            name: typed.clone(),
            typed,
            plugin: None,
            file: None,
            about: None,
        });
    }
    let path = Path::new(&typed);
    if path.is_dir() && !crate_build::is_source(path) {
        let what = format!("folder {typed} is no job's crate: it has no Cargo.toml");
        return Err(Problem::new(Exit::Input, what)
            .hint("name a crate's folder, such as `mapfold new` makes, a FILE.so or a FILE.rs"));
    }
    let built = match crate_build::is_source(path) {
        true => crate_build::built(path)?,
        false => path.to_owned(),
    };
    let path = built.as_path();
    let given = job.of_plugin.as_deref();
    let attempt = params.map(|params| TryJob {
        name: job.of_plugin.clone(),
        params: params.clone(),
    });
    let mut probed = probe(path, attempt)?;
    let name = one_of(&probed, &typed, given)?;
    if let Some(refused) = probed.refused.take() {
        return Err(job::problem(refused, &typed));
    }
    let file = probed.file.clone();
    let plugin = PluginJob {
        name,
        plugin: file.id,
    };
    Ok(Found {
        about: Some(probed.about.clone()),
        catalog: Arc::new(PluginCatalog::new(Arc::clone(catalog), [probed])),
        name: plugin.to_string(),
        typed,
        file: Some(JobFile {
            kind: JobFileKind::Plugin,
            name: file_name(&file.path),
            bytes: ByteSize(file.bytes),
            id: file.id,
            path: RawPath::from(file.path.as_path()),
        }),
        plugin: Some(file.path),
    })
}

/// Finds the job that a plan names, in the plugin that it names.
pub(crate) fn of_plan(
    job: &str,
    plugin: Option<&Path>,
    catalog: &Arc<dyn Catalog>,
) -> Result<Found, Problem> {
    let named = JobArgs {
        named: plugin.map_or_else(|| job.to_owned(), |path| path.display().to_string()),
        of_plugin: plugin.map(|_| plain(job).to_owned()),
    };
    let found = find(&named, catalog)?;
    if found.name != job {
        let what = format!("{} has changed since the plan was made", found.typed);
        return Err(Problem::new(Exit::Usage, what).hint(
            "what was recorded is for one build of a plugin: run the job, or `mapfold plan`, again",
        ));
    }
    Ok(found)
}

/// The name of a file, as much of it as one may have.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name[..name.floor_char_boundary(JobFile::NAME_MAX)].to_owned()
}

impl Found {
    /// The plugin as a file that goes with the job, if it is in one.
    pub(crate) fn plugin_file(&self) -> Option<JobFile> {
        self.file.clone()
    }

    /// What the job reads, of what was typed.
    pub(crate) fn inputs(
        &self,
        typed: &[PathBuf],
        formats: &Formats,
        place: &Place,
    ) -> Result<Vec<Input>, Problem> {
        self.with_known(formats, |known| inputs::inputs(known, typed, place))
    }

    /// The same where standard input is not read.
    pub(crate) fn files(
        &self,
        typed: &[PathBuf],
        formats: &Formats,
    ) -> Result<Vec<InputName>, Problem> {
        self.with_known(formats, |known| inputs::files(known, typed))
    }

    fn with_known<T>(
        &self,
        formats: &Formats,
        find: impl FnOnce(Known<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Some(info) = self.info() else {
            return find(Known::default());
        };
        find(Known {
            job: plain(&self.name),
            names: &info.inputs,
            formats: &formats.own(&info)?,
        })
    }

    /// `None` if there is no such job.
    fn info(&self) -> Option<JobInfo> {
        self.catalog.info(&self.name)
    }

    /// What the job is given, however it was typed: parameters by the names and in the words that the job has for them, with those that were not typed,
    /// and files by what is in them. So equal jobs have equal manifests.
    pub(crate) fn settled(&self, typed: &BTreeMap<String, String>) -> Result<Settled, Problem> {
        let members = self.info().map(|info| info.params).unwrap_or_default();
        let mut settled = Settled::default();
        for (name, value) in typed {
            let (name, value) = match ParamInfo::find(&members, name) {
                Some(member) if member.kind == ParamFile::KIND => {
                    let name = match member.name.ends_with('*') {
                        true => name,
                        false => &member.name,
                    };
                    let file = self.side_file(name, value)?;
                    let value = ParamFile::from(&file).to_string();
                    settled.files.push(file);
                    (name, value)
                }
                Some(member) => (&member.name, in_its_words(&member.kind, value)),
                // Refused when the job is made.
                None => (name, value.clone()),
            };
            if settled.params.insert(name.clone(), value).is_some() {
                let what = format!("parameter `{name}` is given twice");
                return Err(Problem::new(Exit::Usage, what));
            }
        }
        for member in members {
            // An empty one is none: a parameter that need not be given.
            if let Some(default) = member.default.filter(|default| !default.is_empty()) {
                settled.params.entry(member.name).or_insert(default);
            }
        }
        Ok(settled)
    }

    fn side_file(&self, name: &str, typed: &str) -> Result<JobFile, Problem> {
        let file = side_file::look(name, Path::new(typed));
        file.map_err(|source| {
            let name = name.to_owned();
            let job = plain(&self.name).to_owned();
            let source = ParamError::File { name, source };
            job::problem(BuildError::Param { job, source }, &self.typed)
        })
    }

    /// Makes the job ready to run in this process.
    pub(crate) fn build(
        &self,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, Problem> {
        self.build_from(&*self.catalog, params)
    }

    /// The same, from a catalog made of this one.
    pub(crate) fn build_from(
        &self,
        catalog: &dyn Catalog,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, Problem> {
        let built = catalog.build(&self.name, params);
        built.map_err(|error| job::problem(error, &self.typed))
    }

    /// Says so if the plugin was not built to be fast.
    pub(crate) fn warn(&self, shown: &Shown) {
        let slow = |about: &About| about.debug_assertions || about.opt_level == "0";
        if !shown.quiet && self.about.as_ref().is_some_and(slow) {
            let note = format!(
                "{} {} is a debug build, many times slower than one of `cargo build --release`\n",
                shown.paint.label("note:"),
                self.typed
            );
            stderr::say(&note);
        }
    }
}

/// A value of this kind as the job would show it: `yes` is `true`. As it was typed, where it is not known how.
fn in_its_words(kind: &str, typed: &str) -> String {
    fn shown<T: ParamValue>(typed: &str) -> Option<String> {
        T::parse(typed).map(|value| value.show())
    }
    let known = [
        (bool::KIND, shown::<bool> as fn(&str) -> Option<String>),
        (u32::KIND, shown::<u32>),
        (u64::KIND, shown::<u64>),
        (i64::KIND, shown::<i64>),
        (f64::KIND, shown::<f64>),
        (ByteSize::KIND, shown::<ByteSize>),
    ];
    let known = known.into_iter().find(|(known, _)| *known == kind);
    let value = known.and_then(|(_, shown)| shown(typed));
    value.unwrap_or_else(|| typed.to_owned())
}

/// Whether a job was named by a file, or by the folder of its crate.
pub(crate) fn is_file(typed: &str, catalog: &dyn Catalog) -> bool {
    let is_job = || catalog.info(typed).is_some();
    is_path(typed) || crate_build::is_source(Path::new(typed)) && !is_job()
}

fn is_path(typed: &str) -> bool {
    let endings = [".so", ".dylib", ".rs"];
    typed.contains('/') || typed == "." || endings.iter().any(|ending| typed.ends_with(ending))
}

/// Looks into a plugin; tries one of its jobs there, if asked to.
pub(crate) fn probe(path: &Path, attempt: Option<TryJob>) -> Result<Probed, Problem> {
    let settings = isolate::settings(Vec::new())?;
    mapfold_worker::probe(path, attempt, &settings).map_err(|failure| {
        let exit = match path.exists() {
            true => Exit::Usage,
            false => Exit::Input,
        };
        Problem::refused(exit, &failure)
    })
}

/// The job of a plugin that is meant.
fn one_of(probed: &Probed, typed: &str, given: Option<&str>) -> Result<String, Problem> {
    let names = || probed.jobs.iter().map(|info| info.name.as_str());
    let all = || names().collect::<Vec<_>>().join(", ");
    match (given, probed.jobs.as_slice()) {
        (Some(given), _) if names().any(|name| name == given) => Ok(given.to_owned()),
        (Some(given), _) => Err(
            Problem::new(Exit::Usage, format!("{typed} has no job `{given}`"))
                .hint(format!("it has {}", all())),
        ),
        (None, [one]) => Ok(one.name.clone()),
        (None, []) => Err(Problem::new(Exit::Usage, format!("{typed} has no jobs"))),
        (None, _) => Err(
            Problem::new(Exit::Usage, format!("{typed} has several jobs"))
                .hint(format!("add --job NAME, one of: {}", all())),
        ),
    }
}

/// The name of a job for people: without the hash of a plugin.
pub(crate) fn plain(job: &str) -> &str {
    match job.parse::<PluginJob>() {
        Ok(_) => job.rsplit_once('@').map_or(job, |(name, _)| name),
        Err(_) => job,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_settled_in_the_words_of_their_kind() {
        let check = |kind, typed, want| assert_eq!(in_its_words(kind, typed), want);
        check("bool", "Yes", "true");
        check("bool", "maybe", "maybe");
        check("u64", "007", "7");
        check("f64", "1e3", "1000");
        check("size", "64M", "64.0 MiB");
        check("text", "007", "007");
    }
}
