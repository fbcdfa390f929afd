//! What a program tells on its stderr: `reporter:counter:GROUP,NAME,AMOUNT` and `reporter:status:TEXT`.

/// The prefix, unless the job has another.
pub(crate) const PREFIX: &str = "reporter:";

/// What a line of stderr is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// Adds to a counter.
    Counter {
        /// Its group, with spaces as they were typed.
        group: &'a str,
        /// Its name.
        name: &'a str,
        /// How much.
        amount: i64,
    },
    /// How it is going.
    Status(&'a str),
    /// Begins as a report does, and is none.
    NotUnderstood,
    /// For the log.
    Log,
}

/// Reads one line without its end. Whatever is not [`Said::Log`] counts as a sign of life.
pub(crate) fn read<'a>(prefix: &str, line: &'a str) -> Said<'a> {
    let line = line.trim_end_matches(['\r', '\n']);
    let Some(report) = line.strip_prefix(prefix) else {
        return Said::Log;
    };
    if let Some(counter) = report.strip_prefix("counter:") {
        return read_counter(counter).unwrap_or(Said::NotUnderstood);
    }
    match report.strip_prefix("status:") {
        Some(status) => Said::Status(status.trim()),
        None => Said::NotUnderstood,
    }
}

fn read_counter(text: &str) -> Option<Said<'_>> {
    let mut columns = text.trim().split(',');
    let (group, name, amount) = (columns.next()?, columns.next()?, columns.next()?);
    if columns.next().is_some() {
        return None;
    }
    Some(Said::Counter {
        group,
        name,
        amount: amount.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter<'a>(group: &'a str, name: &'a str, amount: i64) -> Said<'a> {
        Said::Counter {
            group,
            name,
            amount,
        }
    }

    #[test]
    fn counters_keep_their_inner_spaces() {
        let read = |line| read(PREFIX, line);
        assert_eq!(read("reporter:counter:g,c,5"), counter("g", "c", 5));
        assert_eq!(
            read("reporter:counter: My G , My C ,+3\r"),
            counter("My G ", " My C ", 3)
        );
        assert_eq!(read("reporter:counter:g,,-2"), counter("g", "", -2));
        for bad in [
            "g,c, 5",
            "g,c",
            "g,c,5,6",
            "g,c,x",
            "",
            "g,c,9223372036854775808",
        ] {
            let line = format!("reporter:counter:{bad}");
            assert_eq!(super::read(PREFIX, &line), Said::NotUnderstood, "{bad}");
        }
    }

    #[test]
    fn other_lines_are_statuses_or_for_the_log() {
        let read = |line| read(PREFIX, line);
        assert_eq!(read("reporter:status: half way "), Said::Status("half way"));
        assert_eq!(read("reporter:what"), Said::NotUnderstood);
        assert_eq!(read(" reporter:status:x"), Said::Log);
        assert_eq!(read("Traceback"), Said::Log);
        assert_eq!(super::read("r:", "r:status:x"), Said::Status("x"));
    }
}
