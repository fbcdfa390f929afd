//! Properties of a job: names with values, as Hadoop's users set them.
//!
//! Most have an older name. Whichever is set, both are known by the new one here, and programs see both in their environment.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;

use crate::nearest::slips;

/// The properties of a job, by their newer names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    values: BTreeMap<String, String>,
    /// Old names that were set, with their newer ones.
    outdated: Vec<(String, &'static str)>,
}

/// A value cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("property {name} is `{value}`, which is not {what}")]
pub(super) struct PropertyError {
    name: String,
    value: String,
    what: &'static str,
}

/// Values that are replaced one within another, at most.
const DEPTH_MAX: usize = 20;

impl Properties {
    /// Sets one; the last value counts.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let new = newer(name);
        if let Some(new) = new {
            self.outdated.push((name.to_owned(), new));
        }
        let name = new.unwrap_or(name).to_owned();
        self.values.insert(name, value.into());
    }

    /// Sets one that was not set.
    pub(super) fn set_default(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        self.values.entry(name.to_owned()).or_insert(value);
    }

    /// Its value, with `${name}` replaced by that property; unknown ones stay as they are.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.values.get(name)?;
        Some(self.expand(value).into_owned())
    }

    /// Its value, unless that is empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether it is `true` or `false`, if it is one of them: as Hadoop, which takes anything else for not being set.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Its value as a number.
    ///
    /// # Errors
    /// It is none, or too small or large.
    pub(super) fn number<T: std::str::FromStr>(
        &self,
        name: &str,
    ) -> Result<Option<T>, PropertyError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.trim().parse();
        number.map(Some).map_err(|_| PropertyError {
            name: name.to_owned(),
            value,
            what: "a number that it can be",
        })
    }

    /// Old names that were set, with what to write today.
    pub(super) fn outdated(&self) -> &[(String, &'static str)] {
        &self.outdated
    }

    /// Names that mean nothing, each with the one that was probably meant. Whoever makes up names of their own is left alone.
    pub(super) fn misspelt(&self) -> Vec<(&str, &'static str)> {
        let pairs = self.values.keys().filter_map(|name| {
            let meant = meant(name)?;
            Some((name.as_str(), newer(meant).unwrap_or(meant)))
        });
        pairs.collect()
    }

    /// All with their values replaced, under their newer and their older names.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (name, value) in &self.values {
            let value = self.expand(value);
            for (old, _) in RENAMED.iter().filter(|(_, new)| new == name) {
                all.insert((*old).to_owned(), value.clone().into_owned());
            }
            all.insert(name.clone(), value.into_owned());
        }
        all
    }

    fn expand<'v>(&self, value: &'v str) -> Cow<'v, str> {
        let mut value = Cow::Borrowed(value);
        for _ in 0..DEPTH_MAX {
            match self.expand_once(&value) {
                Some(expanded) => value = Cow::Owned(expanded),
                None => break,
            }
        }
        value
    }

    /// With the first `${name}` replaced that is known.
    fn expand_once(&self, value: &str) -> Option<String> {
        let mut from = 0;
        while let Some(open) = value[from..].find("${").map(|at| from + at) {
            let close = open + value[open..].find('}')?;
            match self.variable(&value[open + 2..close]) {
                Some(found) => {
                    return Some([&value[..open], &found, &value[close + 1..]].concat());
                }
                None => from = open + 2,
            }
        }
        None
    }

    fn variable(&self, name: &str) -> Option<String> {
        if let Some(variable) = name.strip_prefix("env.") {
            return env::var(variable).ok();
        }
        self.values.get(newer(name).unwrap_or(name)).cloned()
    }
}

/// What a property is called today.
fn newer(name: &str) -> Option<&'static str> {
    RENAMED
        .iter()
        .find(|(old, _)| *old == name)
        .map(|(_, new)| *new)
}

/// The known name that is all but the same as an unknown one in a namespace of Hadoop's.
fn meant(name: &str) -> Option<&'static str> {
    /// With three, names that mean different things are one.
    const SLIPS_MAX: usize = 2;
    let is_hadoops = ["mapred.", "mapreduce.", "stream."]
        .iter()
        .any(|start| name.starts_with(start));
    if !is_hadoops || known().any(|it| it == name) {
        return None;
    }
    let slips = known().map(|it| (slips(&short(name), &short(it)), it));
    let (slips, nearest) = slips.min()?;
    (slips <= SLIPS_MAX).then_some(nearest)
}

/// `mapreduce.reduce.tasks` is meant for `mapred.reduce.tasks`: names are brought up to date by their first word alone.
fn short(name: &str) -> String {
    name.replacen("mapreduce.", "mapred.", 1)
}

fn known() -> impl Iterator<Item = &'static str> {
    let renamed = RENAMED.iter().flat_map(|(old, new)| [*old, *new]);
    renamed.chain(OTHERS.iter().copied())
}

