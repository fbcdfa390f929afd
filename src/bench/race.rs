//! Warm-ups and rounds.

use std::io;
use std::num::NonZeroU32;

use mapfold_terms::Format;
use tokio::task::spawn_blocking;

use super::contender::{Contender, Kind, Traces};
use super::rows::{Comparison, RowSums, compare};
use super::trial::{Trial, trial};
use super::work::Work;
use crate::duration::show;
use crate::error::Problem;
use crate::exit::Exit;
use crate::scratch::PrivateFolder;
use crate::settings::Shown;
use crate::signals::Signals;
use crate::stderr::say;

/// A contender and what its runs took.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) contender: Contender,
    /// In the order of the rounds; never empty.
    pub(crate) trials: Vec<Trial>,
    /// Rows of the warm-up.
    pub(crate) rows: u64,
    /// How they compare with those of the first contender; `None` for that one.
    pub(crate) comparison: Option<Comparison>,
    /// What the engine said it did in the last run; only Mapfold says.
    pub(crate) work: Option<Work>,
}

/// Runs each contender once to warm up, and then in `runs` rounds. The first is the job on this engine, over records of `format`; its
/// rows are those that others are compared with.
pub(crate) async fn race(
    contenders: Vec<Contender>,
    runs: NonZeroU32,
    format: Format,
    shown: &Shown,
) -> Result<Vec<Measured>, Problem> {
    let mut signals = Signals::catch()?;
    let folder = PrivateFolder::make()?;
    let traces = |number: usize| {
        Traces::make(folder.path().join(format!("contender-{number}"))).map_err(|e| no_traces(&e))
    };
    let mut measured: Vec<Measured> = Vec::new();
    let first_traces = traces(0)?;
    let mut first_rows = None;
    for (at, contender) in contenders.into_iter().enumerate() {
        let own_traces = if at == 0 { None } else { Some(traces(at)?) };
        let own_traces = own_traces.as_ref().unwrap_or(&first_traces);
        let warm = trial(&contender, own_traces, &mut signals).await?;
        tell(shown, "Warm-up", &contender, &warm);
        let files = contender.row_files(own_traces);
        let files = files.map_err(|error| no_rows(&contender, &error))?;
        let (rows, comparison) = match &first_rows {
            None => {
                let sums = RowSums::read(files, Contender::cut(format, own_traces));
                let sums = watched(&mut signals, sums).await?;
                let rows = sums.rows();
                first_rows = Some(std::sync::Arc::new(sums));
                (rows, None)
            }
            Some(first) => {
                let compared = compare(std::sync::Arc::clone(first), files);
                let (rows, comparison) = watched(&mut signals, compared).await?;
                (rows, Some(comparison))
            }
        };
        measured.push(Measured {
            contender,
            trials: Vec::new(),
            rows,
            comparison,
            work: None,
        });
    }
    drop(first_traces);
    let count = measured.len();
    for round in 0..runs.get() as usize {
        let label = format!("Run {}/{runs}", round + 1);
        for turn in 0..count {
            let number = (round + turn) % count;
            let own_traces = traces(number)?;
            let one = &mut measured[number];
            let took = trial(&one.contender, &own_traces, &mut signals).await?;
            tell(shown, &label, &one.contender, &took);
            one.trials.push(took);
            if matches!(one.contender.kind, Kind::Mapfold(_)) {
                one.work = Work::read(&own_traces.stdout());
            }
        }
    }
    Ok(measured)
}

/// What is read from files, unless a signal comes first.
async fn watched<T: Send + 'static>(
    signals: &mut Signals,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    tokio::select! {
        done = spawn_blocking(work) => match done {
            Ok(done) => done.map_err(|error| Problem::new(Exit::Input, "cannot read rows").because(&error)),
            Err(_) => Err(Problem::bug()),
        },
        caught = signals.next() => Err(Problem::silent(caught.exit())),
    }
}

fn tell(shown: &Shown, label: &str, contender: &Contender, took: &Trial) {
    if shown.quiet {
        return;
    }
    let label = shown.paint.good(&format!("{label:>10}"));
    say(&format!(
        "{label} {:16} {}\n",
        contender.name,
        show(took.wall)
    ));
}

fn no_traces(error: &io::Error) -> Problem {
    Problem::new(Exit::for_writing(error), "cannot make temporary files").because(error)
}

fn no_rows(contender: &Contender, error: &io::Error) -> Problem {
    let what = format!("`{}` made no rows to read", contender.typed);
    Problem::new(Exit::JobFailed, what)
        .because(error)
        .hint("{out} stands for a file or folder that the command makes")
}

/// The first contender whose rows differ, as a problem.
pub(crate) fn check_rows(measured: &[Measured]) -> Result<(), Problem> {
    for one in measured {
        let Some(Comparison::Differ(difference)) = &one.comparison else {
            continue;
        };
        let (first, other) = (&measured[0].contender.name, &one.contender.name);
        let what = format!("the rows of {other} are not those of {first}");
        let mut problem = Problem::new(Exit::Differs, what);
        for (who, rows) in [(first, &difference.missing), (other, &difference.extra)] {
            for row in rows {
                problem = problem.cause(format!("only in {who}: {row}"));
            }
        }
        return Err(problem.hint("times of programs that do not do the same prove nothing"));
    }
    Ok(())
}
