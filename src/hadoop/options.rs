//! The arguments of a streaming job, as they are typed: Java's options, of one dash and a word.
//!
//! Hadoop wants generic options (`-D`, `-files`, ...) before all others; here they may stand anywhere. clap knows no options of this kind: one takes as many
//! values as follow it, and `-Dname=value` is one of them in one word.

use std::fmt::Write as _;

use crate::nearest;

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `-D` and its older spellings, in order; the last of a name counts.
    pub(super) properties: Vec<(String, String)>,
    /// Configuration files, in order. Properties that are typed win over them.
    pub(super) conf_files: Vec<String>,
    /// The file system of paths without a scheme.
    pub(super) fs: Option<String>,
    /// `local`, or the master of a cluster.
    pub(super) job_tracker: Option<String>,
    /// `PATH` or `PATH#NAME`, to be in the working folder of programs.
    pub(super) files: Vec<String>,
    /// Those of them that came by `-file`: a command may name one by its path.
    packaged: Vec<String>,
    /// The same, to be unpacked there.
    pub(super) archives: Vec<String>,
    pub(super) lib_jars: Vec<String>,
    pub(super) inputs: Vec<String>,
    pub(super) output: Option<String>,
    pub(super) mapper: Option<String>,
    pub(super) combiner: Option<String>,
    pub(super) reducer: Option<String>,
    pub(super) input_format: Option<String>,
    pub(super) output_format: Option<String>,
    pub(super) partitioner: Option<String>,
    pub(super) input_reader: Option<String>,
    pub(super) reduce_tasks: Option<u32>,
    /// Added to the environment of programs, in order.
    pub(super) cmd_env: Vec<(String, String)>,
    /// What programs read and print.
    pub(super) io: Option<String>,
    /// Commands to run after a failed task.
    pub(super) debug_commands: Vec<String>,
    pub(super) lazy_output: bool,
    pub(super) background: bool,
    pub(super) verbose: bool,
    /// What is to be told rather than done.
    pub(super) help: Option<Help>,
    /// Old spellings that were used, and what to write today.
    pub(super) deprecated: Vec<(&'static str, &'static str)>,
}

/// Which help was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Help {
    Short,
    Long,
}

