//! Records of 100 bytes to sort, laid out as those of Hadoop's first TeraGen: 10 random printable bytes as key,
//! the row number right-justified in 10, 78 of filler in runs of one capital, CR LF.
//!
//! Printable, so that the files are lines too, and no filler or key holds a line end. Row numbers wrap after 10^10 rows (1 TB).

use super::number;
use super::random::Random;
use super::records::Records;

/// Length of a record with its line end.
pub(super) const ROW_BYTES: u64 = 100;

/// Bytes that a key is made of.
const PRINTABLE: &[u8] = b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

/// Runs of capitals, each of 10 but the last.
const FILLER_RUNS: u64 = 8;
const FILLER_LAST: usize = 8;

/// Rows of one file.
pub(super) struct Rows {
    row: u64,
    random: Random,
}

impl Rows {
    /// `row` is the number of the first.
    pub(super) fn new(row: u64, random: Random) -> Self {
        Self { row, random }
    }
}

impl Records for Rows {
    fn append(&mut self, out: &mut Vec<u8>) {
        const ROWS_MAX: u64 = 10_000_000_000;
        let key = [(); 10].map(|()| self.random.pick(PRINTABLE));
        out.extend_from_slice(&key);
        number::append_padded::<10>(self.row % ROWS_MAX, b' ', out);
        for run in 0..FILLER_RUNS {
            let letter =
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[((self.row * FILLER_RUNS + run) % 26) as usize];
            out.extend_from_slice(&[letter; 10]);
        }
        out.truncate(out.len() - 10 + FILLER_LAST);
        out.extend_from_slice(b"\r\n");
        self.row += 1;
    }
}
