//! The engine's side of the C interface: a library that was opened and checked, and its jobs.
//!
//! All calls into a plugin are here; what crosses is in [`abi`].
#![expect(unsafe_code, reason = "a plugin is code behind pointers")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mapfold_data::run::RunBytes;
use mapfold_job::border::abi::{self, Answer, GetTable, Lent, Table, View, Watch};
use mapfold_job::border::{About, Ask, MakeJob, Told};
use mapfold_job::{BuildError, Monitor, TaskError};
use mapfold_terms::{FailClass, Failure, JobInfo};
use serde::de::DeserializeOwned;

use super::exit::Inside;
use super::{OpenPluginError, PluginFile};

/// A plugin of this engine's version, open in this process from here on.
pub(crate) struct Plugin {
    about: About,
    functions: Functions,
}

/// The functions of a table, all of them there.
#[derive(Clone, Copy)]
struct Functions {
    about: unsafe extern "C" fn(*mut Answer),
    list: unsafe extern "C" fn(*mut Answer),
    make: unsafe extern "C" fn(View<'_>, *mut Answer) -> *mut c_void,
    attempt: unsafe extern "C" fn(
        *const c_void,
        View<'_>,
        *mut Lent,
        usize,
        *const Watch<'_>,
        *mut Answer,
    ),
    free_memory: unsafe extern "C" fn(*const c_void),
    drop_job: unsafe extern "C" fn(*mut c_void),
}

impl Plugin {
    /// Opens a plugin and checks that it speaks as this engine does. Runs what the library runs when it is loaded.
    ///
    /// # Errors
    /// See [`OpenPluginError`].
    pub(crate) fn open(file: &PluginFile) -> Result<Self, OpenPluginError> {
        file.check()?;
        let functions = functions(file)?;
        let about: About = told(|answer| {
            // SAFETY: the table is of our version, whose `about` takes an answer.
            unsafe { (functions.about)(answer) }
        })
        .map_err(|source| OpenPluginError::About {
            path: file.path.clone(),
            source,
        })?;
        check_about(file, &about)?;
        Ok(Self { about, functions })
    }

    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// Its jobs. Runs code of the author's: what makes the defaults of parameters.
    pub(crate) fn list(&self, file: &PluginFile) -> Result<Vec<JobInfo>, OpenPluginError> {
        let mut answer = Answer::EMPTY;
        // SAFETY: as in `open`.
        unsafe { (self.functions.list)(&raw mut answer) };
        let message = answer.message.as_ref();
        serde_json::from_slice(message).map_err(|error| OpenPluginError::List {
            path: file.path.clone(),
            message: match serde_json::from_slice(message) {
                Ok(Told::Failed(failure)) => failure.to_string(),
                _ => error.to_string(),
            },
        })
    }

    /// Makes one of its jobs ready.
    pub(crate) fn make(
        self: &Arc<Self>,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<PluginJobMade, BuildError> {
        let refused = |message: String| BuildError::Refused {
            job: name.to_owned(),
            message,
        };
        let make = MakeJob {
            name: name.to_owned(),
            params: params.clone(),
        };
        let make = serde_json::to_vec(&make).map_err(|error| refused(error.to_string()))?;
        let mut answer = Answer::EMPTY;
        // SAFETY: as in `open`; the view lives until the call returns.
        let job = unsafe { (self.functions.make)(View::from(make.as_slice()), &raw mut answer) };
        let told = serde_json::from_slice(answer.message.as_ref());
        if !job.is_null() {
            return Ok(PluginJobMade {
                plugin: Arc::clone(self),
                job,
                keeps_records: matches!(
                    told,
                    Ok(Told::Made {
                        keeps_records: true
                    })
                ),
            });
        }
        Err(match told {
            Ok(Told::Refused(error)) => error,
            Ok(Told::Failed(failure)) => refused(failure.to_string()),
            Ok(_) => refused("it gives no job".to_owned()),
            Err(error) => refused(error.to_string()),
        })
    }
}

/// A job of a plugin, ready to run attempts on any number of threads.
pub(crate) struct PluginJobMade {
    plugin: Arc<Plugin>,
    job: *mut c_void,
    keeps_records: bool,
}

// SAFETY: `job` stands for an `Arc<dyn Runner>` of the plugin's, which is `Send` and `Sync`; the interface says that its functions
// can be called from any number of threads at once.
unsafe impl Send for PluginJobMade {}
// SAFETY: as above.
unsafe impl Sync for PluginJobMade {}

impl PluginJobMade {
    /// Has the job do something. `beside` are the segments of the task that are in memory, in order. Comes back with what it told, and with the run of
    /// a map attempt if that stayed in memory.
    pub(crate) fn attempt(
        &self,
        ask: &Ask,
        mut beside: Vec<Lent>,
        monitor: &dyn Monitor,
    ) -> Result<(Told, RunBytes), TaskError> {
        let failed = |error: serde_json::Error| Failure::new(FailClass::Worker, &BadMessage(error));
        let ask = serde_json::to_vec(ask).map_err(failed)?;
        let watch = Watch::of(&monitor);
        let mut answer = Answer::EMPTY;
        let _inside = Inside::begin();
        // SAFETY: `make` gave the job, and it is dropped with `self`; all else lives until the call returns, and nobody else uses
        // `beside` and `answer` meanwhile.
        unsafe {
            (self.plugin.functions.attempt)(
                self.job,
                View::from(ask.as_slice()),
                beside.as_mut_ptr(),
                beside.len(),
                &raw const watch,
                &raw mut answer,
            );
        }
        let told = serde_json::from_slice(answer.message.as_ref()).map_err(failed)?;
        Ok((told, RunBytes::lent(answer.run)))
    }

