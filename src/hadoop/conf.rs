//! From options and properties to the job that the engine runs.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use mapfold_data::input::{REDUCERS_MAX, split_size_for};
use mapfold_streaming::{Conf, Fed, Form, KeyClass, PartitionBy, Printed, Records, Reducer};
use mapfold_terms::{ByteSize, Codec, Format};

use super::class::{self, Class, ClassError};
use super::options::Options;
use super::properties::{Properties, PropertyError};

/// A job, but for the files that it reads and leaves.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// What programs do.
    pub(super) conf: Conf,
    pub(super) format: Format,
    /// 0 for a job that has no reduce tasks.
    pub(super) reducers: u32,
    pub(super) parts: Codec,
    pub(super) lazy_parts: bool,
    pub(super) attempts_max: NonZeroU32,
    pub(super) task_timeout: Duration,
    /// Whether stragglers get a second attempt.
    pub(super) backup: bool,
}

/// Why there is no such job.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfError {
    #[error(transparent)]
    Property(#[from] PropertyError),
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error("{0} reduce tasks are more than {REDUCERS_MAX}")]
    Reducers(u32),
    #[error("an input reader is StreamXmlRecordReader,begin=TEXT,end=TEXT; `{0}` has no {1}")]
    Reader(String, &'static str),
}

/// The default of Hadoop.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(4).expect("4 is not 0");
/// The same, in milliseconds.
const TASK_TIMEOUT_MS: u64 = 600_000;

/// Puts into `properties` what `options` say as well, and makes a job of both.
///
/// # Errors
/// See [`ConfError`].
pub(super) fn describe(
    options: &Options,
    properties: &mut Properties,
    folder: PathBuf,
) -> Result<Described, ConfError> {
    settle(options, properties);
    let reducers = reducers(options, properties)?;
    properties.set("mapreduce.job.reduces", reducers.to_string());
    let (records, format) = records(options, properties)?;
    if let Some(name) = &options.output_format {
        class::output_format(name)?;
    }
    let is_plain_text = records == Records::Lines && format == Format::Lines;
    let mapper = options.mapper.as_deref().map(class::mapper).transpose()?;
    let reducer = match options.reducer.as_deref() {
        None | Some("NONE") => Reducer::Identity,
        Some("aggregate") => Reducer::Aggregate,
        Some(command) => match class::reducer(command)? {
            Class::Identity => Reducer::Identity,
            Class::Command => Reducer::Command(command.to_owned()),
        },
    };
    let combiner = options.combiner.as_deref().filter(|it| *it != "aggregate");
    let combiner = match combiner.map(class::reducer).transpose()? {
        Some(Class::Command) => combiner.map(str::to_owned),
        Some(Class::Identity) | None => None,
    };
    let text = |name: &str| properties.text(name);
    let tab = || "\t".to_owned();
    let fed = |io: &str, separator: &str| Fed {
        form: form(properties, io),
        separator: text(separator).unwrap_or_else(tab),
    };
    let map_output = Printed {
        form: form(properties, "stream.map.output"),
        separator: text("stream.map.output.field.separator").unwrap_or_else(tab),
        keys: keys(properties, "stream.num.map.output.key.fields")?,
    };
    let reduce_output = Printed {
        form: form(properties, "stream.reduce.output"),
        separator: text("stream.reduce.output.field.separator").unwrap_or_else(tab),
        keys: keys(properties, "stream.num.reduce.output.key.fields")?,
    };
    let task_timeout = properties
        .number("mapreduce.task.timeout")?
        .unwrap_or(TASK_TIMEOUT_MS);
    let task_timeout = Duration::from_millis(task_timeout);
    let is_text = text("mapreduce.job.output.key.class").is_some_and(|it| class::is_text(&it));
    let conf = Conf {
        records,
        line_max: properties
            .number("mapreduce.input.linerecordreader.line.maxlength")?
            .unwrap_or(0),
        mapper: match mapper {
            Some(Class::Command) => options.mapper.clone(),
            Some(Class::Identity) | None => None,
        },
        combiner,
        key_class: match is_text || !matches!(reducer, Reducer::Identity) {
            true => KeyClass::Text,
            false => KeyClass::Number,
        },
        reducer,
        map_input: fed("stream.map.input", "stream.map.input.field.separator"),
        ignore_key: properties
            .flag("stream.map.input.ignoreKey")
            .unwrap_or(is_plain_text),
        map_output,
        reduce_input: fed("stream.reduce.input", "stream.reduce.input.field.separator"),
        // To Hadoop a combiner is a reducer that runs early.
        combiner_output: reduce_output.clone(),
        reduce_output,
        row_separator: text("mapreduce.output.textoutputformat.separator").unwrap_or_else(tab),
        partitioner: partitioner(options, properties)?,
        key_separator: text("mapreduce.map.output.key.field.separator").unwrap_or_else(tab),
        order: order(properties)?,
        env: options.cmd_env.iter().cloned().collect(),
        properties: properties.all(),
        folder,
        files: Vec::new(),
        archives: Vec::new(),
        silence_max: task_timeout,
        codes_matter: properties
            .flag("stream.non.zero.exit.is.failure")
            .unwrap_or(true),
        reporter: text("stream.stderr.reporter.prefix").unwrap_or_else(|| "reporter:".to_owned()),
        passes_stderr: false,
        job_log: None,
    };
    Ok(Described {
        conf,
        format,
        reducers,
        parts: parts(properties)?,
        lazy_parts: options.lazy_output,
        attempts_max: attempts_max(properties)?,
        task_timeout,
        backup: properties.flag("mapreduce.map.speculative") != Some(false)
            && properties.flag("mapreduce.reduce.speculative") != Some(false),
    })
}

