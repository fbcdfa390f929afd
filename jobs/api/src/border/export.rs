//! The plugin's side of the C interface: the table of a list of jobs.
//!
//! Each function catches whatever panics in it, so that nothing unwinds into the engine, whose copy of the standard library is another one.
#![expect(unsafe_code, reason = "the engine calls with pointers")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mapfold_data::run::RunBytes;
use mapfold_terms::{FailClass, Failure};
use serde::Serialize;

use super::abi::{Answer, Lent, MAGIC, MAJOR, MINOR, Table, View, Watch};
use super::answer::{Answered, answer};
use super::{About, Ask, MakeJob, Told};
use crate::{Catalog as _, JobTable, Maker, Runner, guard};

/// The jobs of a plugin. Implemented by [`plugin!`](crate::plugin).
pub trait Jobs: 'static {
    /// Whether their crate is built so that a panic can be caught: the last crate decides for all that it links.
    const PANIC_UNWINDS: bool;

    /// Their makers.
    fn makers() -> Vec<Maker>;
}

/// Makes a library of jobs a plugin: what `mapfold run FILE.so` can open. Once a library, at the top of `lib.rs`.
/// ```
/// use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Rows, Values};
///
/// mapfold_job::plugin!(Lengths);
///
/// /// Counts the lines of each length.
/// struct Lengths;
///
/// impl Job for Lengths {
///     type Params = NoParams;
///     type Key = u64;
///     type Value = u64;
///     const NAME: &'static str = "lengths";
///     const SUMMARY: &'static str = "how many lines have each length";
///
///     fn new(_: NoParams) -> Result<Self, JobError> {
///         Ok(Self)
///     }
///
///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
///         out.emit(record.bytes.len() as u64, 1);
///         Ok(())
///     }
///
///     fn reduce(
///         &self,
///         length: u64,
///         counts: &mut Values<'_, Self>,
///         rows: &mut Rows<'_>,
///     ) -> Result<(), JobError> {
///         rows.row(length, counts.owned().sum::<u64>());
///         Ok(())
///     }
/// }
/// # fn main() {}
/// ```
/// The library's `Cargo.toml` says `crate-type = ["cdylib", "rlib"]`. It exports one C symbol, so two crates that use this macro cannot be
/// linked into one program: keep jobs that others build upon in a crate without it.
#[macro_export]
macro_rules! plugin {
    ($($job:ty),+ $(,)?) => {
        const _: () = {
            struct Plugin;

            impl $crate::border::Jobs for Plugin {
                const PANIC_UNWINDS: bool = cfg!(panic = "unwind");

                fn makers() -> ::std::vec::Vec<$crate::Maker> {
                    ::std::vec![$($crate::Maker::of::<$job>()),+]
                }
            }

            /// The engine's way in.
            #[unsafe(no_mangle)]
            extern "C" fn mapfold_job_v1() -> *const $crate::border::abi::Table {
                static TABLE: $crate::border::abi::Table = $crate::border::table::<Plugin>();
                &raw const TABLE
            }
        };
    };
}

/// The table of a plugin.
pub const fn table<P: Jobs>() -> Table {
    Table {
        magic: MAGIC,
        #[expect(clippy::cast_possible_truncation, reason = "it is 64")]
        size: size_of::<Table>() as u32,
        major: MAJOR,
        minor: MINOR,
        about: Some(about::<P>),
        list: Some(list::<P>),
        make: Some(make::<P>),
        attempt: Some(attempt),
        free_memory: Some(free_memory),
        drop_job: Some(drop_job),
    }
}

/// What a job is to the engine: a pointer to one of these.
struct Made(Arc<dyn Runner>);

unsafe extern "C" fn about<P: Jobs>(to: *mut Answer) {
    let said = contain(|| {
        Answer::of(&About {
            panic_unwinds: P::PANIC_UNWINDS,
            ..About::this_build()
        })
    });
    // SAFETY: the engine passes an answer of its own.
    unsafe { tell(to, said) };
}

unsafe extern "C" fn list<P: Jobs>(to: *mut Answer) {
    let said = contain(|| Answer::of(&JobTable::new(P::makers()).list()));
    // SAFETY: the engine passes an answer of its own.
    unsafe { tell(to, said) };
}

