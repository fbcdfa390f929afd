//! What a master must not forget, as records and their bytes.
//!
//! | module | holds |
//! | --- | --- |
//! | [`Record`] | what is recorded, and what each record means |
//! | `layout` | how its fields are laid out |
//! | [`Writer`], [`read`] | how records follow one another in a file, and how damage shows |
//! | [`compact`] | which records a new file needs |
//!
//! The crate opens no file and knows no clock, so that the scheduler, which must not do I/O, can be made from
//! records, and a simulation can tear and lose bytes as a disk does. The master's own `journal` module holds the
//! file.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod compact;
mod layout;
mod log;
mod record;
#[cfg(test)]
mod samples;

pub use compact::compact;
pub use log::{Damage, RECORD_MAX, Writer, read};
pub use record::{Planned, Record};
