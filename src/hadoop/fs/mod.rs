//! `hadoop fs`: files, of this machine and below the folder that `hdfs:///` stands for.
//!
//! What tools ask for, in Hadoop's form: lists, messages (`ls: `x': No such file or directory`) and exit codes. A command goes on with its other paths when
//! one is wrong, and ends with 1 then.

mod arguments;
mod attributes;
mod copy;
mod error;
mod list;
mod make;
mod print;
mod remove;
mod stat;
mod test;
mod usage;

use std::path::Path;

use arguments::{Arguments, ArgumentsError};
use error::FsError;

use super::environment::Environment;
use super::glob;
use super::uri::{Located, Uris};
use super::xml;
use crate::nearest;
use crate::stderr::say;

/// What arguments that are wrong end with: -1, as the shell sees it.
const USAGE: u8 = 255;

/// A command.
struct Command {
    name: &'static str,
    /// Letters or words that may stand before the paths.
    flags: &'static [&'static str],
    /// Flags that take a value.
    valued: &'static [&'static str],
    /// How many paths, at least.
    paths_min: usize,
    usage: &'static str,
    run: fn(&Call<'_>) -> Outcome,
}

/// A command that was typed.
struct Call<'a> {
    uris: &'a Uris,
    arguments: &'a Arguments,
}

/// What came of a command.
type Outcome = Result<Done, FsError>;

/// A command went through all its paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    /// Something was wrong with one, and was told; or the answer is no.
    failed: bool,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "ls",
        flags: &["R", "d", "h", "C", "t", "S", "r", "u", "q", "e"],
        valued: &[],
        paths_min: 0,
        usage: "[-C] [-d] [-h] [-R] [-t] [-S] [-r] [<path> ...]",
        run: list::list,
    },
    Command {
        name: "mkdir",
        flags: &["p"],
        valued: &[],
        paths_min: 1,
        usage: "[-p] <path> ...",
        run: make::folders,
    },
    Command {
        name: "touchz",
        flags: &[],
        valued: &[],
        paths_min: 1,
        usage: "<path> ...",
        run: make::empty_files,
    },
    Command {
        name: "put",
        flags: &["f", "p", "l", "d"],
        valued: &["t", "q"],
        paths_min: 1,
        usage: "[-f] <localsrc> ... <dst>",
        run: copy::put,
    },
    Command {
        name: "moveFromLocal",
        flags: &["f", "p", "l", "d"],
        valued: &["t", "q"],
        paths_min: 1,
        usage: "[-f] <localsrc> ... <dst>",
        run: copy::move_from_local,
    },
    Command {
        name: "appendToFile",
        flags: &["n"],
        valued: &[],
        paths_min: 2,
        usage: "<localsrc> ... <dst>",
        run: copy::append,
    },
    Command {
        name: "get",
        flags: &["f", "p", "crc", "ignoreCrc"],
        valued: &["t", "q"],
        paths_min: 1,
        usage: "[-f] <src> ... <localdst>",
        run: copy::get,
    },
    Command {
        name: "cp",
        flags: &["f", "p", "d"],
        valued: &["t", "q"],
        paths_min: 2,
        usage: "[-f] <src> ... <dst>",
        run: copy::copy,
    },
    Command {
        name: "mv",
        flags: &[],
        valued: &[],
        paths_min: 2,
        usage: "<src> ... <dst>",
        run: copy::rename,
    },
    Command {
        name: "getmerge",
        flags: &["nl", "skip-empty-file"],
        valued: &[],
        paths_min: 2,
        usage: "[-nl] [-skip-empty-file] <src> ... <localdst>",
        run: copy::merge,
    },
    Command {
        name: "cat",
        flags: &["ignoreCrc"],
        valued: &[],
        paths_min: 1,
        usage: "<src> ...",
        run: print::cat,
    },
    Command {
        name: "text",
        flags: &["ignoreCrc"],
        valued: &[],
        paths_min: 1,
        usage: "<src> ...",
        run: print::text,
    },
    Command {
        name: "head",
        flags: &[],
        valued: &[],
        paths_min: 1,
        usage: "<file>",
        run: print::head,
    },
    Command {
        name: "tail",
        flags: &[],
        valued: &[],
        paths_min: 1,
        usage: "<file>",
        run: print::tail,
    },
    Command {
        name: "rm",
        flags: &["f", "r", "R", "skipTrash", "safely"],
        valued: &[],
        paths_min: 0,
        usage: "[-f] [-r|-R] [-skipTrash] <src> ...",
        run: remove::remove,
    },
    Command {
        name: "expunge",
        flags: &["immediate"],
        valued: &["fs"],
        paths_min: 0,
        usage: "[-immediate]",
        run: remove::empty_trash,
    },
    Command {
        name: "rmdir",
        flags: &["ignore-fail-on-non-empty"],
        valued: &[],
        paths_min: 1,
        usage: "[--ignore-fail-on-non-empty] <dir> ...",
        run: remove::folders,
    },
    Command {
        name: "du",
        flags: &["s", "h", "v", "x"],
        valued: &[],
        paths_min: 0,
        usage: "[-s] [-h] [-v] <path> ...",
        run: usage::usage,
    },
    Command {
        name: "count",
        flags: &["h", "v"],
        valued: &[],
        paths_min: 1,
        usage: "[-h] [-v] <path> ...",
        run: usage::count,
    },
    Command {
        name: "test",
        flags: &["d", "e", "f", "s", "z", "r", "w"],
        valued: &[],
        paths_min: 1,
        usage: "-[defswrz] <path>",
        run: test::test,
    },
    Command {
        name: "chmod",
        flags: &["R"],
        valued: &[],
        paths_min: 2,
        usage: "[-R] <mode> <path> ...",
        run: attributes::chmod,
    },
    Command {
        name: "setrep",
        flags: &["R", "w"],
        valued: &[],
        paths_min: 2,
        usage: "[-R] [-w] <rep> <path> ...",
        run: attributes::set_replication,
    },
    Command {
        name: "stat",
        flags: &[],
        valued: &[],
        paths_min: 1,
        usage: "[format] <path> ...",
        run: stat::stat,
    },
];

