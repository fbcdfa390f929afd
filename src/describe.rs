//! `mapfold describe`: what a job does, what its rows hold, which parameters it takes.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use mapfold_job::Catalog;
use mapfold_terms::{Format, JobInfo, ParamInfo};

use crate::args::JobArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::job::unknown_job;
use crate::plugin;

pub(crate) fn describe(catalog: &Arc<dyn Catalog>, job: &JobArgs) -> Result<Exit, Problem> {
    let found = plugin::find(job, catalog)?;
    let Some(info) = found.catalog.info(&found.name) else {
        let jobs = found.catalog.list();
        return Err(unknown_job(
            &found.name,
            jobs.iter().map(|info| info.name.as_str()),
        ));
    };
    let info = JobInfo {
        name: plugin::plain(&info.name).to_owned(),
        ..info
    };
    io::stdout()
        .write_all(text(&info, job).as_bytes())
        .map_err(|error| Problem::stdout(&error))?;
    Ok(Exit::Done)
}

fn text(info: &JobInfo, typed: &JobArgs) -> String {
    let mut text = format!("{}: {}\n", info.name, info.summary);
    if !info.help.trim().is_empty() {
        for paragraph in info.help.trim().split("\n\n") {
            let _ = write!(text, "\n{}\n", wrapped(paragraph));
        }
    }
    if !info.inputs.is_empty() {
        let _ = write!(text, "\nInputs: {}\n", info.inputs.join(", "));
    }
    if let Some(param) = &info.refines {
        let _ = write!(
            text,
            "\nRounds: with --times N, the rows of each are `{param}` of the next\n"
        );
    }
    if !info.input_formats.is_empty() {
        let formats = info.inputs.iter().zip(&info.input_formats);
        let formats = formats.map(|(input, format)| format!("{input}={format}"));
        let formats = formats.collect::<Vec<_>>().join(", ");
        let _ = write!(text, "\nFormat: {formats}\n");
    } else if info.format != Format::default() {
        let _ = write!(text, "\nFormat: {}\n", info.format);
    }
    let rows = match info.value.as_str() {
        "" => info.key.clone(),
        value => format!("{} TAB {value}", info.key),
    };
    if info.map_only {
        text +=
            "\nRows: as `map` writes them, in the order of the input; there are no reduce tasks\n";
    } else {
        let _ = write!(text, "\nRows: {rows}\n");
    }
    let folds = if info.folds {
        "yes, values are combined before the shuffle"
    } else {
        "no"
    };
    let order = if info.total_order {
        "Order: part files follow each other in order of key\n"
    } else {
        ""
    };
    if !info.map_only {
        let _ = write!(text, "Combiner: {folds}\n{order}");
    }
    text += "\nParameters (-p KEY=VALUE):\n";
    if info.params.is_empty() {
        text += "  none\n";
    }
    let names: Vec<String> = info
        .params
        .iter()
        .map(|param| format!("{}={}", param.name, param.kind))
        .collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (name, param) in names.iter().zip(&info.params) {
        let _ = writeln!(text, "  {name:width$}  {}", about_param(param));
    }
    let _ = write!(text, "\nExample:\n  {}\n", example(info, typed));
    text
}

pub(crate) fn about_param(param: &ParamInfo) -> String {
    match &param.default {
        None => format!("{} [required]", param.help),
        Some(default) if default.is_empty() => param.help.clone(),
        Some(default) => format!("{} [default: {default}]", param.help),
    }
}

/// A paragraph in lines that fit a terminal.
fn wrapped(paragraph: &str) -> String {
    const WIDTH: usize = 80;
    let mut text = String::new();
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > WIDTH {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += len;
    }
    text
}

/// A command with what must be given.
fn example(info: &JobInfo, typed: &JobArgs) -> String {
    let required = info.params.iter().filter(|param| param.default.is_none());
    let command = required.fold(format!("mapfold run {typed}"), |command, param| {
        format!("{command} -p {}={}", param.name, param.kind.to_uppercase())
    });
    let inputs = match info.inputs.as_slice() {
        [] => "INPUT...".to_owned(),
        names => names.join("=PATH ") + "=PATH",
    };
    format!("{command} {inputs} -o DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_rows_parameters_and_an_example() {
        let info = JobInfo {
            name: "grep".to_owned(),
            summary: "finds lines".to_owned(),
            help: "A row for each line that matches.\n".to_owned(),
            params: vec![
                ParamInfo {
                    name: "ignore_case".to_owned(),
                    kind: "bool".to_owned(),
                    default: Some("false".to_owned()),
                    help: "ignore case".to_owned(),
                },
                ParamInfo {
                    name: "pattern".to_owned(),
                    kind: "text".to_owned(),
                    default: None,
                    help: "what to find".to_owned(),
                },
            ],
            key: "(text, u64)".to_owned(),
            value: "bytes".to_owned(),
            format: Format::Lines,
            inputs: Vec::new(),
            input_formats: Vec::new(),
            refines: None,
            folds: false,
            total_order: false,
            map_only: false,
            split_per_file: false,
        };
        let typed = JobArgs {
            named: "grep".to_owned(),
            of_plugin: None,
        };
        assert_eq!(
            text(&info, &typed),
            "\
grep: finds lines

A row for each line that matches.

Rows: (text, u64) TAB bytes
Combiner: no

Parameters (-p KEY=VALUE):
  ignore_case=bool  ignore case [default: false]
  pattern=text      what to find [required]

Example:
  mapfold run grep -p pattern=TEXT INPUT... -o DIR
"
        );
        let join = JobInfo {
            inputs: ["users", "orders"].map(str::to_owned).into(),
            params: Vec::new(),
            format: Format::CSV,
            ..info
        };
        let each = JobInfo {
            input_formats: vec![Format::Lines, Format::CSV],
            ..join.clone()
        };
        let described = text(&each, &typed);
        let formats = "\nFormat: users=lines, orders=csv\n";
        assert!(described.contains(formats), "{described}");
        let text = text(&join, &typed);
        assert!(text.contains("\nInputs: users, orders\n"), "{text}");
        assert!(text.contains("\nFormat: csv\n"), "{text}");
        assert!(
            text.contains("mapfold run grep users=PATH orders=PATH -o DIR"),
            "{text}"
        );
    }
}