/// Names that mean something and never were others.
const OTHERS: &[&str] = &[
    "mapreduce.framework.name",
    "mapreduce.input.fileinputformat.input.dir.nonrecursive.ignore.subdirs",
    // Means nothing here, and is near to `mapreduce.job.maps`.
    "mapreduce.job.tags",
    "num.key.fields.for.partition",
    "stream.combine.streamprocessor",
    "stream.jobconf.truncate.limit",
    "stream.map.input",
    "stream.map.input.field.separator",
    "stream.map.input.ignoreKey",
    "stream.map.output",
    "stream.map.output.field.separator",
    "stream.map.streamprocessor",
    "stream.non.zero.exit.is.failure",
    "stream.num.map.output.key.fields",
    "stream.num.reduce.output.key.fields",
    "stream.reduce.input",
    "stream.reduce.input.field.separator",
    "stream.reduce.output",
    "stream.reduce.output.field.separator",
    "stream.reduce.streamprocessor",
    "stream.stderr.reporter.prefix",
];

/// Old names and new ones, of those that mean something to a streaming job or that its programs may look for.
const RENAMED: &[(&str, &str)] = &[
    ("fs.default.name", "fs.defaultFS"),
    ("io.sort.factor", "mapreduce.task.io.sort.factor"),
    ("io.sort.mb", "mapreduce.task.io.sort.mb"),
    (
        "job.end.notification.url",
        "mapreduce.job.end-notification.url",
    ),
    (
        "keep.failed.task.files",
        "mapreduce.task.files.preserve.failedtasks",
    ),
    (
        "key.value.separator.in.input.line",
        "mapreduce.input.keyvaluelinerecordreader.key.value.separator",
    ),
    (
        "map.output.key.field.separator",
        "mapreduce.map.output.key.field.separator",
    ),
    ("mapred.cache.archives", "mapreduce.job.cache.archives"),
    ("mapred.cache.files", "mapreduce.job.cache.files"),
    ("mapred.child.tmp", "mapreduce.task.tmp.dir"),
    (
        "mapred.compress.map.output",
        "mapreduce.map.output.compress",
    ),
    (
        "mapred.create.symlink",
        "mapreduce.job.cache.symlink.create",
    ),
    (
        "mapred.input.dir",
        "mapreduce.input.fileinputformat.inputdir",
    ),
    (
        "mapred.input.dir.recursive",
        "mapreduce.input.fileinputformat.input.dir.recursive",
    ),
    ("mapred.job.id", "mapreduce.job.id"),
    ("mapred.job.map.memory.mb", "mapreduce.map.memory.mb"),
    ("mapred.job.name", "mapreduce.job.name"),
    ("mapred.job.priority", "mapreduce.job.priority"),
    ("mapred.job.queue.name", "mapreduce.job.queuename"),
    ("mapred.job.reduce.memory.mb", "mapreduce.reduce.memory.mb"),
    ("mapred.job.tracker", "mapreduce.jobtracker.address"),
    (
        "mapred.line.input.format.linespermap",
        "mapreduce.input.lineinputformat.linespermap",
    ),
    (
        "mapred.linerecordreader.maxlength",
        "mapreduce.input.linerecordreader.line.maxlength",
    ),
    ("mapred.map.max.attempts", "mapreduce.map.maxattempts"),
    (
        "mapred.map.output.compression.codec",
        "mapreduce.map.output.compress.codec",
    ),
    ("mapred.map.tasks", "mapreduce.job.maps"),
    (
        "mapred.map.tasks.speculative.execution",
        "mapreduce.map.speculative",
    ),
    (
        "mapred.mapoutput.key.class",
        "mapreduce.map.output.key.class",
    ),
    (
        "mapred.mapoutput.value.class",
        "mapreduce.map.output.value.class",
    ),
    (
        "mapred.max.map.failures.percent",
        "mapreduce.map.failures.maxpercent",
    ),
    (
        "mapred.max.reduce.failures.percent",
        "mapreduce.reduce.failures.maxpercent",
    ),
    (
        "mapred.max.split.size",
        "mapreduce.input.fileinputformat.split.maxsize",
    ),
    (
        "mapred.min.split.size",
        "mapreduce.input.fileinputformat.split.minsize",
    ),
    (
        "mapred.output.compress",
        "mapreduce.output.fileoutputformat.compress",
    ),
    (
        "mapred.output.compression.codec",
        "mapreduce.output.fileoutputformat.compress.codec",
    ),
    (
        "mapred.output.compression.type",
        "mapreduce.output.fileoutputformat.compress.type",
    ),
    (
        "mapred.output.dir",
        "mapreduce.output.fileoutputformat.outputdir",
    ),
    ("mapred.output.key.class", "mapreduce.job.output.key.class"),
    (
        "mapred.output.key.comparator.class",
        "mapreduce.job.output.key.comparator.class",
    ),
    (
        "mapred.output.value.class",
        "mapreduce.job.output.value.class",
    ),
    (
        "mapred.output.value.groupfn.class",
        "mapreduce.job.output.group.comparator.class",
    ),
    ("mapred.reduce.max.attempts", "mapreduce.reduce.maxattempts"),
    (
        "mapred.reduce.parallel.copies",
        "mapreduce.reduce.shuffle.parallelcopies",
    ),
    (
        "mapred.reduce.slowstart.completed.maps",
        "mapreduce.job.reduce.slowstart.completedmaps",
    ),
    ("mapred.reduce.tasks", "mapreduce.job.reduces"),
    (
        "mapred.reduce.tasks.speculative.execution",
        "mapreduce.reduce.speculative",
    ),
    ("mapred.task.timeout", "mapreduce.task.timeout"),
    (
        "mapred.text.key.comparator.options",
        "mapreduce.partition.keycomparator.options",
    ),
    (
        "mapred.text.key.partitioner.options",
        "mapreduce.partition.keypartitioner.options",
    ),
    (
        "mapred.textoutputformat.separator",
        "mapreduce.output.textoutputformat.separator",
    ),
    ("mapred.work.output.dir", "mapreduce.task.output.dir"),
    ("mapred.working.dir", "mapreduce.job.working.dir"),
    ("mapreduce.combine.class", "mapreduce.job.combine.class"),
    (
        "mapreduce.inputformat.class",
        "mapreduce.job.inputformat.class",
    ),
    ("mapreduce.map.class", "mapreduce.job.map.class"),
    (
        "mapreduce.outputformat.class",
        "mapreduce.job.outputformat.class",
    ),
    (
        "mapreduce.partitioner.class",
        "mapreduce.job.partitioner.class",
    ),
    ("mapreduce.reduce.class", "mapreduce.job.reduce.class"),
    (
        "mapreduce.textoutputformat.separator",
        "mapreduce.output.textoutputformat.separator",
    ),
    ("user.name", "mapreduce.job.user.name"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        let mut properties = Properties::default();
        for (name, value) in pairs {
            properties.set(name, *value);
        }
        properties
    }

    #[test]
    fn old_names_are_the_new_ones() {
        let properties = properties(&[("mapred.reduce.tasks", "2"), ("x", "y")]);
        assert_eq!(properties.number("mapreduce.job.reduces"), Ok(Some(2)));
        let want = ("mapred.reduce.tasks".to_owned(), "mapreduce.job.reduces");
        assert_eq!(properties.outdated(), [want]);
        let all = properties.all();
        assert_eq!(all["mapred.reduce.tasks"], "2");
        assert_eq!(all["mapreduce.job.reduces"], "2");
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn values_are_replaced_and_unknown_ones_stay() {
        let check = |value: &str, want: &str| {
            let properties = properties(&[("a", "x"), ("b", "${a}${a}"), ("v", value)]);
            assert_eq!(properties.get("v").as_deref(), Some(want), "{value}");
        };
        check("${a}-${no}", "x-${no}");
        check("${no}-${b}", "${no}-xx");
        check("${a", "${a");
        check("$a {a}", "$a {a}");
        check("${no${a}", "${nox");
        // One that names itself comes to an end.
        assert!(properties(&[("l", "${l}")]).get("l").is_some());
    }

    #[test]
    fn values_have_types() {
        let properties = properties(&[("n", " 7 "), ("m", "many"), ("t", "TRUE"), ("o", "yes")]);
        assert_eq!(properties.number("n"), Ok(Some(7u32)));
        assert_eq!(properties.number::<u32>("none"), Ok(None));
        let error = properties.number::<u32>("m").unwrap_err();
        assert!(error.to_string().starts_with("property m is `many`"));
        assert_eq!(properties.flag("t"), Some(true));
        assert_eq!(properties.flag("o"), None);
    }

    #[test]
    fn misspelt_names_are_seen_and_made_up_ones_are_not() {
        let check = |name: &str, want: Option<&str>| {
            let properties = properties(&[(name, "1")]);
            let want: Vec<(&str, &str)> = want.into_iter().map(|want| (name, want)).collect();
            assert_eq!(properties.misspelt(), want);
        };
        check("mapreduce.job.reduce", Some("mapreduce.job.reduces"));
        check("mapreduce.job.reducers", Some("mapreduce.job.reduces"));
        check("mapred.reduce.task", Some("mapreduce.job.reduces"));
        check("mapreduce.reduce.tasks", Some("mapreduce.job.reduces"));
        check("mapred.job.reduces", Some("mapreduce.job.reduces"));
        check("mapreduce.job.nmae", Some("mapreduce.job.name"));
        check(
            "stream.map.input.ignorekey",
            Some("stream.map.input.ignoreKey"),
        );
        check(
            "stream.num.map.output.key.field",
            Some("stream.num.map.output.key.fields"),
        );
        for name in [
            "my.own.setting",
            "map.output.key.field.separatr",
            "user.names",
            "mapreduce.job.tags",
            "mapreduce.job.jar",
            "mapreduce.map.env",
            "mapreduce.map.java.opts",
            "mapreduce.task.id",
            "mapred.child.env",
            "mapred.my.setting",
            "stream.recordreader.class",
        ] {
            check(name, None);
        }
        known().for_each(|name| check(name, None));
    }

    #[test]
    fn names_are_sorted_and_new_ones_are_not_old() {
        assert!(RENAMED.is_sorted_by(|a, b| a.0 < b.0));
        assert!(RENAMED.iter().all(|(_, new)| newer(new).is_none()));
    }
}
