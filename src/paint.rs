//! Colour on stderr: whether, and which.

use std::env;
use std::io::IsTerminal;

use crate::args::ColorChoice;

/// How text for stderr is painted. Results on stdout never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Ansi,
}

impl Paint {
    /// `NO_COLOR` (not empty) wins over everything; then the option; then `CLICOLOR_FORCE`; then
    /// whether stderr is a terminal that can.
    pub(crate) fn choose(choice: ColorChoice) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let forced =
            set("CLICOLOR_FORCE") && env::var_os("CLICOLOR_FORCE").is_none_or(|value| value != "0");
        let ansi = match choice {
            _ if set("NO_COLOR") => false,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => forced || (std::io::stderr().is_terminal() && !dumb),
        };
        if ansi { Self::Ansi } else { Self::Plain }
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    pub(crate) fn label(self, text: &str) -> String {
        self.wrap("1;36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}
