//! A look into a plugin by a child that does nothing else.

use std::io;
use std::time::{Duration, Instant};

use mapfold_terms::{Failure, roughly};

use super::IsolateSettings;
use super::child::{Heard, SlotChild, Stacks, told_end};
use super::message::{News, SlotAsk};
use crate::plugin::{PluginFile, Probed, TryJob};

/// What came of it.
pub(crate) enum Looked {
    /// It has looked.
    Probed(Box<Result<Probed, Box<Failure>>>),
    /// It has ended, or was killed when the time was over: how, and its last words.
    Ended(String),
}

/// Has a child look into a plugin, within a time.
pub(crate) fn look_in_a_child(
    settings: &IsolateSettings,
    file: PluginFile,
    attempt: Option<TryJob>,
    within: Duration,
) -> io::Result<Looked> {
    let mut child = SlotChild::start(settings, Stacks::No)?;
    let began = Instant::now();
    child.ask(&SlotAsk::Probe { file, attempt })?;
    loop {
        match child.hear() {
            Heard::News(News::Probed(probed)) => return Ok(Looked::Probed(probed)),
            Heard::Ended => {
                let (status, words) = child.post_mortem();
                let words = words.lines().map(|line| format!(": {line}"));
                let words: String = words.collect();
                let how = format!("ended its process, which {}{words}", told_end(status));
                return Ok(Looked::Ended(how));
            }
            _ if began.elapsed() >= within => {
                let how = format!("was not done within {}", roughly(within));
                return Ok(Looked::Ended(how));
            }
            Heard::News(_) | Heard::Nothing => {}
        }
    }
}
