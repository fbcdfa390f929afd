//! Where the rows of one attempt go: into its part, and into outputs that the job gives names.
//!
//! A named output has a file beside each part whose attempt wrote rows to it: `errors-00003` beside `part-00003`. Files are made with
//! their first row, hold few rows in memory, and are staged, named by the attempt's token and committed as the part is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mapfold_data::part::{
    PART, PartWriter, WritePartError, attempt_file_name, attempt_part_name, named_part_name,
    part_name,
};
use mapfold_terms::{Codec, PartitionId, Staged, Token};

/// Outputs that one task may write rows to, beside its part. Each is an open file; it holds 64 KiB of rows, and what its codec needs.
const NAMED_MAX: usize = 32;

/// Letters of a name.
const NAME_MAX: usize = 64;

/// Where rows go.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// None if rows are thrown away.
    place: Option<Place>,
    part: Option<PartWriter>,
    named: BTreeMap<Box<str>, PartWriter>,
    /// The first error; the attempt fails with it soon.
    error: Option<OutputError>,
}

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    /// None for rows that nobody waits to be durable, whose files have their names at once.
    token: Option<Token>,
    partition: PartitionId,
    codec: Codec,
}

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Write(#[from] WritePartError),
    #[error(
        "`{name}` cannot be the name of an output: up to {NAME_MAX} ASCII letters, digits, `-` and `_`, the first of them a letter or a digit, and not `{PART}`"
    )]
    Name { name: String },
    #[error(
        "one task writes rows to {NAMED_MAX} named outputs at most, and `{name}` is one more; put what tells such rows apart into the key"
    )]
    TooMany { name: String },
}

impl Output {
    /// Into files of `folder` that carry an attempt's token.
    pub(crate) fn staged(
        folder: &Path,
        token: Token,
        partition: PartitionId,
        codec: Codec,
    ) -> Result<Self, WritePartError> {
        let name = attempt_part_name(token, partition, codec);
        let part = PartWriter::create(folder, &name, codec)?;
        Ok(Self::to(part, folder, Some(token), partition, codec))
    }

    /// Into bare files of `folder`, which does not exist yet.
    pub(crate) fn bare(folder: &Path, codec: Codec) -> Result<Self, WritePartError> {
        let partition = PartitionId(0);
        let part = PartWriter::create_bare(folder, &part_name(partition, codec), codec)?;
        Ok(Self::to(part, folder, None, partition, codec))
    }

    fn to(
        part: PartWriter,
        folder: &Path,
        token: Option<Token>,
        partition: PartitionId,
        codec: Codec,
    ) -> Self {
        Self {
            place: Some(Place {
                folder: folder.to_owned(),
                token,
                partition,
                codec,
            }),
            part: Some(part),
            named: BTreeMap::new(),
            error: None,
        }
    }

    /// Adds a row to the part; see [`PartWriter::row`].
    #[inline]
    pub(crate) fn row(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if let Some(part) = &mut self.part
            && let Err(error) = part.row(encode)
        {
            self.error.get_or_insert(error.into());
        }
    }

    /// Adds a row to the output `name`.
    pub(crate) fn row_to(&mut self, name: &str, encode: impl FnOnce(&mut Vec<u8>)) {
        if !self.named.contains_key(name)
            && let Err(error) = self.begin(name)
        {
            self.error.get_or_insert(error);
        }
        if let Some(part) = self.named.get_mut(name)
            && let Err(error) = part.row(encode)
        {
            self.error.get_or_insert(error.into());
        }
    }

    #[cold]
    fn begin(&mut self, name: &str) -> Result<(), OutputError> {
        if !is_name(name) {
            let name = name.chars().take(2 * NAME_MAX).collect();
            return Err(OutputError::Name { name });
        }
        if self.named.len() == NAMED_MAX {
            let name = name.to_owned();
            return Err(OutputError::TooMany { name });
        }
        let Some(place) = &self.place else {
            return Ok(());
        };
        let file = named_part_name(name, place.partition, place.codec);
        let part = match place.token {
            Some(token) => {
                let file = attempt_file_name(token, &file);
                PartWriter::create_one_of_many(&place.folder, &file, place.codec)
            }
            None => PartWriter::create_bare(&place.folder, &file, place.codec),
        };
        self.named.insert(name.into(), part?);
        Ok(())
    }