/// What options say is also in the properties, for programs to see.
fn settle(options: &Options, properties: &mut Properties) {
    if let Some(io) = &options.io {
        for direction in DIRECTIONS {
            properties.set(direction, io.as_str());
        }
    }
    let spelled = [
        ("stream.map.streamprocessor", &options.mapper),
        ("stream.combine.streamprocessor", &options.combiner),
        ("stream.reduce.streamprocessor", &options.reducer),
    ];
    for (name, command) in spelled {
        if let Some(command) = command {
            properties.set(name, command.as_str());
        }
    }
    let defaults = [
        ("mapreduce.job.name", "streamjob"),
        ("mapreduce.job.maps", "2"),
        ("mapreduce.map.maxattempts", &ATTEMPTS.to_string()),
        ("mapreduce.reduce.maxattempts", &ATTEMPTS.to_string()),
        ("mapreduce.task.timeout", &TASK_TIMEOUT_MS.to_string()),
        ("mapreduce.framework.name", "mapfold"),
    ];
    for (name, value) in defaults {
        properties.set_default(name, value);
    }
    for direction in DIRECTIONS {
        properties.set_default(direction, "text");
    }
}

const DIRECTIONS: [&str; 4] = [
    "stream.map.input",
    "stream.map.output",
    "stream.reduce.input",
    "stream.reduce.output",
];

fn reducers(options: &Options, properties: &Properties) -> Result<u32, ConfError> {
    if options.reducer.as_deref() == Some("NONE") {
        return Ok(0);
    }
    let count = match options.reduce_tasks {
        Some(count) => count,
        None => properties.number("mapreduce.job.reduces")?.unwrap_or(1),
    };
    match count > REDUCERS_MAX {
        true => Err(ConfError::Reducers(count)),
        false => Ok(count),
    }
}

fn records(options: &Options, properties: &Properties) -> Result<(Records, Format), ConfError> {
    if let Some(spec) = &options.input_reader {
        return Ok((xml(spec)?, Format::Lines));
    }
    let Some(name) = &options.input_format else {
        return Ok((Records::Lines, Format::Lines));
    };
    Ok(match class::input_format(name)? {
        class::InputFormat::Text => (Records::Lines, Format::Lines),
        class::InputFormat::KeyValueText => {
            let separator = "mapreduce.input.keyvaluelinerecordreader.key.value.separator";
            let separator = properties
                .text(separator)
                .unwrap_or_else(|| "\t".to_owned());
            (Records::KeyValueLines { separator }, Format::Lines)
        }
        class::InputFormat::NLine => {
            let lines = properties.number("mapreduce.input.lineinputformat.linespermap")?;
            let lines = lines.unwrap_or(NonZeroU32::MIN);
            (Records::Lines, Format::NLine(lines))
        }
    })
}

/// `StreamXmlRecordReader,begin=<d>,end=</d>`
fn xml(spec: &str) -> Result<Records, ConfError> {
    let mut members = spec.split(',');
    class::input_reader(members.next().unwrap_or_default())?;
    let (mut begin, mut end) = (None, None);
    for member in members {
        match member.split_once('=') {
            Some(("begin", text)) => begin = Some(text),
            Some(("end", text)) => end = Some(text),
            _ => {}
        }
    }
    let given = |text: Option<&str>, name| {
        let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
        text.ok_or_else(|| ConfError::Reader(spec.to_owned(), name))
    };
    Ok(Records::Xml {
        begin: given(begin, "begin")?,
        end: given(end, "end")?,
    })
}

/// An unknown name is taken for text, as by Hadoop.
fn form(properties: &Properties, name: &str) -> Form {
    match properties.text(name).as_deref() {
        Some("typedbytes") => Form::TypedBytes,
        Some("rawbytes") => Form::RawBytes,
        Some("keyonlytext") => Form::KeyOnlyText,
        _ => Form::Text,
    }
}

fn keys(properties: &Properties, name: &str) -> Result<usize, PropertyError> {
    let keys = properties.number::<NonZeroUsize>(name)?;
    Ok(keys.unwrap_or(NonZeroUsize::MIN).get())
}

