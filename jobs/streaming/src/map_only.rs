//! The job without reduce tasks: what the mapper prints are rows.

use mapfold_job::{Block, Emitter, Job, JobError, Record, map_only};

use crate::job::{Streaming, StreamingParams, count, to_feed};
use crate::running::{Out, Running};

/// A job whose map is a program, and that has no reduce.
#[derive(Debug)]
pub struct StreamingMap(Streaming);

impl Job for StreamingMap {
    map_only!();
    type Params = StreamingParams;

    const NAME: &'static str = "streaming-map";
    const SUMMARY: &'static str = "run a program as map, without a reduce (see `mapfold stream`)";
    /// Programs ask which file they read (`mapreduce_map_input_file`), and some say something of an empty one.
    const SPLIT_PER_FILE: bool = true;

    fn new(params: StreamingParams) -> Result<Self, JobError> {
        Streaming::new(params).map(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.feed(&[record.bytes, b"\n"].concat(), out)
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.feed(&to_feed(block)?, out)
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut running: Running = out.take_state();
        running.start(self.0.mapper())?;
        running.finish(self.0.manners(), &mut self.out(out))
    }
}

impl StreamingMap {
    fn feed(&self, bytes: &[u8], out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut running = std::mem::take(out.state::<Running>());
        running.start(self.0.mapper())?;
        running.feed(bytes, self.0.manners(), &mut self.out(out))?;
        *out.state() = running;
        Ok(())
    }

    fn out<'a, 'e>(&'a self, out: &'a mut Emitter<'e, Self>) -> RowsOut<'a, 'e> {
        RowsOut { job: &self.0, out }
    }
}

struct RowsOut<'a, 'e> {
    job: &'a Streaming,
    out: &'a mut Emitter<'e, StreamingMap>,
}

impl Out for RowsOut<'_, '_> {
    fn line(&mut self, line: &[u8]) {
        let (key, value) = self.job.map_output().split(line);
        self.out.rows().row(key, value);
    }

    fn count(&mut self, group: &str, name: &str, amount: i64) {
        count(group, name, amount, |name, n| self.out.count(name, n));
    }

    fn stopped(&self) -> bool {
        self.out.cancelled()
    }
}
