//! `-test`: the exit code is the answer.

use std::fs;

use rustix::fs::Access;

use super::{Call, Done, Outcome};

pub(super) fn test(call: &Call<'_>) -> Outcome {
    let typed = call.arguments.paths.first().map_or("", String::as_str);
    let located = call.uris.locate(typed)?;
    let path = &located.path;
    let metadata = fs::metadata(path).ok();
    let there = metadata.as_ref();
    let may = |access| rustix::fs::access(path, access).is_ok();
    let asked = [
        ("e", there.is_some()),
        ("d", there.is_some_and(fs::Metadata::is_dir)),
        ("f", there.is_some_and(fs::Metadata::is_file)),
        ("s", there.is_some_and(|it| it.is_dir() || it.len() > 0)),
        ("z", there.is_some_and(|it| it.is_file() && it.len() == 0)),
        ("r", may(Access::READ_OK)),
        ("w", may(Access::WRITE_OK)),
    ];
    let failed = asked.iter().any(|(flag, holds)| call.has(flag) && !holds);
    Ok(Done { failed })
}
