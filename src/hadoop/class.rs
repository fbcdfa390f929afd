//! Names of Java classes that stand for something here. There is no Java: any other is refused.

use mapfold_terms::Codec;

/// A class that is unknown here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("class {name} not found: as {role} there is {known}, and nothing here runs Java")]
pub(super) struct ClassError {
    name: String,
    role: &'static str,
    known: &'static str,
}

/// What a mapper, combiner or reducer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Records go on as they are.
    Identity,
    /// It is no class.
    Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputFormat {
    Text,
    KeyValueText,
    NLine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partitioner {
    Hash,
    KeyFields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparator {
    Bytes,
    KeyFields,
}

/// What packs part files unless another is named.
pub(super) const DEFAULT_CODEC: &str = "DefaultCodec";

/// The packages that Hadoop's classes are in, and none.
const PACKAGES: &[&str] = &[
    "org.apache.hadoop.mapred.lib.",
    "org.apache.hadoop.mapred.",
    "org.apache.hadoop.mapreduce.lib.input.",
    "org.apache.hadoop.mapreduce.lib.output.",
    "org.apache.hadoop.mapreduce.lib.partition.",
    "org.apache.hadoop.mapreduce.lib.map.",
    "org.apache.hadoop.mapreduce.lib.reduce.",
    "org.apache.hadoop.mapreduce.",
    "org.apache.hadoop.streaming.mapreduce.",
    "org.apache.hadoop.streaming.",
    "org.apache.hadoop.io.compress.",
    "org.apache.hadoop.io.",
];

/// The name without its package, if that is one of Hadoop's.
fn short(name: &str) -> &str {
    let package = PACKAGES.iter().find_map(|package| {
        let rest = name.strip_prefix(package)?;
        (!rest.contains('.')).then_some(rest)
    });
    package.unwrap_or(name)
}

/// A class where a command may stand: only those of Hadoop are taken for one.
fn program(name: &str, identity: &str, role: &'static str) -> Result<Class, ClassError> {
    let class = name.trim();
    if !class.starts_with("org.apache.hadoop.") || class.contains(' ') {
        return Ok(Class::Command);
    }
    // The newer API has its identity in the base class.
    let base = identity.trim_start_matches("Identity");
    match short(class) {
        class if class == identity || class == base => Ok(Class::Identity),
        _ => Err(ClassError {
            name: name.to_owned(),
            role,
            known: "IdentityMapper, IdentityReducer and any command",
        }),
    }
}

pub(super) fn mapper(name: &str) -> Result<Class, ClassError> {
    program(name, "IdentityMapper", "a mapper")
}

pub(super) fn reducer(name: &str) -> Result<Class, ClassError> {
    program(name, "IdentityReducer", "a reducer")
}

pub(super) fn input_format(name: &str) -> Result<InputFormat, ClassError> {
    match short(name) {
        "TextInputFormat" => Ok(InputFormat::Text),
        "KeyValueTextInputFormat" => Ok(InputFormat::KeyValueText),
        "NLineInputFormat" => Ok(InputFormat::NLine),
        _ => Err(ClassError {
            name: name.to_owned(),
            role: "an input format",
            known: "TextInputFormat, KeyValueTextInputFormat, NLineInputFormat",
        }),
    }
}

pub(super) fn output_format(name: &str) -> Result<(), ClassError> {
    match short(name) {
        "TextOutputFormat" => Ok(()),
        _ => Err(ClassError {
            name: name.to_owned(),
            role: "an output format",
            known: "TextOutputFormat",
        }),
    }
}

pub(super) fn input_reader(name: &str) -> Result<(), ClassError> {
    match short(name) {
        "StreamXmlRecordReader" => Ok(()),
        _ => Err(ClassError {
            name: name.to_owned(),
            role: "an input reader",
            known: "StreamXmlRecordReader",
        }),
    }
}

pub(super) fn partitioner(name: &str) -> Result<Partitioner, ClassError> {
    match short(name) {
        "HashPartitioner" => Ok(Partitioner::Hash),
        "KeyFieldBasedPartitioner" => Ok(Partitioner::KeyFields),
        _ => Err(ClassError {
            name: name.to_owned(),
            role: "a partitioner",
            known: "HashPartitioner, KeyFieldBasedPartitioner",
        }),
    }
}

pub(super) fn comparator(name: &str) -> Result<Comparator, ClassError> {
    match short(name) {
        "KeyFieldBasedComparator" => Ok(Comparator::KeyFields),
        "Text$Comparator" => Ok(Comparator::Bytes),
        _ => Err(ClassError {
            name: name.to_owned(),
            role: "a comparator",
            known: "KeyFieldBasedComparator",
        }),
    }
}

/// Keys that are texts.
pub(super) fn is_text(name: &str) -> bool {
    short(name) == "Text"
}

/// What packs part files.
pub(super) fn codec(name: &str) -> Result<Codec, ClassError> {
    match short(name) {
        "GzipCodec" => Ok(Codec::Gzip),
        "BZip2Codec" => Ok(Codec::Bzip2),
        "ZStandardCodec" => Ok(Codec::Zstd),
        "DefaultCodec" | "DeflateCodec" => Ok(Codec::Deflate),
        _ => Err(ClassError {
            name: name.to_owned(),
            role: "a codec",
            known: "GzipCodec, BZip2Codec, ZStandardCodec, DefaultCodec",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_known_with_and_without_their_package() {
        for name in [
            "NLineInputFormat",
            "org.apache.hadoop.mapred.lib.NLineInputFormat",
            "org.apache.hadoop.mapreduce.lib.input.NLineInputFormat",
        ] {
            assert_eq!(input_format(name), Ok(InputFormat::NLine));
        }
        for name in ["com.acme.NLineInputFormat", "NoSuchFormat", ""] {
            let refused = input_format(name).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("class {name} not found")));
        }
    }

    #[test]
    fn commands_are_no_classes() {
        let identity = "org.apache.hadoop.mapred.lib.IdentityMapper";
        assert_eq!(mapper(identity), Ok(Class::Identity));
        assert_eq!(
            mapper("org.apache.hadoop.mapreduce.Mapper"),
            Ok(Class::Identity)
        );
        assert_eq!(mapper("./IdentityMapper"), Ok(Class::Command));
        assert_eq!(mapper("IdentityMapper x"), Ok(Class::Command));
        assert!(mapper("org.apache.hadoop.mapred.lib.RegexMapper").is_err());
        assert!(reducer(identity).is_err());
    }
}
