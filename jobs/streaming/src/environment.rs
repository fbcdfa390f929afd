//! What programs are told of their job and task: variables of their environment, by Hadoop's names and its older ones.
//!
//! All properties of the job (`mapreduce.job.name` is `mapreduce_job_name`), then the task's, then what the job adds, then the folder for temporary
//! files.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use mapfold_job::{Attempt, JobError};

use crate::conf::{Conf, Shipped};
use crate::ids;

/// What the programs of a job have in their environment beside that of their process.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// `1795422600000_0001`, if the job has an id of its own.
    digits: Option<String>,
    properties: Vec<(String, String)>,
    /// Names of files and of archives that go with the job.
    files: Vec<String>,
    archives: Vec<String>,
    /// Added by whoever made the job.
    added: Vec<(String, String)>,
}

/// No program can be started with a longer variable on Linux (`MAX_ARG_STRLEN`), so one is left out, with its name and two bytes.
const VARIABLE_MAX: usize = 128 << 10;

/// The folder for temporary files, in that of the attempt.
const TEMPORARY: &str = "tmp";

impl Environment {
    pub(crate) fn of(conf: &Conf) -> Self {
        let limit = conf.properties.get("stream.jobconf.truncate.limit");
        let limit = limit.and_then(|limit| limit.trim().parse().ok());
        let properties = conf.properties.iter();
        let id = conf.properties.get("mapreduce.job.id");
        Self {
            digits: id.and_then(|id| id.strip_prefix("job_").map(str::to_owned)),
            properties: properties
                .map(|(name, value)| (variable(name), cut(value, limit)))
                .collect(),
            files: names(&conf.files),
            archives: names(&conf.archives),
            added: conf.env.clone().into_iter().collect(),
        }
    }

    /// All variables for the programs of an attempt in this working folder, in an order in which the last of a name counts.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub(crate) fn of_attempt(
        &self,
        attempt: &Attempt<'_>,
        folder: &Path,
    ) -> Result<Vec<(OsString, OsString)>, JobError> {
        let temporary = attempt.folder()?.join(TEMPORARY);
        fs::create_dir_all(&temporary)?;
        let mut variables = self.properties.clone();
        variables.extend(self.of_task(attempt));
        let local = [
            ("mapreduce_job_cache_local_files", &self.files),
            ("mapreduce_job_cache_local_archives", &self.archives),
        ];
        for (name, names) in local.into_iter().filter(|(_, names)| !names.is_empty()) {
            let paths = names
                .iter()
                .map(|name| folder.join(name).display().to_string());
            let paths: Vec<_> = paths.collect();
            variables.push((name.to_owned(), paths.join(",")));
        }
        // Java's own logging, which is not for programs.
        variables.push(("HADOOP_ROOT_LOGGER".to_owned(), String::new()));
        variables.extend(self.added.iter().cloned());
        let mut all: Vec<(OsString, OsString)> = variables
            .into_iter()
            .filter(|(name, value)| can_be_passed(name, value))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if !self.added.iter().any(|(name, _)| name == "TMPDIR") {
            all.push(("TMPDIR".into(), temporary.into()));
        }
        Ok(all)
    }

    fn of_task(&self, attempt: &Attempt<'_>) -> Vec<(String, String)> {
        let (id, split) = (attempt.id(), attempt.split());
        let digits = match &self.digits {
            Some(digits) => digits.clone(),
            None => format!("{}_{:04}", id.token.epoch.0, id.job.0),
        };
        let is_map = split.is_some();
        let index = id.task.index;
        let task = ids::task(&digits, is_map, index);
        let mut told = Vec::new();
        let mut tell = |names: [&str; 2], value: String| {
            told.extend(names.map(|name| (name.to_owned(), value.clone())));
        };
        tell(
            ["mapreduce_job_id", "mapred_job_id"],
            format!("job_{digits}"),
        );
        tell(
            ["mapreduce_task_id", "mapred_tip_id"],
            format!("task_{task}"),
        );
        tell(
            ["mapreduce_task_attempt_id", "mapred_task_id"],
            ids::attempt(&task, id.number),
        );
        tell(
            ["mapreduce_task_partition", "mapred_task_partition"],
            index.to_string(),
        );
        tell(
            ["mapreduce_task_ismap", "mapred_task_is_map"],
            is_map.to_string(),
        );
        tell(
            ["mapreduce_job_maps", "mapred_map_tasks"],
            attempt.maps().to_string(),
        );
        tell(
            ["mapreduce_job_reduces", "mapred_reduce_tasks"],
            attempt.reduces().to_string(),
        );
        // Each file has splits of its own.
        if let Some(piece) = split.and_then(|split| split.pieces.first()) {
            let (start, length) = (piece.start, piece.end - piece.start);
            tell(
                ["mapreduce_map_input_file", "map_input_file"],
                format!("file:{}", piece.file.path.display()),
            );
            tell(
                ["mapreduce_map_input_start", "map_input_start"],
                start.to_string(),
            );
            tell(
                ["mapreduce_map_input_length", "map_input_length"],
                length.to_string(),
            );
        }
        told
    }
}

fn names(shipped: &[Shipped]) -> Vec<String> {
    shipped.iter().map(|file| file.name.clone()).collect()
}

/// What a property is called there.
fn variable(name: &str) -> String {
    let letter = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

/// As many characters as are wanted; negative limits are none.
fn cut(value: &str, limit: Option<i64>) -> String {
    match limit.and_then(|limit| usize::try_from(limit).ok()) {
        Some(limit) => value.chars().take(limit).collect(),
        None => value.to_owned(),
    }
}

fn can_be_passed(name: &str, value: &str) -> bool {
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    is_name && !value.contains('\0') && name.len() + value.len() + 2 <= VARIABLE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_letters_and_digits() {
        assert_eq!(variable("mapreduce.job.id"), "mapreduce_job_id");
        assert_eq!(variable("my.own-prop ü9"), "my_own_prop__9");
    }

    #[test]
    fn values_are_cut_if_that_is_wished() {
        assert_eq!(cut("aüb", None), "aüb");
        assert_eq!(cut("aüb", Some(2)), "aü");
        assert_eq!(cut("aüb", Some(-1)), "aüb");
    }

    #[test]
    fn what_no_program_could_be_started_with_is_left_out() {
        assert!(can_be_passed("a", ""));
        assert!(!can_be_passed("a=b", ""));
        assert!(!can_be_passed("a", "b\0"));
        assert!(!can_be_passed("a", &"x".repeat(VARIABLE_MAX)));
    }
}
