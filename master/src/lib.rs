//! x
#![forbid(unsafe_code)]
mod commit;
mod files;
mod staging;
