//! Links and listeners together: what a caller sees when the other side is well, slow, gone, hostile
//! or another version. Regression tests for what tarpc alone does not survive.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod calls;
mod desk;
mod hostile;
mod renewal;
mod unix;