    /// The first error so far.
    #[inline]
    pub(crate) fn check(&mut self) -> Result<(), OutputError> {
        match &self.error {
            None => Ok(()),
            Some(_) => self.error.take().map_or(Ok(()), Err),
        }
    }

    /// Writes what is left and makes it durable. Nothing, if rows were thrown away.
    pub(crate) fn finish(mut self) -> Result<Option<Staged>, OutputError> {
        self.check()?;
        let Some(part) = self.part else {
            return Ok(None);
        };
        let mut staged = Staged::of(part.finish()?);
        for (name, part) in self.named {
            staged.named.insert(name.into(), part.finish()?);
        }
        Ok(Some(staged))
    }

    /// Writes what is left of bare files. Returns the number of rows in the part.
    pub(crate) fn finish_bare(mut self) -> Result<u64, OutputError> {
        self.check()?;
        for part in self.named.into_values() {
            part.finish_bare()?;
        }
        Ok(self.part.map_or(Ok(0), PartWriter::finish_bare)?)
    }
}

/// A file name that no input leaves out, and no part has.
fn is_name(name: &str) -> bool {
    let first = name
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_alphanumeric());
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    first && name.len() <= NAME_MAX && name.bytes().all(fit) && name != PART
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mapfold_terms::MasterEpoch;

    use super::*;

    const TOKEN: Token = Token {
        epoch: MasterEpoch(1),
        counter: 7,
    };

    fn output(folder: &Path) -> Output {
        Output::staged(folder, TOKEN, PartitionId(3), Codec::Plain).unwrap()
    }

    fn row(text: &str) -> impl FnOnce(&mut Vec<u8>) {
        move |out| out.extend_from_slice(text.as_bytes())
    }

    #[test]
    fn a_named_output_has_a_file_beside_the_part_once_it_has_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = output(folder.path());
        output.row(row("a\n"));
        output.row_to("errors", row("b\n"));
        output.row_to("errors", row("c\n"));
        let staged = output.finish().unwrap().unwrap();
        assert_eq!(staged.part.rows, 1);
        assert_eq!(staged.named.keys().collect::<Vec<_>>(), ["errors"]);
        assert_eq!(staged.named["errors"].rows, 2);
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("1-7-part-00003"), "a\n");
        assert_eq!(read("1-7-errors-00003"), "b\nc\n");
    }

    #[test]
    fn an_output_that_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("staging");
        let mut output = output(&staging);
        output.row_to("errors", row("b\n"));
        drop(output);
        assert!(!staging.exists());
    }

    #[test]
    fn names_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        for (name, fits) in [
            ("errors", true),
            ("2026-11_EU", true),
            ("", false),
            ("part", false),
            ("_errors", false),
            (".errors", false),
            ("a/b", false),
            ("a.gz", false),
            ("\u{e4}", false),
            (&"a".repeat(65), false),
        ] {
            let mut output = output(&folder.path().join(name.len().to_string()));
            output.row_to(name, row("x\n"));
            let said = output.check().err().map(|error| error.to_string());
            assert_eq!(said.is_none(), fits, "{name}: {said:?}");
        }
    }

    #[test]
    fn there_may_not_be_many() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = output(folder.path());
        (0..NAMED_MAX).for_each(|n| output.row_to(&format!("n{n}"), row("x\n")));
        assert!(output.check().is_ok());
        output.row_to("n0", row("y\n"));
        assert!(output.check().is_ok());
        output.row_to("over", row("x\n"));
        let said = output.check().unwrap_err().to_string();
        assert!(said.contains("`over` is one more"), "{said}");
    }

    #[test]
    fn rows_may_be_thrown_away_but_their_names_are_checked() {
        let mut output = Output::default();
        output.row(row("a\n"));
        output.row_to("errors", row("a\n"));
        assert!(output.check().is_ok());
        output.row_to("..", row("a\n"));
        assert!(output.check().is_err());
        assert!(output.finish().unwrap().is_none());
    }
}
