//! A job that does what no engine can catch: aborts, loops for ever, eats all memory, overflows its stack.

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

use lab::Trace;

params! {
    /// Parameters of `lab-rogue`.
    pub struct RogueParams {
        /// What it does at the word `here`: abort, exit, segv, loop, hog, recurse, print; with -combine, -reduce or -finish behind it: there, or at the end of a
        /// reduce attempt, and not in `map`.
        pub does: String,
        /// Folder for signs; each deed leaves one.
        pub trace: String,
        /// Deeds in all, after which it behaves.
        pub most: u64 = 1_000_000,
    }
}

/// Counts words.
pub(crate) struct Rogue {
    params: RogueParams,
    trace: Trace,
}

impl Job for Rogue {
    type Params = RogueParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "lab-rogue";
    const SUMMARY: &'static str = "word count that harms its process";
    const FOLD: Option<Fold<Self>> = Some(|job, word, sum, n| {
        if word == b"here" {
            job.harm("-combine");
        }
        *sum += n;
    });

    fn new(params: RogueParams) -> Result<Self, JobError> {
        Ok(Self {
            trace: Trace::new(&params.trace),
            params,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if record.bytes == b"no words" {
            return Err("a record that it does not like".into());
        }
        for word in record.bytes.split(|byte| *byte == b' ') {
            if word == b"here" && (self.trace.count("deed")? as u64) < self.params.most {
                self.trace.leave("deed")?;
                self.harm("");
            }
            out.emit(word, 1);
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if word == b"here" {
            self.harm("-reduce");
        }
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }

    fn finish_reduce(&self, _: &mut Rows<'_>) -> Result<(), JobError> {
        self.harm("-finish");
        Ok(())
    }
}

impl Rogue {
    /// Does it, if it is to be done here.
    fn harm(&self, at: &str) {
        match self.params.does.strip_suffix(at).unwrap_or_default() {
            "abort" => std::process::abort(),
            "exit" => std::process::exit(3),
            // The first is taken for an overflow of the stack, looked at, and let pass.
            "segv" => loop {
                let own = rustix::process::getpid();
                let _ = rustix::process::kill_process(own, rustix::process::Signal::SEGV);
            },
            "loop" => stay(),
            "hog" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(vec![1; 16 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "recurse" => {
                std::hint::black_box(deep(1));
            }
            "print" => {
                for line in 0..200_000 {
                    eprintln!("a line that nobody asked for, {line}");
                }
                std::process::abort();
            }
            _ => {}
        }
    }
}

/// Never comes back.
fn stay() {
    loop {
        std::thread::yield_now();
    }
}

/// Recurses without end.
fn deep(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    match frame[0] {
        u64::MAX => 0,
        n => deep(n + 1).wrapping_add(frame[63]),
    }
}
