//! Lines as Hadoop cuts them: an LF, a CR, or both together end one.

use memchr::memchr2;

/// Cuts what comes in pieces into lines. A line that is whole in a piece is not copied.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The begin of a line whose end is still to come.
    open: Vec<u8>,
    /// The last byte was a CR, so an LF that follows belongs to it.
    after_cr: bool,
}

impl Lines {
    /// Gives each line that ends in `piece` to `line`, without its end.
    ///
    /// # Errors
    /// The first of `line`, which is then not called again.
    pub(crate) fn push<E>(
        &mut self,
        mut piece: &[u8],
        mut line: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(first) = piece.first() else {
            return Ok(());
        };
        if std::mem::take(&mut self.after_cr) && *first == b'\n' {
            piece = &piece[1..];
        }
        while let Some(end) = memchr2(b'\n', b'\r', piece) {
            match self.open.is_empty() {
                true => line(&piece[..end])?,
                false => {
                    self.open.extend_from_slice(&piece[..end]);
                    line(&self.open)?;
                    self.open.clear();
                }
            }
            let both = piece[end] == b'\r' && piece.get(end + 1) == Some(&b'\n');
            self.after_cr = piece[end] == b'\r' && end + 1 == piece.len();
            piece = &piece[end + 1 + usize::from(both)..];
        }
        self.open.extend_from_slice(piece);
        Ok(())
    }

    /// Gives a last line that has no end, if there is one.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(crate) fn finish<E>(self, mut line: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self.open.is_empty() {
            true => Ok(()),
            false => line(&self.open),
        }
    }

    /// Whether nothing of what has come concerns what comes.
    pub(crate) fn are_closed(&self) -> bool {
        self.open.is_empty() && !self.after_cr
    }

    /// Bytes of the line that is still open.
    pub(crate) fn open_bytes(&self) -> usize {
        self.open.len()
    }

    /// Cuts off what is beyond `max` bytes of the line that is still open.
    pub(crate) fn shorten(&mut self, max: usize) {
        self.open.truncate(max);
    }
}

/// The first line of a text without its end, and its length with it.
pub(crate) fn first(text: &[u8]) -> (&[u8], usize) {
    match memchr2(b'\n', b'\r', text) {
        None => (text, text.len()),
        Some(end) => {
            let both = text[end..].starts_with(b"\r\n");
            (&text[..end], end + 1 + usize::from(both))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        let mut lines = Lines::default();
        for piece in pieces {
            let keep = |line: &[u8]| {
                got.push(line.to_vec());
                Ok::<_, Infallible>(())
            };
            lines.push(piece, keep).unwrap();
        }
        let keep = |line: &[u8]| {
            got.push(line.to_vec());
            Ok::<_, Infallible>(())
        };
        lines.finish(keep).unwrap();
        got
    }

    #[test]
    fn lf_cr_and_both_end_a_line() {
        let want: Vec<&[u8]> = vec![b"a", b"b", b"", b"c", b"", b"d"];
        assert_eq!(lines(&[b"a\nb\r\rc\r\n\nd"]), want);
        assert_eq!(lines(&[b""]), [b""; 0]);
        assert_eq!(lines(&[b"\n"]), [b""]);
        assert_eq!(lines(&[b"a\r", b"\nb\r"]), [b"a", b"b"]);
        assert_eq!(lines(&[b"a\r", b"\rb"]), [&b"a"[..], b"", b"b"]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab\r\n]{0,40}", cuts in proptest::collection::vec(0..40_usize, 0..5)) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(lines(&pieces), lines(&[text]));
            let (mut rest, mut one_by_one) = (text, Vec::new());
            while !rest.is_empty() {
                let (line, length) = first(rest);
                one_by_one.push(line.to_vec());
                rest = &rest[length..];
            }
            prop_assert_eq!(one_by_one, lines(&[text]));
        }
    }
}
