//! Typed parameters of a job, given as `-p KEY=VALUE`.

use std::collections::BTreeMap;

use mapfold_data::side_file::SideFileError;
use mapfold_terms::{ByteSize, ParamInfo};
use serde::{Deserialize, Serialize};

/// A set of parameters. Implemented by the [`params!`](crate::params) macro.
pub trait Params: Sized {
    /// Its members, sorted by name.
    fn describe() -> Vec<ParamInfo>;

    /// The members from what was typed.
    ///
    /// # Errors
    /// A name that is unknown, a value that does not parse, a parameter that must be given and is not.
    fn parse(typed: &BTreeMap<String, String>) -> Result<Self, ParamError>;
}

/// What is wrong with the parameters given to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ParamError {
    /// No parameter has this name.
    #[error("there is no parameter `{name}`: {}", there_are(known))]
    Unknown {
        /// As typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The value does not parse.
    #[error("parameter `{name}`: `{value}` is not {expected}")]
    Bad {
        /// The parameter.
        name: String,
        /// As typed.
        value: String,
        /// What it should be, with its article: `a whole number`.
        expected: String,
    },
    /// It has no default.
    #[error("parameter `{name}` must be given ({help})")]
    Missing {
        /// The parameter.
        name: String,
        /// Its description.
        help: String,
    },
    /// The file that it names cannot be used.
    #[error("the file of parameter `{name}` cannot be used")]
    File {
        /// The parameter.
        name: String,
        /// Why.
        source: SideFileError,
    },
}

/// The parameters of a job that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoParams;

impl Params for NoParams {
    fn describe() -> Vec<ParamInfo> {
        Vec::new()
    }

    fn parse(typed: &BTreeMap<String, String>) -> Result<Self, ParamError> {
        named(typed, &Self::describe())?;
        Ok(Self)
    }
}

fn there_are(known: &[String]) -> String {
    match known {
        [] => "the job takes none".to_owned(),
        known => format!("the job takes {}", known.join(", ")),
    }
}

/// A type that a parameter can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a parameter",
    label = "not a parameter",
    note = "parameters are `bool`, `u32`, `u64`, `i64`, `f64`, `String`, `ByteSize`, `SideFile`, or an `Option` of these",
    note = "another type can implement `mapfold_job::ParamValue`; a list can be a `String` that `Job::new` splits"
)]
pub trait ParamValue: Sized {
    /// For `describe`: `text`, `bool`, `u64`. (`file` is [`SideFile`](crate::SideFile)'s alone.)
    const KIND: &'static str;
    /// For messages, with its article.
    const EXPECTED: &'static str;

    /// The value of what was typed, or `None` if it is not one.
    fn parse(typed: &str) -> Option<Self>;
    /// The value of what was typed for the parameter `name`.
    ///
    /// # Errors
    /// It is not one.
    fn given(name: &str, typed: &str) -> Result<Self, ParamError> {
        Self::parse(typed).ok_or_else(|| ParamError::Bad {
            name: name.to_owned(),
            value: typed.to_owned(),
            expected: Self::EXPECTED.to_owned(),
        })
    }

    /// What one would type to get it.
    fn show(&self) -> String;
}

impl ParamValue for bool {
    const KIND: &'static str = "bool";
    const EXPECTED: &'static str = "true or false (nor yes or no, on or off, 1 or 0)";