/// Why arguments are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OptionsError {
    #[error("Unrecognized option: {0}")]
    Unknown(String),
    #[error("Missing argument for option: {0}")]
    NoValue(&'static str),
    #[error("{option} takes {what}, not `{value}`")]
    BadValue {
        option: &'static str,
        what: &'static str,
        value: String,
    },
    #[error("Missing required options: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    name: &'static str,
    takes: Takes,
    /// What is written today, if it is an old spelling.
    now: Option<&'static str>,
    /// For people; none is not shown.
    help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    One(&'static str),
    Several(&'static str),
}

use Takes::{Nothing, One, Several};

const fn known(name: &'static str, takes: Takes, help: &'static str) -> Known {
    Known {
        name,
        takes,
        now: None,
        help,
    }
}

const fn old(name: &'static str, takes: Takes, now: &'static str) -> Known {
    Known {
        name,
        takes,
        now: Some(now),
        help: "",
    }
}

impl OptionsError {
    /// What may have been meant.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            // One of a letter is a command's own.
            Self::Unknown(word) if word.starts_with('-') && word.len() > 2 => {
                nearest::did_you_mean(word, TABLE.iter().map(|it| it.name))
            }
            Self::Unknown(_) => Some(
                "a command of several words is one argument, so it is in quotes: -mapper 'sort -u'"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// All options, in the order of the help.
const TABLE: &[Known] = &[
    known(
        "-input",
        Several("<path>"),
        "files, folders or globs to read; may be repeated",
    ),
    known(
        "-output",
        One("<path>"),
        "folder for the part files; must not exist",
    ),
    known(
        "-mapper",
        One("<cmd>"),
        "command that is fed the input; without it, records go on as they are",
    ),
    known(
        "-combiner",
        One("<cmd>"),
        "command that sums up what one mapper prints",
    ),
    known(
        "-reducer",
        One("<cmd>|NONE|aggregate"),
        "command that is fed sorted keys and values; NONE for no reduce tasks",
    ),
    known(
        "-numReduceTasks",
        One("<num>"),
        "number of reduce tasks, 1 unless given",
    ),
    known(
        "-inputformat",
        One("<name>"),
        "TextInputFormat (the default), KeyValueTextInputFormat, NLineInputFormat",
    ),
    known("-outputformat", One("<name>"), "TextOutputFormat"),
    known(
        "-partitioner",
        One("<name>"),
        "HashPartitioner (the default), KeyFieldBasedPartitioner",
    ),
    known(
        "-inputreader",
        One("<spec>"),
        "StreamXmlRecordReader,begin=TEXT,end=TEXT",
    ),
    known(
        "-io",
        One("<id>"),
        "what commands read and print: text, keyonlytext, typedbytes, rawbytes",
    ),
    known(
        "-cmdenv",
        Several("<n>=<v>"),
        "variable for the commands; may be repeated",
    ),
    known("-mapdebug", One("<cmd>"), "accepted, and not run"),
    known("-reducedebug", One("<cmd>"), "accepted, and not run"),
    known(
        "-lazyOutput",
        Nothing,
        "no part file for a task without output",
    ),
    known(
        "-background",
        Nothing,
        "on a cluster: return once the job is submitted",
    ),
    known("-verbose", Nothing, "print the job's properties"),
    known("-debug", Nothing, ""),
    known("-info", Nothing, "print a longer help"),
    known("-help", Nothing, "print this help"),
    known(
        "-D",
        One("<property>=<value>"),
        "set a property; may be repeated",
    ),
    known(
        "-conf",
        One("<file>"),
        "read properties from a configuration file",
    ),
    known(
        "-fs",
        One("file:///|hdfs:///"),
        "file system of paths without a scheme",
    ),
    known(
        "-jt",
        One("local|<host:port>"),
        "master of the cluster to run on",
    ),
    known(
        "-files",
        One("<file>[#<name>],..."),
        "files for the working folder of commands",
    ),
    known(
        "-archives",
        One("<file>[#<name>],..."),
        "the same, unpacked: zip, jar, tar, tgz",
    ),
    known(
        "-libjars",
        One("<file>,..."),
        "accepted, and not used: nothing here runs Java",
    ),
    known("-tokenCacheFile", One("<file>"), ""),
    old("-file", Several("<file>"), "-files"),
    old("-cacheFile", One("<uri>"), "-files"),
    old("-cacheArchive", One("<uri>"), "-archives"),
    old("-jobconf", One("<n>=<v>"), "-D"),
    old("-dfs", One("<uri>"), "-fs"),
    old("-additionalconfspec", One("<file>"), "-conf"),
];

/// Whether a word is one of the options that take a value.
pub(crate) fn is_known(word: &str) -> bool {
    let is_it = |known: &Known| known.name == word && known.takes != Nothing;
    TABLE.iter().any(is_it)
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// See [`OptionsError`]. That something is missing is told by [`check`](Self::check).
    pub(super) fn parse(args: &[String]) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        let mut args = args.iter().map(String::as_str).peekable();
        while let Some(arg) = args.next() {
            if let Some(property) = arg.strip_prefix("-D").filter(|it| it.contains('=')) {
                options.take("-D", property)?;
                continue;
            }
            let option = find(arg).ok_or_else(|| OptionsError::Unknown(arg.to_owned()))?;
            if let Some(now) = option.now {
                options.deprecated.push((option.name, now));
            }
            let no_value = || OptionsError::NoValue(option.name);
            match option.takes {
                Nothing => options.set(option.name),
                One(_) => {
                    let value = args.next_if(|value| find(value).is_none());
                    options.take(option.name, value.ok_or_else(no_value)?)?;
                }
                Several(_) => {
                    let is_value = |value: &&str| !value.starts_with('-') || *value == "-";
                    let value = args.next_if(is_value);
                    options.take(option.name, value.ok_or_else(no_value)?)?;
                    while let Some(value) = args.next_if(is_value) {
                        options.take(option.name, value)?;
                    }
                }
            }
        }
        options.call_by_name();
        Ok(options)
    }

    /// Commands that were packaged are called by their names in the working folder.
    fn call_by_name(&mut self) {
        let commands = [&mut self.mapper, &mut self.combiner, &mut self.reducer];
        for command in commands.into_iter().flatten() {
            let program = command.split(' ').next().unwrap_or_default();
            let Some((_, name)) = program.rsplit_once('/') else {
                continue;
            };
            if self.packaged.iter().any(|file| file == program) {
                *command = [name, &command[program.len()..]].concat();
            }
        }
    }

    /// Refuses a job of which something must be said that is not.
    ///
    /// # Errors
    /// [`OptionsError::Missing`].
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        let missing = [
            ("-input", self.inputs.is_empty()),
            ("-output", self.output.is_none()),
        ];
        let missing: Vec<_> = missing
            .into_iter()
            .filter(|it| it.1)
            .map(|it| it.0)
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(OptionsError::Missing(missing)),
        }
    }

    fn set(&mut self, name: &str) {
        match name {
            "-lazyOutput" => self.lazy_output = true,
            "-background" => self.background = true,
            "-verbose" => self.verbose = true,
            "-help" => self.help = self.help.or(Some(Help::Short)),
            "-info" => self.help = Some(Help::Long),
            _ => {}
        }
    }

    fn take(&mut self, name: &'static str, value: &str) -> Result<(), OptionsError> {
        let text = || Some(value.to_owned());
        let list = || {
            value
                .split(',')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
        };
        match name {
            "-input" => self.inputs.push(value.to_owned()),
            "-output" => self.output = text(),
            "-mapper" => self.mapper = text(),
            "-combiner" => self.combiner = text(),
            "-reducer" => self.reducer = text(),
            "-inputformat" => self.input_format = text(),
            "-outputformat" => self.output_format = text(),
            "-partitioner" => self.partitioner = text(),
            "-inputreader" => self.input_reader = text(),
            "-io" => self.io = text(),
            "-fs" | "-dfs" => self.fs = text(),
            "-jt" => self.job_tracker = text(),
            "-conf" | "-additionalconfspec" => self.conf_files.push(value.to_owned()),
            "-files" => self.files.extend(list()),
            "-archives" => self.archives.extend(list()),
            "-libjars" => self.lib_jars.extend(list()),
            "-file" => {
                self.files.push(value.to_owned());
                self.packaged.push(value.to_owned());
            }
            "-cacheFile" => self.files.push(value.to_owned()),
            "-cacheArchive" => self.archives.push(value.to_owned()),
            "-mapdebug" | "-reducedebug" => self.debug_commands.push(value.to_owned()),
            "-D" | "-jobconf" => self.properties.push(pair(name, value)?),
            "-cmdenv" => self.cmd_env.push(pair(name, value)?),
            "-numReduceTasks" => {
                let number = value.trim().parse();
                self.reduce_tasks = Some(number.map_err(|_| OptionsError::BadValue {
                    option: name,
                    what: "a number",
                    value: value.to_owned(),
                })?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn find(arg: &str) -> Option<&'static Known> {
    let name = arg.strip_prefix('-').filter(|it| it.starts_with('-'));
    let name = name.unwrap_or(arg);
    TABLE.iter().find(|option| option.name == name)
}

fn pair(option: &'static str, value: &str) -> Result<(String, String), OptionsError> {
    match value.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err(OptionsError::BadValue {
            option,
            what: "NAME=VALUE",
            value: value.to_owned(),
        }),
    }
}

/// How a streaming job is typed.
pub(super) fn usage(help: Help) -> String {
    let mut text = String::from(
        "Usage: hadoop jar hadoop-streaming.jar [generic options] [streaming options]\nOptions:\n",
    );
    for option in TABLE.iter().filter(|option| !option.help.is_empty()) {
        let shown = match option.takes {
            Nothing => option.name.to_owned(),
            One(value) | Several(value) => format!("{} {value}", option.name),
        };
        let _ = writeln!(text, "  {shown:<32} {}", option.help);
    }
    if help == Help::Long {
        text += LONG;
    }
    text
}

const LONG: &str = "
Commands are split into words at spaces; ' and \" hold words together, and no shell looks at them. For pipes and the like say sh -c '...'.

Often used properties (-D):
  mapreduce.job.reduces=N                              reduce tasks; 0 for none
  mapreduce.job.name=TEXT                              name of the job
  stream.num.map.output.key.fields=N                   the key ends at the N-th separator
  stream.map.output.field.separator=TEXT               what separates fields of a mapper's lines, else TAB
  mapreduce.partition.keypartitioner.options=-k1,1     for KeyFieldBasedPartitioner
  mapreduce.partition.keycomparator.options=-k2,2nr    for KeyFieldBasedComparator, which
  mapreduce.job.output.key.comparator.class            names
  mapreduce.output.fileoutputformat.compress=true      pack the part files, with ...compress.codec
  mapreduce.map.maxattempts=N                          tries of each task, else 4
  mapreduce.task.timeout=MS                            time without progress that fails a try
  stream.non.zero.exit.is.failure=false                commands may end with another code than 0

Example:
  hadoop jar hadoop-streaming.jar -files words.py,sum.py -mapper words.py -reducer sum.py -input books -output counts
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn options_stand_in_any_order() {
        let options = parse(
            "-D a=1 -input x y -Db=2 -output o --files f#g,h -input z -mapper cat -D c= -numReduceTasks 3 -cmdenv K=v=w",
        );
        let options = options.unwrap();
        let pairs = [("a", "1"), ("b", "2"), ("c", "")];
        assert_eq!(
            options.properties,
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(options.inputs, ["x", "y", "z"]);
        assert_eq!(options.files, ["f#g", "h"]);
        assert_eq!(options.output.as_deref(), Some("o"));
        assert_eq!(options.reduce_tasks, Some(3));
        assert_eq!(options.cmd_env, [("K".to_owned(), "v=w".to_owned())]);
        assert_eq!(options.check(), Ok(()));
    }

    #[test]
    fn old_spellings_are_taken_and_told() {
        let options = parse("-jobconf a=1 -file x y -cacheArchive z#d -dfs file:///").unwrap();
        assert_eq!(options.files, ["x", "y"]);
        assert_eq!(options.archives, ["z#d"]);
        let packaged = parse("-file /a/b.py -mapper /a/b.py -reducer /a/c.py").unwrap();
        assert_eq!(packaged.mapper.as_deref(), Some("b.py"));
        assert_eq!(packaged.reducer.as_deref(), Some("/a/c.py"));
        assert_eq!(options.fs.as_deref(), Some("file:///"));
        let told: Vec<_> = options.deprecated.iter().map(|it| it.0).collect();
        assert_eq!(told, ["-jobconf", "-file", "-cacheArchive", "-dfs"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |line: &str, want: &str| {
            let options = parse(line).and_then(|options| options.check().map(|()| options));
            assert_eq!(options.unwrap_err().to_string(), want, "{line}");
        };
        check("-bogus", "Unrecognized option: -bogus");
        check(
            "-input x stray -output o -mapper m stray",
            "Unrecognized option: stray",
        );
        check("-input", "Missing argument for option: -input");
        check(
            "-output -mapper cat",
            "Missing argument for option: -output",
        );
        check("", "Missing required options: -input, -output");
        check("-input x", "Missing required options: -output");
        check(
            "-numReduceTasks two",
            "-numReduceTasks takes a number, not `two`",
        );
        check("-D novalue", "-D takes NAME=VALUE, not `novalue`");
        let hint = |line: &str| parse(line).unwrap_err().hint().unwrap_or_default();
        assert_eq!(
            hint("-reduser cat"),
            "did you mean `-reducer` or `-reducedebug`?"
        );
        assert!(hint("-mapper sort -u").contains("in quotes"));
        assert!(hint("-mapper sed s/a/b/").contains("in quotes"));
    }

    #[test]
    fn a_command_may_begin_with_a_dash() {
        assert_eq!(parse("-mapper -x").unwrap().mapper.as_deref(), Some("-x"));
    }
}
