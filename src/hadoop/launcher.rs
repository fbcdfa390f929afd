//! Which of Hadoop's commands is meant.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use mapfold_job::Catalog;

use super::environment::Environment;
use super::{fs, stream};
use crate::stderr::say;

/// What tools take for the version. Streaming jobs have not changed since long before.
const VERSION: &str = "3.5.0";

/// Ends with this code when arguments are wrong.
pub(super) const USAGE: u8 = 1;

/// The programs of Hadoop that this one stands for.
pub(super) const NAMES: [&str; 4] = ["hadoop", "mapred", "yarn", "hdfs"];

/// Commands of `mapfold` that it starts itself with, whatever it is called.
const OWN: [&str; 2] = ["slot", "worker"];

/// Whether this process was called as one of Hadoop's programs.
pub(crate) fn called_as(args: &[OsString]) -> bool {
    let name = args.first().and_then(|path| Path::new(path).file_name());
    let is_hadoop = NAMES.iter().any(|known| name == Some(OsStr::new(known)));
    let is_own = (args.get(1)).is_some_and(|first| OWN.iter().any(|own| first == own));
    is_hadoop && !is_own
}

/// Does what arguments say that stand behind `hadoop`; returns the exit code.
pub(crate) fn launch(args: &[OsString], catalog: &Arc<dyn Catalog>) -> u8 {
    let texts = args.iter().map(|arg| arg.to_str().ok_or(arg));
    let args: Vec<String> = match texts.map(|it| it.map(str::to_owned)).collect() {
        Ok(args) => args,
        Err(bad) => {
            say(&format!("ERROR: {bad:?} is not UTF-8.\n"));
            return USAGE;
        }
    };
    let environment = Environment::read();
    let Some((command, args)) = args.split_first() else {
        say(USAGE_TEXT);
        return USAGE;
    };
    match command.as_str() {
        "jar" => match args.split_first() {
            None => {
                say("Usage: hadoop jar <path>/hadoop-streaming.jar [options]\n");
                u8::MAX
            }
            Some((jar, args)) if is_streaming(jar) => {
                let args = without_class(args);
                stream::stream(args, &environment, catalog)
            }
            Some((jar, _)) => {
                say(&format!(
                    "Not a valid JAR: {jar}\nMapfold runs no Java: of jars, only those of Hadoop Streaming stand for something, which it does itself.\n"
                ));
                USAGE
            }
        },
        "streaming" => stream::stream(args, &environment, catalog),
        "fs" | "dfs" => fs::command(args, &environment),
        "version" | "-version" | "--version" => {
            version();
            0
        }
        "help" | "-help" | "--help" | "-h" => {
            say(USAGE_TEXT);
            0
        }
        other => {
            say(&format!(
                "ERROR: {other} is not COMMAND nor fully qualified CLASSNAME.\nMapfold stands for some commands of Hadoop only.\n{USAGE_TEXT}"
            ));
            USAGE
        }
    }
}

const USAGE_TEXT: &str = "\
Usage: hadoop COMMAND [options]
  jar <path>/*streaming*.jar OPTIONS   run a streaming job (-help tells of its options)
  streaming OPTIONS                    the same
  fs -COMMAND PATH...                  list, copy, print and remove files (-help tells of its commands)
  version                              print the version
";

/// The jar is not opened, and need not be there.
fn is_streaming(jar: &str) -> bool {
    let name = Path::new(jar).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    name.contains("streaming") && name.ends_with(".jar")
}

/// The jar's main class may be named before its arguments.
fn without_class(args: &[String]) -> &[String] {
    match args {
        [class, rest @ ..] if class.starts_with("org.apache.hadoop.streaming.") => rest,
        args => args,
    }
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn version() {
    println!("Hadoop {VERSION}");
    println!(
        "This is Mapfold {}, which stands in for Hadoop Streaming.",
        env!("CARGO_PKG_VERSION")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let check = |line: &str, want| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(called_as(&args), want, "{line}");
        };
        check("/opt/x/bin/hadoop jar", true);
        check("mapred streaming", true);
        check("hadoop", true);
        check("mapfold hadoop", false);
        check("hadoop worker --dir x", false);
    }

    #[test]
    fn streaming_jars_are_known_by_their_name() {
        assert!(is_streaming("/usr/lib/hadoop-streaming-3.3.6.jar"));
        assert!(is_streaming("streaming.jar"));
        assert!(!is_streaming("hadoop-examples.jar"));
        assert!(!is_streaming("/streaming/x.jar"));
    }
}
