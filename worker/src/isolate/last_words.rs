//! What the process of an attempt said last on stderr: a few lines, and a stack apart from them, which is long and hides the reason that stands before it.

use std::collections::VecDeque;

/// Lines that are kept, and bytes of a stack.
const LINES_MAX: usize = 8;
const STACK_MAX: usize = 16 << 10;

#[derive(Clone, Debug, Default)]
pub(super) struct LastWords {
    lines: VecDeque<String>,
    stack: String,
    /// Whether the line before was of a stack.
    in_stack: bool,
}

impl LastWords {
    /// Adds a line, or what of it comes later (`continued`) where it is too long to be read at once.
    pub(super) fn add(&mut self, line: &str, continued: bool) {
        if line == "stack backtrace:" {
            self.in_stack = true;
            self.stack.clear();
            return;
        }
        if self.in_stack && (continued || line.starts_with(' ')) {
            if !continued && self.stack.len() + line.len() < STACK_MAX {
                self.stack.push_str(line);
                self.stack.push('\n');
            }
            return;
        }
        let note = self.in_stack && line.starts_with("note: ");
        self.in_stack = false;
        if line.is_empty() || note {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// The last lines that are of no stack.
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// The last stack, if there was one.
    pub(super) fn into_stack(self) -> Option<String> {
        (!self.stack.is_empty()).then_some(self.stack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[&str], lines: &[&str], stack: Option<&str>) {
        let mut words = LastWords::default();
        for line in said {
            words.add(line, false);
        }
        assert_eq!(words.lines().collect::<Vec<_>>(), lines);
        assert_eq!(words.into_stack().as_deref(), stack);
    }

    #[test]
    fn a_stack_is_kept_apart_from_the_reason() {
        let frames: Vec<String> = (0..30).map(|n| format!("  {n:2}: called")).collect();
        let panic = [
            "thread 'attempt' panicked at job.rs:7:1:",
            "not here",
            "stack backtrace:",
        ];
        let note = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.";
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let said = [&panic[..], &frames, &[note]].concat();
        let stack = frames.join("\n") + "\n";
        check(&said, &panic[..2], Some(&stack));
        check(&[], &[], None);
        check(
            &["  of no stack", "", "note: this"],
            &["  of no stack", "note: this"],
            None,
        );
    }

    #[test]
    fn a_stack_that_breaks_off_ends_where_the_next_line_begins() {
        check(
            &[
                "memory allocation of 9 bytes failed",
                "stack backtrace:",
                "   0: called",
                "memory allocation of 1 bytes failed",
            ],
            &[
                "memory allocation of 9 bytes failed",
                "memory allocation of 1 bytes failed",
            ],
            Some("   0: called\n"),
        );
    }

    #[test]
    fn the_last_lines_are_kept_and_frames_that_are_cut_are_no_lines() {
        let said: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        check(&said, &said[12..], None);
        let mut words = LastWords::default();
        for (line, continued) in [
            ("stack backtrace:", false),
            ("  0: call<", false),
            ("ed>", true),
        ] {
            words.add(line, continued);
        }
        assert_eq!(words.lines().len(), 0);
        assert_eq!(words.into_stack().as_deref(), Some("  0: call<\n"));
    }
}
