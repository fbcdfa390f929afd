//! How a command line is cut into arguments: by Hadoop's rules, which are no shell's.
//!
//! Only the space separates. `'` and `"` quote until the next of their kind, and each of them ends an argument where it stands, so `f'g h'i`
//! is three. Empty arguments vanish, and a backslash is a backslash. Scripts rely on this: whoever wants a shell says `sh -c '...'`.

/// The arguments of a command line, the program first.
pub fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut argument = String::new();
    let mut quote = None;
    for char in line.chars() {
        let ends = match (quote, char) {
            (None, '\'' | '"') => {
                quote = Some(char);
                true
            }
            (Some(open), close) if open == close => {
                quote = None;
                true
            }
            (None, ' ') => true,
            _ => false,
        };
        match ends {
            true if argument.is_empty() => {}
            true => arguments.push(std::mem::take(&mut argument)),
            false => argument.push(char),
        }
    }
    if !argument.is_empty() {
        arguments.push(argument);
    }
    arguments
}

/// Whether a shell would see other arguments: a quote stands within a word, which it ends here, and vanishes.
pub fn has_quotes_within(line: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match quote {
            None if matches!(char, '\'' | '"') => {
                if before != ' ' {
                    return true;
                }
                quote = Some(char);
            }
            Some(open) if open == char => {
                if chars.peek().is_some_and(|after| *after != ' ') {
                    return true;
                }
                quote = None;
            }
            _ => {}
        }
        before = char;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: &[&str]) {
        assert_eq!(split(line), want, "{line}");
    }

    #[test]
    fn quotes_end_arguments_and_backslashes_are_letters() {
        check("", &[]);
        check("  cat   -n ", &["cat", "-n"]);
        check("f'g h'i", &["f", "g h", "i"]);
        check(r"'it'\''s'", &["it", r"\", "s"]);
        check(r#"awk "{ print 'x' }" ''"#, &["awk", "{ print 'x' }"]);
        check("sh -c 'a | b > c'", &["sh", "-c", "a | b > c"]);
        check("a\tb\nc", &["a\tb\nc"]);
        check("open 'to the end", &["open", "to the end"]);
    }

    #[test]
    fn quotes_within_words_are_seen() {
        for line in [
            "awk {print\"x\"}",
            "awk {print \"x\"}",
            r"'it'\''s'",
            "grep --color='no'",
        ] {
            assert!(has_quotes_within(line), "{line}");
        }
        for line in [
            "cat",
            "awk '{ print \"x\" }' f",
            "sh -c \"it's\"",
            "open 'end",
        ] {
            assert!(!has_quotes_within(line), "{line}");
        }
    }
}
