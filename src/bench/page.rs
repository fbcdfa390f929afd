//! What was measured, as one page without scripts or anything from elsewhere, to be mailed or published.

use super::Findings;
use super::chart::{Bar, Chart};
use super::contender::Kind;
use super::race::Measured;
use super::rows::Comparison;
use super::summary::Summary;
use super::table::{bytes, ratio, rows, seconds, work_line};
use super::trial::Trial;
use crate::count::counted;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn page(findings: &Findings<'_>) -> String {
    let title = format!("mapfold bench {}", findings.args.job);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p>{} in {}; {} each after one to warm up, in rounds of rotating order. Bars are medians, dots \
         single runs; shorter is better.</p>\n<p>{}</p>\n<p class=\"verdict\">{}</p>\n<p{}>{}</p>\n",
        findings.bytes,
        counted(findings.files, "file"),
        counted(findings.args.runs.get(), "run"),
        escape(&findings.machine.line()),
        escape(&findings.verdict()),
        match findings.differ() {
            true => " class=\"bad\"",
            false => "",
        },
        escape(&findings.rows_line()),
        title = escape(&title),
    );
    page += &charts(findings);
    page += &figures(findings);
    if let Some(work) = findings.measured.iter().find_map(|one| one.work.as_ref()) {
        page += &format!("<p>mapfold: {}</p>\n", escape(&work_line(work)));
    }
    page += "<h2>Commands</h2>\n";
    for one in &findings.measured {
        page += &format!(
            "<p>{}</p>\n<pre>{}</pre>\n",
            escape(&one.contender.name),
            escape(&one.contender.typed)
        );
    }
    page += "</body>\n</html>\n";
    page
}

fn charts(findings: &Findings<'_>) -> String {
    let fastest = findings.fastest();
    let wall = |one: &Measured| {
        let median = one.wall().median;
        format!("{}, {}", seconds(median), ratio(median / fastest))
    };
    let simple =
        |of: fn(&Measured) -> Summary| move |one: &Measured| vec![(of(one).median, "first")];
    let cpu = |one: &Measured| {
        vec![
            (one.user().median, "first"),
            (one.system().median, "second"),
        ]
    };
    #[expect(clippy::cast_precision_loss, reason = "it is drawn")]
    let memory = |trial: &Trial| trial.peak_memory.bytes() as f64;
    [
        chart(
            findings,
            "Wall time",
            &simple(Measured::wall),
            &|trial| trial.wall.as_secs_f64(),
            &wall,
        ),
        chart(
            findings,
            "CPU time: in the program, and in the kernel (pale)",
            &cpu,
            &|trial| trial.cpu().as_secs_f64(),
            &|one| seconds(one.cpu().median),
        ),
        chart(
            findings,
            "Peak memory of the largest process",
            &simple(Measured::peak_memory),
            &memory,
            &|one| bytes(one.peak_memory().median).to_string(),
        ),
    ]
    .concat()
}

/// One measure: the parts of a bar, the value of a run, what stands behind the bar.
fn chart(
    findings: &Findings<'_>,
    title: &str,
    parts: &dyn Fn(&Measured) -> Vec<(f64, &'static str)>,
    dot: &dyn Fn(&Trial) -> f64,
    label: &dyn Fn(&Measured) -> String,
) -> String {
    let bars = findings.measured.iter().map(|one| Bar {
        name: &one.contender.name,
        parts: parts(one),
        dots: one.trials.iter().map(dot).collect(),
        label: label(one),
        own: matches!(one.contender.kind, Kind::Mapfold(_)),
    });
    Chart {
        title,
        bars: bars.collect(),
    }
    .svg()
}

fn figures(findings: &Findings<'_>) -> String {
    let mut table = "<div class=\"wide\"><table>\n<tr><th></th><th>wall</th><th>min</th><th>max</th><th>MAD</th>\
                     <th>ratio</th><th>user</th><th>system</th><th>memory</th><th>rows</th></tr>\n"
        .to_owned();
    let fastest = findings.fastest();
    for one in &findings.measured {
        let wall = one.wall();
        let cells = [
            seconds(wall.median),
            seconds(wall.min),
            seconds(wall.max),
            seconds(wall.mad),
            ratio(wall.median / fastest),
            seconds(one.user().median),
            seconds(one.system().median),
            bytes(one.peak_memory().median).to_string(),
        ];
        let bad = match one.comparison {
            Some(Comparison::Differ(_)) => " class=\"bad\"",
            _ => "",
        };
        table += &format!(
            "<tr><td>{}</td><td>{}</td><td{bad}>{}</td></tr>\n",
            escape(&one.contender.name),
            cells.join("</td><td>"),
            escape(&rows(one)),
        );
    }
    table + "</table></div>\n"
}

/// Text for between tags and within quotes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
