//! "Did you mean": the known names that a mistyped one resembles.

/// The known names most like `typed`, best first, at most three.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    /// Below this, a suggestion is noise (clap uses the same measure and nearly the same bound).
    const LIKENESS_MIN: f64 = 0.72;
    let folded = fold(typed);
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&folded, &fold(name)), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// `did you mean \`wordcount\`?`, or nothing.
pub(crate) fn did_you_mean<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let names: Vec<String> = nearest(typed, known)
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    match names.as_slice() {
        [] => None,
        [init @ .., last] if !init.is_empty() => {
            Some(format!("did you mean {} or {last}?", init.join(", ")))
        }
        [only, ..] => Some(format!("did you mean {only}?")),
    }
}

/// How many letters are wrong, missing, too many or in each other's place. For long names that have much in common anyway.
pub(crate) fn slips(typed: &str, known: &str) -> usize {
    strsim::osa_distance(&fold(typed), &fold(known))
}

/// People mix up case, `-` and `_`, or leave them out.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name() {
        let known = ["wordcount", "grep", "index", "linecount"];
        for (typed, want) in [
            ("word-count", Some("wordcount")),
            ("WordCount", Some("wordcount")),
            ("wordcuont", Some("wordcount")),
            ("wc", Some("wordcount")),
            ("gerp", Some("grep")),
            ("indx", Some("index")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(typed, known).first().copied(), want, "{typed}");
        }
    }

    #[test]
    fn suggestions_read_as_a_question() {
        assert_eq!(
            did_you_mean("lowercas", ["lowercase"]).as_deref(),
            Some("did you mean `lowercase`?")
        );
        assert_eq!(
            did_you_mean("count", ["counta", "countb"]).as_deref(),
            Some("did you mean `counta` or `countb`?")
        );
        assert_eq!(did_you_mean("x", ["lowercase"]), None);
    }
}