unsafe extern "C" fn make<P: Jobs>(make: View<'_>, to: *mut Answer) -> *mut c_void {
    let mut made = std::ptr::null_mut();
    let said = contain(|| {
        let make: MakeJob = match serde_json::from_slice(make.bytes()) {
            Ok(make) => make,
            Err(error) => return not_read(&error).into(),
        };
        match JobTable::new(P::makers()).build(&make.name, &make.params) {
            Ok(runner) => {
                let told = Told::Made {
                    keeps_records: runner.keeps_records(),
                };
                made = Box::into_raw(Box::new(Made(runner))).cast();
                told.into()
            }
            Err(error) => Told::Refused(error).into(),
        }
    });
    // SAFETY: the engine passes an answer of its own.
    unsafe { tell(to, said) };
    made
}

unsafe extern "C" fn attempt(
    job: *const c_void,
    ask: View<'_>,
    beside: *mut Lent,
    beside_count: usize,
    watch: *const Watch<'_>,
    to: *mut Answer,
) {
    let said = contain(|| {
        // SAFETY: `make` made it, and the engine does not drop it while an attempt runs.
        let Made(runner) = unsafe { &*job.cast::<Made>() };
        let beside = match beside_count {
            0 => &mut [],
            // SAFETY: the engine passes so many, of which nobody else knows until this returns.
            count => unsafe { std::slice::from_raw_parts_mut(beside, count) },
        };
        // SAFETY: the engine's watch lives until this returns.
        let watch = unsafe { &*watch };
        let beside = beside.iter_mut().map(|lent| RunBytes::lent(lent.take()));
        match serde_json::from_slice::<Ask>(ask.bytes()) {
            Ok(ask) => answer(&**runner, &ask, beside.collect(), watch).into(),
            Err(error) => not_read(&error).into(),
        }
    });
    // SAFETY: the engine passes an answer of its own.
    unsafe { tell(to, said) };
}

unsafe extern "C" fn free_memory(job: *const c_void) {
    contain(|| {
        // SAFETY: `make` made it, and the engine has not dropped it.
        let Made(runner) = unsafe { &*job.cast::<Made>() };
        runner.free_memory();
        Answer::EMPTY
    });
}

unsafe extern "C" fn drop_job(job: *mut c_void) {
    contain(|| {
        // SAFETY: `make` made it, and the engine drops it once.
        let made: Box<Made> = unsafe { Box::from_raw(job.cast()) };
        drop(made);
        Answer::EMPTY
    });
}

/// # Safety
/// `to` is an answer that nobody else knows of.
unsafe fn tell(to: *mut Answer, said: Answer) {
    // SAFETY: the caller's promise. What was there before is dropped.
    unsafe { *to = said };
}

/// Runs `body`; a panic becomes a message.
fn contain(body: impl FnOnce() -> Answer) -> Answer {
    let caught = || match guard::catch(body) {
        Ok(answer) => answer,
        Err(panic) => Told::Failed(panic.failure()).into(),
    };
    catch_unwind(AssertUnwindSafe(caught)).unwrap_or_else(|payload| {
        // A panic while a panic was handled. Its payload may do the same again.
        std::mem::forget(payload);
        Answer::EMPTY
    })
}

impl Answer {
    /// The message as JSON.
    fn of(message: &impl Serialize) -> Self {
        Self {
            // Only what has keys that are no texts cannot be written, and no message has.
            message: serde_json::to_vec(message).unwrap_or_default().into(),
            run: Lent::NOTHING,
        }
    }
}

impl From<Told> for Answer {
    fn from(told: Told) -> Self {
        Answered::from(told).into()
    }
}

impl From<Answered> for Answer {
    fn from(answered: Answered) -> Self {
        Self {
            run: answered.run.map_or(Lent::NOTHING, Lent::from),
            ..Self::of(&answered.told)
        }
    }
}

fn not_read(error: &serde_json::Error) -> Told {
    Told::Failed(Failure {
        hint: Some("rebuild the plugin with the API that belongs to this Mapfold".to_owned()),
        ..Failure::new(FailClass::Worker, &NotRead(error.to_string()))
    })
}