    fn parse(typed: &str) -> Option<Self> {
        match typed.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! from_str {
    ($($type:ty, $kind:literal, $expected:literal;)+) => {$(
        impl ParamValue for $type {
            const KIND: &'static str = $kind;
            const EXPECTED: &'static str = $expected;

            fn parse(typed: &str) -> Option<Self> {
                typed.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

from_str! {
    String, "text", "text";
    u32, "u32", "a whole number from 0 to 4294967295";
    u64, "u64", "a whole number, zero or more";
    i64, "i64", "a whole number";
    f64, "f64", "a number";
}

impl ParamValue for ByteSize {
    const KIND: &'static str = "size";
    const EXPECTED: &'static str = "a size such as 64MiB";

    fn parse(typed: &str) -> Option<Self> {
        typed.parse().ok()
    }

    /// With a unit where that is exact.
    fn show(&self) -> String {
        let shown = self.to_string();
        match shown.parse() {
            Ok(same) if self == &same => shown,
            _ => self.bytes().to_string(),
        }
    }
}

/// A parameter that need not be given: `pub limit: Option<u64> = None`.
impl<T: ParamValue> ParamValue for Option<T> {
    const KIND: &'static str = T::KIND;
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(typed: &str) -> Option<Self> {
        T::parse(typed).map(Some)
    }

    fn given(name: &str, typed: &str) -> Result<Self, ParamError> {
        T::given(name, typed).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, T::show)
    }
}

/// What was typed by the names of the members: in those a `-` may be typed for a `_`.
///
/// # Errors
/// A name that no member has.
#[doc(hidden)]
pub fn named(
    typed: &BTreeMap<String, String>,
    members: &[ParamInfo],
) -> Result<BTreeMap<String, String>, ParamError> {
    let mut named = BTreeMap::new();
    for (name, value) in typed {
        let member = ParamInfo::find(members, name).ok_or_else(|| ParamError::Unknown {
            name: name.clone(),
            known: members.iter().map(|member| member.name.clone()).collect(),
        })?;
        named.insert(member.name.clone(), value.clone());
    }
    Ok(named)
}

/// One member from what was typed.
#[doc(hidden)]
pub fn take<T: ParamValue>(
    typed: &BTreeMap<String, String>,
    name: &str,
    help: &str,
    default: Option<T>,
) -> Result<T, ParamError> {
    match typed.get(name) {
        Some(value) => T::given(name, value),
        None => default.ok_or_else(|| ParamError::Missing {
            name: name.to_owned(),
            help: help.to_owned(),
        }),
    }
}

/// Declares the parameters of a job: a struct whose doc comments are shown by `mapfold describe`.
/// A member without a default must be given.
/// ```
/// mapfold_job::params! {
///     /// What to look for.
///     pub struct SearchParams {
///         /// The text to find.
///         pub needle: String,
///         /// Do not tell upper from lower case.
///         pub ignore_case: bool = false,
///     }
/// }
/// use mapfold_job::Params;
/// let typed = [("needle".to_owned(), "whale".to_owned())].into();
/// let params = SearchParams::parse(&typed).expect("valid");
/// assert_eq!((params.needle.as_str(), params.ignore_case), ("whale", false));
/// ```
///
/// A member without a doc comment is refused:
/// ```compile_fail
/// mapfold_job::params! {
///     pub struct SearchParams {
///         pub needle: String,
///     }
/// }
/// ```
#[macro_export]
macro_rules! params {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $member_vis:vis $member:ident: $type:ty $(= $default:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[doc = $doc])+ $member_vis $member: $type,)*
        }

        impl $crate::Params for $name {
            fn describe() -> Vec<$crate::ParamInfo> {
                let mut members = vec![$($crate::ParamInfo {
                    name: stringify!($member).to_owned(),
                    kind: <$type as $crate::ParamValue>::KIND.to_owned(),
                    default: None::<String>$(.or_else(|| {
                        let value: $type = $default;
                        Some($crate::ParamValue::show(&value))
                    }))?,
                    help: concat!($($doc),+).trim().to_owned(),
                }),*];
                members.sort_by(|a, b| a.name.cmp(&b.name));
                members
            }

            fn parse(
                typed: &$crate::macro_support::BTreeMap<String, String>,
            ) -> Result<Self, $crate::ParamError> {
                let typed = $crate::macro_support::named(typed, &Self::describe())?;
                Ok(Self {
                    $($member: $crate::macro_support::take::<$type>(
                        &typed,
                        stringify!($member),
                        concat!($($doc),+).trim(),
                        None$(.or_else(|| Some($default)))?,
                    )?,)*
                })
            }
        }
    };
    // Any other struct: what it lacks is what is most easily forgotten.
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident $($rest:tt)*
    ) => {
        ::core::compile_error!(concat!(
            "`params!` takes a struct with named members, each of which has a doc comment, what `mapfold describe` says of it:\n",
            "    /// Leave out pairs that occur less often.\n",
            "    pub count_min: u64 = 1,"
        ));
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::params! {
        /// For the test.
        struct Sample {
            /// How many.
            count: u64,
            /// Whether.
            loud: bool = false,
            /// How far.
            range: f64 = 1.5,
            /// Who.
            who: Option<u32> = None,
            /// The others.
            the_rest: ByteSize = ByteSize::mib(1),
        }
    }

    fn parse(typed: &[(&str, &str)]) -> Result<(u64, bool, f64, Option<u32>), ParamError> {
        let typed = typed
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sample = Sample::parse(&typed.collect())?;
        assert!(sample.the_rest.bytes() > 0);
        Ok((sample.count, sample.loud, sample.range, sample.who))
    }

    #[test]
    fn members_come_from_what_was_typed_or_their_default() {
        assert_eq!(parse(&[("count", "3")]), Ok((3, false, 1.5, None)));
        let all = [
            ("count", "3"),
            ("loud", "Yes"),
            ("range", "2"),
            ("who", "7"),
        ];
        assert_eq!(parse(&all), Ok((3, true, 2.0, Some(7))));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |typed: &[(&str, &str)]| parse(typed).unwrap_err().to_string();
        assert_eq!(message(&[]), "parameter `count` must be given (How many.)");
        assert_eq!(
            message(&[("count", "3"), ("lod", "1")]),
            "there is no parameter `lod`: the job takes count, loud, range, the_rest, who"
        );
        assert_eq!(
            message(&[("count", "-3")]),
            "parameter `count`: `-3` is not a whole number, zero or more"
        );
        assert_eq!(
            message(&[("count", "3"), ("loud", "maybe")]),
            "parameter `loud`: `maybe` is not true or false (nor yes or no, on or off, 1 or 0)"
        );
    }

    #[test]
    fn a_hyphen_may_be_typed_for_an_underscore() {
        assert!(parse(&[("count", "3"), ("the-rest", "5.01 GiB")]).is_ok());
        let refused = parse(&[("count", "3"), ("the-rest", "much")]).unwrap_err();
        assert!(refused.to_string().starts_with("parameter `the_rest`"));
    }

    #[test]
    fn sizes_are_shown_as_they_are() {
        let shown = |bytes| ByteSize(bytes).show();
        assert_eq!(shown(64 << 20), "64.0 MiB");
        assert_eq!(shown((64 << 20) + 1), "67108865");
    }

    #[test]
    fn members_are_described() {
        let described: Vec<_> = Sample::describe()
            .into_iter()
            .map(|member| (member.name, member.kind, member.default, member.help))
            .collect();
        let text = str::to_owned;
        assert_eq!(
            described,
            [
                (text("count"), text("u64"), None, text("How many.")),
                (
                    text("loud"),
                    text("bool"),
                    Some(text("false")),
                    text("Whether.")
                ),
                (
                    text("range"),
                    text("f64"),
                    Some(text("1.5")),
                    text("How far.")
                ),
                (
                    text("the_rest"),
                    text("size"),
                    Some(text("1.00 MiB")),
                    text("The others.")
                ),
                (text("who"), text("u32"), Some(text("")), text("Who.")),
            ]
        );
    }
}