fn partitioner(options: &Options, properties: &Properties) -> Result<PartitionBy, ConfError> {
    let named = options.partitioner.clone();
    let named = named.or_else(|| properties.text("mapreduce.job.partitioner.class"));
    let Some(name) = named else {
        return Ok(PartitionBy::Hash);
    };
    if class::partitioner(&name)? == class::Partitioner::Hash {
        return Ok(PartitionBy::Hash);
    }
    let fields = properties.number::<NonZeroU32>("num.key.fields.for.partition")?;
    let options = properties.text("mapreduce.partition.keypartitioner.options");
    let options = match (options, fields) {
        (Some(options), _) => options,
        (None, Some(fields)) => format!("-k1,{fields}"),
        (None, None) => String::new(),
    };
    Ok(PartitionBy::KeyFields(options))
}

/// A comparator for groups is looked at as well: whatever it is, groups are of equal keys, as in Hadoop with the only one that is known here.
fn order(properties: &Properties) -> Result<String, ConfError> {
    if let Some(name) = properties.text("mapreduce.job.output.group.comparator.class") {
        class::comparator(&name)?;
    }
    let Some(name) = properties.text("mapreduce.job.output.key.comparator.class") else {
        return Ok(String::new());
    };
    Ok(match class::comparator(&name)? {
        class::Comparator::Bytes => String::new(),
        class::Comparator::KeyFields => properties
            .text("mapreduce.partition.keycomparator.options")
            .unwrap_or_default(),
    })
}

/// Options of fields without the class that reads them, and what would name it: keys are then divided and sorted as a whole.
pub(super) fn without_effect(
    options: &Options,
    properties: &Properties,
) -> Vec<(&'static str, &'static str)> {
    let has = |name: &str| properties.text(name).is_some();
    let partitions = options.partitioner.is_some() || has("mapreduce.job.partitioner.class");
    let sorts = has("mapreduce.job.output.key.comparator.class");
    let needs = [
        (
            partitions,
            "mapreduce.partition.keypartitioner.options",
            "-partitioner org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner",
        ),
        (
            sorts,
            "mapreduce.partition.keycomparator.options",
            "-D mapreduce.job.output.key.comparator.class=org.apache.hadoop.mapreduce.lib.partition.KeyFieldBasedComparator",
        ),
    ];
    let idle = (needs.into_iter()).filter(|(is_read, name, _)| !is_read && has(name));
    idle.map(|(_, name, class)| (name, class)).collect()
}

fn parts(properties: &Properties) -> Result<Codec, ConfError> {
    if properties.flag("mapreduce.output.fileoutputformat.compress") != Some(true) {
        return Ok(Codec::Plain);
    }
    let codec = "mapreduce.output.fileoutputformat.compress.codec";
    let codec = properties.text(codec);
    Ok(class::codec(
        codec.as_deref().unwrap_or(class::DEFAULT_CODEC),
    )?)
}

/// The engine has one number for both kinds of tasks: the smaller of those that are given.
fn attempts_max(properties: &Properties) -> Result<NonZeroU32, PropertyError> {
    let map = properties.number("mapreduce.map.maxattempts")?;
    let reduce = properties.number("mapreduce.reduce.maxattempts")?;
    Ok(map.into_iter().chain(reduce).min().unwrap_or(ATTEMPTS))
}

/// The size of splits for files of so many bytes. Each file is cut evenly into splits of that size or less.
pub(super) fn split_size(
    properties: &Properties,
    typed_maps: bool,
    files: &[u64],
) -> Result<ByteSize, PropertyError> {
    /// Of `hdfs:` files in Hadoop: a split for each map task that is wished for is no larger.
    const BLOCK: u64 = 128 << 20;
    /// Input whose files are all this small is not cut. Scripts may hold that a small file is one split.
    const SMALL: u64 = 16 << 20;
    /// Programs take long to start, and work slowly: 50 MB take a mapper in Python 10 to 20 s, and its start 0.1 to 0.3 s.
    const LEAST: u64 = 8 << 20;
    let total: u64 = files.iter().sum();
    let largest = files.iter().max().copied().unwrap_or(0);
    let min = properties.number("mapreduce.input.fileinputformat.split.minsize")?;
    let maps = properties.number::<NonZeroU32>("mapreduce.job.maps")?;
    let ours = split_size_for(ByteSize(total)).bytes();
    let goal = match maps.filter(|_| typed_maps) {
        Some(maps) => total.div_ceil(u64::from(maps.get())).min(BLOCK.max(ours)),
        None if largest <= SMALL => SMALL.max(ours),
        None => LEAST.max(ours),
    };
    Ok(ByteSize(goal.max(min.unwrap_or(1)).max(1)))
}

#[cfg(test)]
mod tests;
