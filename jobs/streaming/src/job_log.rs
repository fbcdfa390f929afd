//! The job log: how the program of each map task has ended, a row a task.

use std::time::{Instant, SystemTime};

use mapfold_job::Attempt;

use crate::lines;
use crate::program::Ending;

/// The output of a job that its job log is.
pub const NAME: &str = "job-log";

/// What the columns of a row are. TABs, line ends and backslashes in a column are written `\t`, `\n`, `\r` and `\\`.
pub const COLUMNS: [&str; 10] = [
    "Task", "Try", "Host", "Start", "Seconds", "Code", "Input", "Offset", "Command", "Stderr",
];

/// Bytes that are kept of the first line.
const LINE_MAX: usize = 4096;

/// What is known of a task before its program has ended.
#[derive(Debug)]
pub(crate) struct Noted {
    began_at: SystemTime,
    began: Instant,
    /// What the program is fed first; of a task for each line of a list, that line.
    line: Option<Vec<u8>>,
}

impl Default for Noted {
    fn default() -> Self {
        Self {
            began_at: SystemTime::now(),
            began: Instant::now(),
            line: None,
        }
    }
}

impl Noted {
    /// Looks at what the program is about to be fed.
    pub(crate) fn see(&mut self, block: &[u8]) {
        if self.line.is_none() && !block.is_empty() {
            let (line, _) = lines::first(block);
            self.line = Some(line[..line.len().min(LINE_MAX)].to_vec());
        }
    }

    /// The row of a task whose program has ended.
    pub(crate) fn row(&self, attempt: &Attempt<'_>, ending: &Ending) -> Vec<u8> {
        let id = attempt.id();
        let piece = attempt.split().and_then(|split| split.pieces.first());
        let start = self.began_at.duration_since(SystemTime::UNIX_EPOCH);
        let host = rustix::system::uname();
        let name = |name: &mapfold_job::InputFile| name.name.as_bytes().to_vec();
        let columns: [Vec<u8>; COLUMNS.len()] = [
            // As people count.
            (u64::from(id.task.index) + 1).to_string().into(),
            id.number.to_string().into(),
            host.nodename().to_bytes().to_vec(),
            format!("{:.3}", start.unwrap_or_default().as_secs_f64()).into(),
            format!("{:.3}", self.began.elapsed().as_secs_f64()).into(),
            ending.code.to_string().into(),
            piece.map(|piece| name(&piece.file)).unwrap_or_default(),
            piece
                .map(|piece| piece.start.to_string())
                .unwrap_or_default()
                .into(),
            self.line.clone().unwrap_or_default(),
            ending.last_words.join("\n").into(),
        ];
        let mut row = Vec::new();
        for (number, column) in columns.iter().enumerate() {
            if number > 0 {
                row.push(b'\t');
            }
            escape(column, &mut row);
        }
        row
    }
}

fn escape(column: &[u8], row: &mut Vec<u8>) {
    for byte in column {
        match byte {
            b'\t' => row.extend_from_slice(b"\\t"),
            b'\n' => row.extend_from_slice(b"\\n"),
            b'\r' => row.extend_from_slice(b"\\r"),
            b'\\' => row.extend_from_slice(b"\\\\"),
            _ => row.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_holds_no_end_of_columns_or_rows() {
        let mut row = Vec::new();
        escape(b"a\tb\nc\r\\n \xff", &mut row);
        assert_eq!(row, b"a\\tb\\nc\\r\\\\n \xff");
    }

    #[test]
    fn the_first_line_is_kept() {
        let mut noted = Noted::default();
        for block in ["", "one\ntwo\n", "three\n"] {
            noted.see(block.as_bytes());
        }
        assert_eq!(noted.line.as_deref(), Some(&b"one"[..]));
    }
}
