//! Synthetic inputs of any size: the same arguments give the same bytes on every machine, in every version.
//!
//! Real corpora are small or cannot be shipped, and a benchmark that nobody else can repeat proves little.
//! A data set is several files of [`FILE_BYTES`]; each depends on its seed and its index alone, so files
//! are made in parallel, and a larger set begins with the files of a smaller one (the last file aside). Nothing here
//! comes from a library that may change: generator and tables are ours, in integers (`powf` differs from one
//! machine to the next). Tests pin the bytes of each kind.
//!
//! | kind | records | like |
//! | --- | --- | --- |
//! | `zipf` | lines of 5 to 20 words out of 1,600,000 | the hard case of a word count |
//! | `text` | prose in paragraphs, 50,000 words, some letters beyond ASCII | a book |
//! | `tera` | 100 bytes: a random key of 10, row number, filler | TeraSort's input |
//! | `logs` | lines in combined log format | a web server's access log |

mod data_set;
mod logs;
mod number;
mod random;
mod ranks;
mod records;
mod tera;
mod text;
mod weighted;
mod words;
mod zipf;

pub use data_set::{DataSet, FILE_BYTES, Kind};
