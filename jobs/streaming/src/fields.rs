//! Key and value of a line: what is before its N-th separator, and what is after.

use memchr::memmem::Finder;

/// Where lines are cut into key and value.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    separator: Finder<'static>,
    keys: usize,
}

impl Fields {
    /// At the `keys`-th separator. An empty separator is found nowhere.
    pub(crate) fn new(separator: &[u8], keys: usize) -> Self {
        Self {
            separator: Finder::new(separator).into_owned(),
            keys,
        }
    }

    /// The separator, if it is one byte, no end of a line, and the first one counts.
    pub(crate) fn first_byte(&self) -> Option<u8> {
        match self.separator.needle() {
            [b'\n' | b'\r'] => None,
            [byte] if self.keys == 1 => Some(*byte),
            _ => None,
        }
    }

    /// What cuts each line and gives its key and value to `pair`.
    pub(crate) fn to<E>(
        &self,
        mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> impl FnMut(&[u8]) -> Result<(), E> {
        move |line| {
            let (key, value) = self.split(line);
            pair(key, value)
        }
    }

    /// Key and value. The separator between them belongs to neither; a line with too few of them is a key with an empty value.
    pub(crate) fn split<'a>(&self, line: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let length = self.separator.needle().len();
        if length == 0 || self.keys == 0 {
            return (line, &[]);
        }
        let mut from = 0;
        for key in 1..=self.keys {
            let Some(at) = self.separator.find(&line[from..]) else {
                break;
            };
            if key == self.keys {
                return (&line[..from + at], &line[from + at + length..]);
            }
            from += at + length;
        }
        (line, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &Fields, line: &str, want: (&str, &str)) {
        let (key, value) = fields.split(line.as_bytes());
        assert_eq!(
            (key, value),
            (want.0.as_bytes(), want.1.as_bytes()),
            "{line}"
        );
    }

    #[test]
    fn a_line_is_cut_at_the_separator_that_was_asked_for() {
        let tab = Fields::new(b"\t", 1);
        check(&tab, "k\tv\tw", ("k", "v\tw"));
        check(&tab, "k\t", ("k", ""));
        check(&tab, "\tv", ("", "v"));
        check(&tab, "none", ("none", ""));
        check(&tab, "", ("", ""));
        let two = Fields::new(b"..", 2);
        check(&two, "a..b..c..d", ("a..b", "c..d"));
        check(&two, "a..b", ("a..b", ""));
        check(&Fields::new(b"", 1), "a b", ("a b", ""));
    }
}