/// Other names of commands.
const ALIASES: &[(&str, &str, &[&str])] = &[
    ("lsr", "ls", &["-R"]),
    ("rmr", "rm", &["-r"]),
    ("dus", "du", &["-s"]),
    ("copyFromLocal", "put", &[]),
    ("copyToLocal", "get", &[]),
];

/// Commands of Hadoop's that are not here, and what to do instead.
const MISSING: &[(&str, &str)] = &[
    (
        "find",
        "`hadoop fs -ls -R` lists all that is below a folder",
    ),
    (
        "df",
        "files are on this machine's disks, whose room the system's own `df` tells",
    ),
    (
        "chown",
        "files belong to whoever writes them; the system's own `chown` gives them to others",
    ),
    (
        "chgrp",
        "files belong to the group of whoever writes them; the system's own `chgrp` changes that",
    ),
    (
        "checksum",
        "the system's own `sha256sum` tells of files, and `mapfold verify` checks the output of a job",
    ),
];

/// Does what stands behind `hadoop fs`; returns the exit code.
pub(super) fn command(args: &[String], environment: &Environment) -> u8 {
    let (uris, args) = match general(args, environment) {
        Ok(found) => found,
        Err(error) => {
            say(&format!("fs: {error}\n"));
            return USAGE;
        }
    };
    let Some((typed, rest)) = args.split_first() else {
        say(&usage_text());
        return USAGE;
    };
    let name = typed.strip_prefix('-').unwrap_or(typed);
    if matches!(name, "help" | "usage" | "h") {
        print_usage();
        return 0;
    }
    let alias = ALIASES.iter().find(|alias| alias.0 == name);
    let (known, before) = alias.map_or((name, &[][..]), |alias| (alias.1, alias.2));
    let Some(command) = COMMANDS.iter().find(|command| command.name == known) else {
        let hint = instead(name).map_or_else(usage_text, |hint| format!("{hint}\n"));
        say(&format!("{typed}: Unknown command\n{hint}"));
        return USAGE;
    };
    let args = before.iter().map(|flag| (*flag).to_owned());
    let args: Vec<String> = args.chain(rest.iter().cloned()).collect();
    run(command, name, &uris, &args)
}

/// What to do instead of a command that is not here.
fn instead(name: &str) -> Option<String> {
    let missing = MISSING.iter().find(|(it, _)| *it == name);
    let aliases = ALIASES.iter().map(|alias| alias.0);
    let known = COMMANDS.iter().map(|command| command.name).chain(aliases);
    missing
        .map(|(_, hint)| (*hint).to_owned())
        .or_else(|| nearest::did_you_mean(name, known))
}

