//! A job without reduce tasks, with a named output: lines are cleaned, and what cannot be is put aside.

use mapfold_job::{Emitter, Job, JobError, NoParams, Record, map_only};

/// Rows of `level TAB message`, from lines of a level in any case, a colon and a message, in the order of the input. Other lines go to
/// the output `malformed` as they are.
pub struct Clean;

impl Job for Clean {
    map_only!();
    type Params = NoParams;
    const NAME: &'static str = "clean";
    const SUMMARY: &'static str = "log lines as rows, malformed ones aside";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let line = str::from_utf8(record.bytes)?;
        match line.split_once(':') {
            Some((level, message)) if level.chars().all(char::is_alphabetic) => {
                out.rows().row(level.to_lowercase(), message.trim());
            }
            _ => {
                out.count("malformed", 1);
                out.rows().to("malformed").record(line);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::Clean;

    #[test]
    fn rows_are_in_the_order_of_the_input_and_others_aside() {
        let log = "WARN: disk\nwhat?\nInfo:  up \n2: no level\nWARN: net\n";
        let tried = Trial::<Clean>::of(log).check().unwrap();
        assert_eq!(tried.rows(), ["warn\tdisk", "info\tup", "warn\tnet"]);
        assert_eq!(tried.rows_of("malformed"), ["what?", "2: no level"]);
        assert_eq!(tried.names().collect::<Vec<_>>(), ["malformed"]);
        assert_eq!(tried.counter("malformed"), 2);
        let cut = Trial::<Clean>::of(log).split_size(20).run().unwrap();
        assert!(cut.maps() > 1 && cut.parts().len() == cut.maps());
        assert_eq!(cut.rows(), tried.rows());
    }
}
