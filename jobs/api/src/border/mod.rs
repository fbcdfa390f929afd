//! How [`Runner`](crate::Runner) is carried to where the job's code is: into a plugin, or into a process of its own.
//!
//! ```text
//! engine: Runner --Ask--> [ plugin: a C function ] --> answer --> the job's own Runner
//!                         [ child: a socket      ]
//!               <--Told--
//! ```
//! A task crosses as one message of JSON, and so does what came of it; large data stays where it is and crosses as the name of
//! a file, or as a pointer whose owner goes with it ([`Lent`](abi::Lent)). Messages are named fields, so a field can be added without a new version:
//! who does not know it skips it. `docs/decisions/plugins.md` has the reasons.
//!
//! For engines. Authors of jobs need none of it but [`plugin!`](crate::plugin).

pub mod abi;
mod about;
mod answer;
mod export;
mod message;

pub use about::{About, Formats};
pub use answer::{Answered, answer};
pub use export::{Jobs, table};
pub use message::{Ask, AskReduce, Input, InputAt, MakeJob, RunAt, Told};

pub use crate::notes::AtHand;
pub use crate::shown_key::shown_key;