    pub(crate) fn keeps_records(&self) -> bool {
        self.keeps_records
    }

    pub(crate) fn free_memory(&self) {
        // SAFETY: as in `attempt`.
        unsafe { (self.plugin.functions.free_memory)(self.job) };
    }
}

impl Drop for PluginJobMade {
    fn drop(&mut self) {
        // SAFETY: `make` gave the job; attempts borrow `self`, so none runs.
        unsafe { (self.plugin.functions.drop_job)(self.job) };
    }
}

/// What the plugin says cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the plugin and the engine do not understand each other")]
struct BadMessage(#[source] serde_json::Error);

/// What a function tells.
fn told<T: DeserializeOwned>(call: impl FnOnce(*mut Answer)) -> Result<T, serde_json::Error> {
    let mut answer = Answer::EMPTY;
    call(&raw mut answer);
    serde_json::from_slice(answer.message.as_ref())
}

/// Opens the library, and reads its table.
fn functions(file: &PluginFile) -> Result<Functions, OpenPluginError> {
    let path = file.path.clone();
    // SAFETY: runs the library's constructors. Whoever opens a plugin trusts it, has looked into it in a process of its own before, or
    // is that process.
    let library = match unsafe { Library::open(Some(&file.path), RTLD_NOW | RTLD_LOCAL) } {
        // Never closed: see the module above.
        Ok(library) => ManuallyDrop::new(library),
        Err(source) => return Err(OpenPluginError::Open { path, source }),
    };
    // SAFETY: a symbol of this name is a `GetTable`, whatever its version.
    let Ok(get) = (unsafe { library.get::<GetTable>(abi::SYMBOL) }) else {
        let symbol = abi::SYMBOL.to_string_lossy().into_owned();
        return Err(OpenPluginError::NoSymbol { path, symbol });
    };
    // SAFETY: as above; it takes nothing.
    let table: *const Table = unsafe { get() };
    if table.is_null() || !table.is_aligned() {
        return Err(OpenPluginError::Magic { path });
    }
    // SAFETY: the first fields of a table never move, and it lives as long as the process.
    let (magic, size, major, minor) = unsafe {
        (
            (&raw const (*table).magic).read(),
            (&raw const (*table).size).read(),
            (&raw const (*table).major).read(),
            (&raw const (*table).minor).read(),
        )
    };
    if magic != abi::MAGIC {
        return Err(OpenPluginError::Magic { path });
    }
    if major != abi::MAJOR || minor.checked_sub(abi::MINOR).is_none() {
        return Err(OpenPluginError::Version { path, major, minor });
    }
    let lacking = OpenPluginError::Table { path, size };
    if (size as usize) < size_of::<Table>() {
        return Err(lacking);
    }
    // SAFETY: it is as long as ours, and of a version whose beginning is ours.
    let table = unsafe { &*table };
    let all = || {
        Some(Functions {
            about: table.about?,
            list: table.list?,
            make: table.make?,
            attempt: table.attempt?,
            free_memory: table.free_memory?,
            drop_job: table.drop_job?,
        })
    };
    all().ok_or(lacking)
}

/// Whether the plugin reads and writes as this engine does, and runs where it does.
fn check_about(file: &PluginFile, plugin: &About) -> Result<(), OpenPluginError> {
    let engine = About::this_build();
    for (format, &ours) in &engine.formats {
        // What it does not know it neither reads nor writes.
        let theirs = plugin.formats.get(format).copied().unwrap_or(ours);
        if theirs != ours {
            return Err(OpenPluginError::Format {
                path: file.path.clone(),
                format: format.clone(),
                plugin: theirs,
                engine: ours,
            });
        }
    }
    if plugin.target != engine.target {
        return Err(OpenPluginError::Target {
            path: file.path.clone(),
            plugin: plugin.target.clone(),
            engine: engine.target,
        });
    }
    Ok(())
}
