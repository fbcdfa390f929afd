//! `mapfold plugin check`: what is inside a plugin.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use mapfold_job::border::abi::{MAJOR, MINOR};
use mapfold_terms::ByteSize;
use mapfold_worker::Probed;

use crate::crate_build;
use crate::describe::about_param;
use crate::error::Problem;
use crate::exit::Exit;
use crate::plugin::probe;

pub(crate) fn check(file: &Path) -> Result<Exit, Problem> {
    let probed = match crate_build::is_source(file) {
        true => probe(&crate_build::built(file)?, None)?,
        false => probe(file, None)?,
    };
    io::stdout()
        .write_all(text(&probed).as_bytes())
        .map_err(|error| Problem::stdout(&error))?;
    Ok(Exit::Done)
}

fn text(probed: &Probed) -> String {
    let Probed { file, about, .. } = probed;
    let panics = match about.panic_unwinds {
        true => "panics are caught",
        false => "a panic ends its process (panic=abort): runs with --isolate only",
    };
    let debug = match about.debug_assertions {
        true => ", debug assertions",
        false => "",
    };
    let formats = about.formats.iter();
    let formats: Vec<String> = formats
        .map(|(format, version)| format!("{format} {version}"))
        .collect();
    let mut text = format!(
        "\
{}
  identity   {}
  size       {}
  interface  {MAJOR}.{MINOR}, as this Mapfold's
  formats    {}
  api        mapfold-job {}
  built by   {}
  built for  {}, opt-level {}{debug}
  panics     {panics}

Jobs:
",
        file.path.display(),
        file.id,
        ByteSize(file.bytes),
        formats.join(", "),
        about.api,
        about.rustc,
        about.target,
        about.opt_level,
    );
    for job in &probed.jobs {
        let _ = writeln!(text, "  {}: {}", job.name, job.summary);
        for param in &job.params {
            let _ = writeln!(
                text,
                "    -p {}={}  {}",
                param.name,
                param.kind,
                about_param(param)
            );
        }
    }
    text
}