/// A message of the engine's.
#[derive(Debug, thiserror::Error)]
#[error("the plugin cannot read the engine's message: {0}")]
struct NotRead(String);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        BuildError, Emitter, Job, JobError, JobInfo, Record, Rows, Unwatched, Values, params,
    };

    params! {
        /// Parameters of the job.
        pub(crate) struct OddParams {
            /// What goes wrong.
            pub(crate) fails: String = String::new(),
        }
    }

    struct Odd(OddParams);

    impl Job for Odd {
        type Params = OddParams;
        type Key = Vec<u8>;
        type Value = u64;
        const NAME: &'static str = "odd";
        const SUMMARY: &'static str = "panics where it should not";

        fn new(params: OddParams) -> Result<Self, JobError> {
            match params.fails.as_str() {
                "new" => Err("it does not like that".into()),
                "new, badly" => panic!("it does not like that at all"),
                _ => Ok(Self(params)),
            }
        }

        fn map(&self, _: &Record<'_>, _: &mut Emitter<'_, Self>) -> Result<(), JobError> {
            Ok(())
        }

        fn reduce(
            &self,
            _: &[u8],
            _: &mut Values<'_, Self>,
            _: &mut Rows<'_>,
        ) -> Result<(), JobError> {
            Ok(())
        }
    }

    impl Drop for Odd {
        fn drop(&mut self) {
            assert_ne!(self.0.fails, "drop", "it does not want to go");
        }
    }

    struct One;

    impl Jobs for One {
        const PANIC_UNWINDS: bool = true;

        fn makers() -> Vec<Maker> {
            vec![Maker::of::<Odd>()]
        }
    }

    /// Its list cannot be had.
    struct Broken;

    impl Jobs for Broken {
        const PANIC_UNWINDS: bool = true;

        fn makers() -> Vec<Maker> {
            panic!("there are none")
        }
    }

    /// What a function of the table tells.
    fn told<T: serde::de::DeserializeOwned>(call: impl FnOnce(*mut Answer)) -> T {
        let mut answer = Answer::EMPTY;
        call(&raw mut answer);
        serde_json::from_slice(answer.message.as_ref()).unwrap()
    }

    fn make(name: &str, fails: &str) -> (*mut c_void, Option<Told>) {
        let params = BTreeMap::from([("fails".to_owned(), fails.to_owned())]);
        let name = name.to_owned();
        let message = serde_json::to_vec(&MakeJob { name, params }).unwrap();
        let mut answer = Answer::EMPTY;
        let make = table::<One>().make.unwrap();
        // SAFETY: an empty answer, and a view that lives on.
        let job = unsafe { make(View::from(message.as_slice()), &raw mut answer) };
        let told = answer.message.as_ref();
        (job, serde_json::from_slice(told).ok())
    }

    #[test]
    fn a_table_tells_what_the_plugin_is() {
        let table = table::<One>();
        assert_eq!((table.magic, table.major), (MAGIC, MAJOR));
        assert_eq!(table.size as usize, size_of::<Table>());
        // SAFETY: an empty answer.
        let about: About = told(|answer| unsafe { (table.about.unwrap())(answer) });
        assert_eq!(about, About::this_build());
        // SAFETY: an empty answer.
        let jobs: Vec<JobInfo> = told(|answer| unsafe { (table.list.unwrap())(answer) });
        assert_eq!(jobs[0].params[0].name, "fails");
        let list = super::table::<Broken>().list.unwrap();
        // SAFETY: an empty answer.
        let failed: Told = told(|answer| unsafe { list(answer) });
        let Told::Failed(failure) = failed else {
            panic!("{failed:?}");
        };
        assert!(failure.to_string().ends_with("there are none"), "{failure}");
    }

    #[test]
    fn what_cannot_be_made_is_told() {
        let (none, told) = make("even", "");
        assert!(none.is_null());
        assert!(matches!(
            told,
            Some(Told::Refused(BuildError::UnknownJob { .. }))
        ));
        let (none, told) = make("odd", "new");
        assert!(none.is_null());
        assert!(matches!(
            told,
            Some(Told::Refused(BuildError::Refused { .. }))
        ));
        let (none, told) = make("odd", "new, badly");
        assert!(none.is_null());
        assert!(matches!(told, Some(Told::Failed(_))));
    }

    #[test]
    fn a_job_survives_messages_that_it_cannot_read_and_a_panic_at_its_end() {
        let (job, _) = make("odd", "drop");
        assert!(!job.is_null());
        let table = table::<One>();
        let monitor: &dyn crate::Monitor = &Unwatched;
        let watch = Watch::of(&monitor);
        let mut beside = [Lent::from(b"a segment".to_vec())];
        // SAFETY: a job of this table's, and what else it wants.
        let failed: Told = told(|answer| unsafe {
            (table.attempt.unwrap())(
                job,
                View::from(&b"no json"[..]),
                beside.as_mut_ptr(),
                beside.len(),
                &raw const watch,
                answer,
            );
        });
        assert!(matches!(failed, Told::Failed(_)), "{failed:?}");
        // SAFETY: a job of this table's, which is not used again.
        unsafe {
            (table.free_memory.unwrap())(job);
            (table.drop_job.unwrap())(job);
        }
    }
}
