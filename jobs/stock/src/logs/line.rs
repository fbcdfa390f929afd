//! A line in common or combined log format.

use memchr::{memchr, memchr2, memrchr};

/// What stands in a line, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) host: &'a [u8],
    pub(super) user: &'a [u8],
    /// Without brackets.
    time: &'a [u8],
    /// Without quotes.
    request: &'a [u8],
    pub(super) status: &'a [u8],
    pub(super) bytes: u64,
    /// What comes after the bytes.
    rest: &'a [u8],
}

/// What a line lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error("it has no user, after host and identity")]
    User,
    #[error("it has no [time]")]
    Time,
    #[error("its time is not like 31/Jan/2026:23:59:00")]
    Date,
    #[error("it has no \"request\"")]
    Request,
    #[error("it has no status of three digits")]
    Status,
    #[error("it has no bytes, which are a number or `-`")]
    Bytes,
    #[error("it has no \"referer\"")]
    Referer,
    #[error("it has no \"agent\"")]
    Agent,
}

/// Where nothing is known.
const NONE: &[u8] = b"-";

impl<'a> Line<'a> {
    #[inline]
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        let (host, rest) = cut(line, b' ').ok_or(LineError::User)?;
        let (_identity, rest) = cut(rest, b' ').ok_or(LineError::User)?;
        // A user may have blanks in it, or be empty.
        let bracket = memchr(b'[', rest).ok_or(LineError::Time)?;
        let user = rest[..bracket].strip_suffix(b" ").ok_or(LineError::User)?;
        let (time, rest) = cut(&rest[bracket + 1..], b']').ok_or(LineError::Time)?;
        let rest = rest.strip_prefix(b" ").ok_or(LineError::Request)?;
        let (request, rest) = quoted(rest).ok_or(LineError::Request)?;
        let (status, rest) = match rest {
            [b' ', a, b, c, b' ', ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => {
                (&rest[1..4], &rest[5..])
            }
            [b' ', a, b, c] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => {
                return Err(LineError::Bytes);
            }
            _ => return Err(LineError::Status),
        };
        let (bytes, rest) = cut(rest, b' ').unwrap_or((rest, &[]));
        Ok(Self {
            host,
            user,
            time,
            request,
            status,
            bytes: number(bytes).ok_or(LineError::Bytes)?,
            rest,
        })
    }

    /// The method of the request.
    pub(super) fn method(&self) -> &'a [u8] {
        self.method_and_target().map_or(NONE, |(method, _)| method)
    }

    /// The path, perhaps with its query; the whole request, if that has no path.
    pub(super) fn path(&self, query: bool) -> &'a [u8] {
        match self.method_and_target() {
            None => self.request,
            Some((_, target)) if query => target,
            Some((_, target)) => memchr(b'?', target).map_or(target, |end| &target[..end]),
        }
    }

    /// Of `GET /path HTTP/1.1`; a path may have blanks in it.
    fn method_and_target(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (method, rest) = cut(self.request, b' ')?;
        let end = memrchr(b' ', rest)?;
        rest[end..]
            .starts_with(b" HTTP/")
            .then_some((method, &rest[..end]))
    }

    /// Appends `2026-01-31T23:59` without the last `less` bytes.
    pub(super) fn append_time(&self, less: usize, out: &mut Vec<u8>) -> Result<(), LineError> {
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let &[
            d0,
            d1,
            b'/',
            m0,
            m1,
            m2,
            b'/',
            y0,
            y1,
            y2,
            y3,
            b':',
            h0,
            h1,
            b':',
            n0,
            n1,
            b':',
            ..,
        ] = self.time
        else {
            return Err(LineError::Date);
        };
        let month = MONTHS
            .chunks(3)
            .zip(1..)
            .find(|(name, _)| **name == [m0, m1, m2]);
        let (_, month): (_, u8) = month.ok_or(LineError::Date)?;
        let [tens, ones] = [b'0' + month / 10, b'0' + month % 10];
        let time = [
            y0, y1, y2, y3, b'-', tens, ones, b'-', d0, d1, b'T', h0, h1, b':', n0, n1,
        ];
        let digit_or_mark = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'T' | b':');
        if !time.iter().all(digit_or_mark) {
            return Err(LineError::Date);
        }
        out.extend_from_slice(&time[..time.len() - less]);
        Ok(())
    }

    /// The page that led here; `-` in common format.
    pub(super) fn referer(&self) -> Result<&'a [u8], LineError> {
        if self.rest.is_empty() {
            return Ok(NONE);
        }
        quoted(self.rest)
            .map(|(referer, _)| referer)
            .ok_or(LineError::Referer)
    }

    /// The client's program; `-` in common format.
    pub(super) fn agent(&self) -> Result<&'a [u8], LineError> {
        if self.rest.is_empty() {
            return Ok(NONE);
        }
        let (_, rest) = quoted(self.rest).ok_or(LineError::Referer)?;
        let agent = rest.strip_prefix(b" ").and_then(quoted);
        agent.map(|(agent, _)| agent).ok_or(LineError::Agent)
    }
}

/// What is before the first `end`, and what after.
#[inline]
fn cut(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(end, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// What stands in the quotes with which `text` begins, and what comes after them.
#[inline]
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        // The byte after a backslash ends nothing.
        from = at + 2;
    }
}

#[inline]
fn number(text: &[u8]) -> Option<u64> {
    match text {
        b"-" => Some(0),
        [] => None,
        digits => digits.iter().try_fold(0_u64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        }),
    }
}
