//! The job without reduce tasks: what the mapper prints are rows.

use mapfold_job::{Attempt, Block, Emitter, Format, Job, JobError, Record, map_only};

use crate::conf::Conf;
use crate::job_log::{self, Noted};
use crate::mapper::{Mapper, Mapping};
use crate::params::StreamingParams;
use crate::program::Ending;
use crate::row::RowForm;
use crate::running::Out;

/// A job whose map is a program, and that has no reduce.
#[derive(Debug)]
pub struct StreamingMap {
    mapper: Mapper,
    rows: RowForm,
    /// Whether it is noted how the program of each task has ended.
    has_log: bool,
}

/// What an attempt keeps.
#[derive(Default)]
struct Task {
    mapping: Mapping,
    noted: Noted,
}

impl Job for StreamingMap {
    map_only!();
    type Params = StreamingParams;

    const NAME: &'static str = "streaming-map";
    const SUMMARY: &'static str = "run a program as map, without a reduce (see `mapfold stream`)";
    /// Programs ask which file they read (`mapreduce_map_input_file`), and some say something of an empty one.
    const SPLIT_PER_FILE: bool = true;

    fn new(params: StreamingParams) -> Result<Self, JobError> {
        Self::of(&params.read()?)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let block = Block::new(record.file, record.offset, record.bytes, Format::Lines);
        self.map_block(&block, out)
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let Task {
            mut mapping,
            mut noted,
        } = std::mem::take(out.state());
        noted.see(block.bytes());
        self.mapper
            .map(&mut mapping, block, &mut self.out(&noted, out))?;
        *out.state() = Task { mapping, noted };
        Ok(())
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let Task { mapping, noted } = out.take_state();
        self.mapper.finish(mapping, &mut self.out(&noted, out))
    }
}

impl StreamingMap {
    /// The job that `conf` tells of, but for its reducer.
    ///
    /// # Errors
    /// An empty command; what cannot be fed.
    pub fn of(conf: &Conf) -> Result<Self, JobError> {
        let mapper = Mapper::of(conf)?;
        Ok(Self {
            rows: RowForm::new(&conf.row_separator, mapper.kinds()),
            mapper,
            has_log: conf.job_log.is_some(),
        })
    }

    fn out<'a, 'e>(&'a self, noted: &'a Noted, out: &'a mut Emitter<'e, Self>) -> RowsOut<'a, 'e> {
        RowsOut {
            job: self,
            noted,
            out,
        }
    }
}

struct RowsOut<'a, 'e> {
    job: &'a StreamingMap,
    noted: &'a Noted,
    out: &'a mut Emitter<'e, StreamingMap>,
}

impl Out for RowsOut<'_, '_> {
    fn pair(&mut self, _: &[u8], key: &[u8], value: &[u8]) -> Result<(), JobError> {
        self.job.rows.write(key, value, &mut self.out.rows());
        Ok(())
    }

    fn count(&mut self, group: &str, name: &str, amount: i64) {
        self.out.count_in(group, name, amount);
    }

    fn ended(&mut self, ending: &Ending) {
        if self.job.has_log {
            let row = self.noted.row(self.out.attempt(), ending);
            self.out.rows().to(job_log::NAME).record(&row[..]);
        }
    }

    fn attempt(&self) -> &Attempt<'_> {
        self.out.attempt()
    }
}
