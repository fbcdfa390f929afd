//! Flags and paths of one `fs` command.

/// What was typed behind the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The command as it was typed, for messages.
    pub(super) command: String,
    flags: Vec<String>,
    pub(super) paths: Vec<String>,
}

/// Why arguments are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArgumentsError {
    #[error("Illegal option {0}")]
    Flag(String),
    #[error("Not enough arguments: expected {want} but got {got}")]
    TooFew { want: usize, got: usize },
}

impl Arguments {
    /// Flags end at the first word that is none, or at `--`.
    ///
    /// # Errors
    /// A flag that is not among `flags` or `valued`.
    pub(super) fn parse(
        command: &str,
        args: &[String],
        flags: &[&str],
        valued: &[&str],
    ) -> Result<Self, ArgumentsError> {
        let mut arguments = Self {
            command: command.to_owned(),
            ..Self::default()
        };
        let mut args = args.iter();
        for arg in args.by_ref() {
            if arg == "--" {
                break;
            }
            let Some(flag) = arg.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                arguments.paths.push(arg.clone());
                break;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if !flags.contains(&flag) && !valued.contains(&flag) {
                return Err(ArgumentsError::Flag(arg.clone()));
            }
            arguments.flags.push(flag.to_owned());
        }
        // A value stands where the first path would: it is not needed.
        if arguments.flags.iter().any(|flag| valued.contains(&&**flag)) {
            arguments.paths.clear();
        }
        arguments.paths.extend(args.cloned());
        Ok(arguments)
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The paths, or the working folder.
    pub(super) fn paths_or_here(&self) -> &[String] {
        const HERE: &[String] = &[String::new()];
        match self.paths.as_slice() {
            [] => HERE,
            paths => paths,
        }
    }

    /// All paths but the last, and that.
    pub(super) fn sources_and_target(&self) -> (&[String], &str) {
        match self.paths.split_last() {
            None => (&[], "."),
            Some((only, [])) => (std::slice::from_ref(only), "."),
            Some((last, sources)) => (sources, last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_before_paths() {
        let check = |line: &str, flags: &[&str], paths: &[&str]| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let arguments = Arguments::parse("x", &args, &["f", "skipTrash"], &["t"]).unwrap();
            assert_eq!(arguments.flags, flags, "{line}");
            assert_eq!(arguments.paths, paths, "{line}");
        };
        check("-f -skipTrash a b", &["f", "skipTrash"], &["a", "b"]);
        check("a -f", &[], &["a", "-f"]);
        check("-f -- -a", &["f"], &["-a"]);
        check("- b", &[], &["-", "b"]);
        check("-t 4 a b", &["t"], &["a", "b"]);
        check("", &[], &[]);
        let refused = Arguments::parse("x", &["-q".to_owned()], &[], &[]);
        assert_eq!(refused, Err(ArgumentsError::Flag("-q".to_owned())));
    }
}