fn run(command: &Command, name: &str, uris: &Uris, args: &[String]) -> u8 {
    let arguments = Arguments::parse(name, args, command.flags, command.valued);
    let arguments = arguments.and_then(|arguments| match arguments.paths.len() {
        count if count < command.paths_min => Err(ArgumentsError::TooFew {
            want: command.paths_min,
            got: count,
        }),
        _ => Ok(arguments),
    });
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            let usage = command.usage;
            say(&format!(
                "-{name}: {error}\nUsage: hadoop fs [generic options] -{name} {usage}\n"
            ));
            return USAGE;
        }
    };
    let call = Call {
        uris,
        arguments: &arguments,
    };
    match (command.run)(&call) {
        Ok(Done { failed: false }) => 0,
        Ok(Done { failed: true }) => 1,
        // Who reads has gone, and wants no more.
        Err(error) if error.is_broken_pipe() => 0,
        Err(error) => {
            call.tell(&error);
            1
        }
    }
}

/// Options that stand before the command.
fn general<'a>(
    args: &'a [String],
    environment: &Environment,
) -> Result<(Uris, &'a [String]), String> {
    let mut default_fs = None;
    let mut set = |name: &str, value: &str| {
        if matches!(name, "fs.defaultFS" | "fs.default.name") {
            default_fs = Some(value.to_owned());
        }
    };
    let mut rest = args;
    loop {
        rest = match rest {
            [option, value, after @ ..] if option == "-fs" => {
                set("fs.defaultFS", value);
                after
            }
            [option, value, after @ ..] if option == "-D" => {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                set(name, value);
                after
            }
            [option, value, after @ ..] if option == "-conf" => {
                let properties = xml::read(Path::new(value)).map_err(|error| error.to_string())?;
                properties.iter().for_each(|(name, value)| set(name, value));
                after
            }
            [option, after @ ..] if option.starts_with("-D") && option.contains('=') => {
                let (name, value) = option[2..].split_once('=').unwrap_or_default();
                set(name, value);
                after
            }
            _ => break,
        };
    }
    let uris = Uris::new(environment, default_fs.as_deref()).map_err(|error| error.to_string())?;
    Ok((uris, rest))
}

impl Call<'_> {
    fn has(&self, flag: &str) -> bool {
        self.arguments.has(flag)
    }

    /// Says what is wrong with a path.
    fn tell(&self, error: &FsError) {
        say(&format!("{}: {error}\n", self.arguments.command));
    }

    /// What a typed path or pattern stands for.
    ///
    /// # Errors
    /// Nothing.
    fn found(&self, uris: &Uris, typed: &str) -> Result<Vec<Located>, FsError> {
        let found = glob::expand(uris, typed)?;
        match found.is_empty() {
            true => Err(FsError::NotFound(typed.to_owned())),
            false => Ok(found),
        }
    }

    /// Does something with each of several; tells what fails, and goes on.
    fn each<T>(&self, all: &[T], mut act: impl FnMut(&T) -> Result<(), FsError>) -> Outcome {
        let mut done = Done::default();
        for one in all {
            match act(one) {
                Ok(()) => {}
                Err(error) if error.is_broken_pipe() => return Err(error),
                Err(error) => {
                    self.tell(&error);
                    done.failed = true;
                }
            }
        }
        Ok(done)
    }

    /// The same with all that is found of what was typed.
    fn each_found(
        &self,
        typed: &[String],
        mut act: impl FnMut(&Located) -> Result<(), FsError>,
    ) -> Outcome {
        let mut failed = false;
        let done = self.each(typed, |typed| {
            let found = self.found(self.uris, typed)?;
            failed |= self.each(&found, &mut act)?.failed;
            Ok(())
        })?;
        Ok(Done {
            failed: failed || done.failed,
        })
    }
}

fn usage_text() -> String {
    let mut text = String::from("Usage: hadoop fs [generic options]\n");
    for command in COMMANDS {
        text += &format!("\t[-{} {}]\n", command.name, command.usage);
    }
    text
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn print_usage() {
    print!("{}", usage_text());
}

#[cfg(test)]
mod tests;
