//! Parts of a key that a partitioner or comparator looks at: `-k2.3,2.5nr`, as in `sort`.

use std::ops::Range;

use memchr::memmem;

/// One `-k FIELD[.CHAR][nr][,FIELD[.CHAR][nr]]`. Fields and characters (which are bytes) are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeySpec {
    from_field: usize,
    from_char: usize,
    /// 0: to the end of the key.
    to_field: usize,
    /// 0: to the end of the field.
    to_char: usize,
    /// Compared as numbers.
    pub(crate) numeric: bool,
    /// Compared backwards.
    pub(crate) reverse: bool,
}

/// All of them, with the separator of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeySpecs {
    separator: Vec<u8>,
    specs: Vec<KeySpec>,
}

/// A text that is no list of options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no option such as -k2,2nr, -n or -r")]
pub(crate) struct BadKeySpec(String);

impl KeySpecs {
    /// From options such as `-k1,2 -k3n -r`; `-n` and `-r` alone hold for each `-k` that has none of its own, or for the whole key.
    ///
    /// # Errors
    /// Another option.
    pub(crate) fn parse(options: &str, separator: &[u8]) -> Result<Self, BadKeySpec> {
        let (mut numeric, mut reverse) = (false, false);
        let mut specs = Vec::new();
        let mut words = options.split_ascii_whitespace();
        while let Some(word) = words.next() {
            let bad = || BadKeySpec(word.to_owned());
            let option = word.strip_prefix('-').ok_or_else(bad)?;
            match option.strip_prefix('k') {
                Some("") => {
                    let spec = words.next().ok_or_else(bad)?;
                    specs.push(KeySpec::parse(spec).ok_or_else(bad)?);
                }
                Some(spec) => specs.push(KeySpec::parse(spec).ok_or_else(bad)?),
                None if !option.is_empty() && option.chars().all(|flag| "nr".contains(flag)) => {
                    numeric |= option.contains('n');
                    reverse |= option.contains('r');
                }
                None => return Err(bad()),
            }
        }
        if specs.is_empty() && (numeric || reverse) {
            specs.push(KeySpec::WHOLE);
        }
        for spec in &mut specs {
            if !spec.numeric && !spec.reverse {
                (spec.numeric, spec.reverse) = (numeric, reverse);
            }
        }
        Ok(Self {
            separator: separator.to_vec(),
            specs,
        })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeySpec> {
        self.specs.iter()
    }

    /// The part of `key` that each option names; `None` where its first field is missing.
    pub(crate) fn parts<'a>(
        &'a self,
        key: &'a [u8],
    ) -> impl Iterator<Item = (KeySpec, Option<&'a [u8]>)> + 'a {
        self.specs.iter().map(move |spec| {
            let range = spec.range(key, &self.separator);
            (*spec, range.map(|range| &key[range]))
        })
    }
}

impl KeySpec {
    const WHOLE: Self = Self {
        from_field: 1,
        from_char: 1,
        to_field: 0,
        to_char: 0,
        numeric: false,
        reverse: false,
    };

    fn parse(text: &str) -> Option<Self> {
        let mut spec = Self::WHOLE;
        let (from, to) = match text.split_once(',') {
            Some((from, to)) => (from, Some(to)),
            None => (text, None),
        };
        (spec.from_field, spec.from_char) = spec.place(from, 1)?;
        if spec.from_field == 0 || spec.from_char == 0 {
            return None;
        }
        if let Some(to) = to {
            (spec.to_field, spec.to_char) = spec.place(to, 0)?;
        }
        Some(spec)
    }

    /// `FIELD[.CHAR][nr]`.
    fn place(&mut self, text: &str, default_char: usize) -> Option<(usize, usize)> {
        let digits = text.trim_end_matches(['n', 'r']);
        let flags = &text[digits.len()..];
        self.numeric |= flags.contains('n');
        self.reverse |= flags.contains('r');
        match digits.split_once('.') {
            Some((field, char)) => Some((field.parse().ok()?, char.parse().ok()?)),
            None => Some((digits.parse().ok()?, default_char)),
        }
    }

    /// Where that is in a key. Characters are counted from the beginning of their field and may lie beyond its end, but not beyond the key's.
    fn range(&self, key: &[u8], separator: &[u8]) -> Option<Range<usize>> {
        let field = field(key, separator, self.from_field)?;
        let start = field.start + self.from_char - 1;
        if start >= key.len() {
            return None;
        }
        let end = match (self.to_field, self.to_char) {
            (0, _) => key.len(),
            (to, char) => match self::field(key, separator, to) {
                None => key.len(),
                Some(field) if char == 0 => field.end,
                Some(field) => (field.start + char).min(key.len()),
            },
        };
        Some(start..end.max(start))
    }
}

/// The N-th field of a key.
fn field(key: &[u8], separator: &[u8], number: usize) -> Option<Range<usize>> {
    let mut start = 0;
    if separator.is_empty() {
        return (number == 1).then_some(0..key.len());
    }
    for _ in 1..number {
        start += memmem::find(&key[start..], separator)? + separator.len();
    }
    let end = memmem::find(&key[start..], separator).map_or(key.len(), |at| start + at);
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &str, key: &str, want: &[Option<&str>]) {
        let specs = KeySpecs::parse(options, b",").unwrap();
        let got: Vec<Option<&[u8]>> = specs.parts(key.as_bytes()).map(|part| part.1).collect();
        let want: Vec<_> = want.iter().map(|part| part.map(str::as_bytes)).collect();
        assert_eq!(got, want, "{options} of {key}");
    }

    #[test]
    fn parts_are_those_that_sort_would_take() {
        check("-k2", "a,b,c", &[Some("b,c")]);
        check("-k2,2", "a,b,c", &[Some("b")]);
        check("-k 1,2 -k3", "a,b,c", &[Some("a,b"), Some("c")]);
        check("-k2.3,2.5", "a,bcdefgh", &[Some("def")]);
        check("-k1.2", "a,b", &[Some(",b")]);
        check("-k1.2,1.3", "a,b", &[Some(",b")]);
        check("-k4", "a,b,c", &[None]);
        check("-k1,9", "a,b", &[Some("a,b")]);
        check("-k2,2", "a,", &[None]);
        check("-nr", "a,b", &[Some("a,b")]);
        check("", "a,b", &[]);
    }

    #[test]
    fn flags_hold_for_their_part_or_for_all_that_have_none() {
        let flags = |options: &str| -> Vec<(bool, bool)> {
            let specs = KeySpecs::parse(options, b"\t").unwrap();
            let flags = specs
                .parts(b"x")
                .map(|(spec, _)| (spec.numeric, spec.reverse));
            flags.collect()
        };
        assert_eq!(
            flags("-k1n -k2,2r -k3nr"),
            [(true, false), (false, true), (true, true)]
        );
        assert_eq!(flags("-n -k1 -k2r"), [(true, false), (false, true)]);
        assert_eq!(flags("-k1,1n"), [(true, false)]);
    }

    #[test]
    fn what_is_no_option_is_named() {
        for bad in ["-k0", "-kx", "-k", "k1", "-x", "-k1.0", "-", "-k1,a"] {
            let error = KeySpecs::parse(bad, b"\t").unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
