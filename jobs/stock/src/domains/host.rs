//! Hosts in URLs.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::memrchr;

/// A host, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    text: &'a [u8],
    /// An address is known by all of it, a name by its end.
    is_name: bool,
}

/// What stands between the scheme of a URL and its host.
static SLASHES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("://"));

/// The hosts of all URLs in a text.
pub(super) fn hosts_in(text: &[u8]) -> impl Iterator<Item = Host<'_>> {
    let places = SLASHES.find_iter(text);
    places.filter_map(|at| {
        let scheme_ends = at.checked_sub(1).map(|last| text[last]);
        scheme_ends.filter(u8::is_ascii_alphanumeric)?;
        after_slashes(&text[at + 3..])
    })
}

/// The host of a URL, perhaps without a scheme.
pub(super) fn of_url(url: &[u8]) -> Option<Host<'_>> {
    let url = url.trim_ascii();
    let scheme_byte =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let scheme_len = url.iter().take_while(scheme_byte).count();
    let rest = match &url[scheme_len..] {
        [b':', b'/', b'/', rest @ ..] if scheme_len > 0 => rest,
        [b'/', b'/', rest @ ..] if scheme_len == 0 => rest,
        _ => return None,
    };
    after_slashes(rest)
}

/// The host with which `rest` begins, after a user name.
fn after_slashes(rest: &[u8]) -> Option<Host<'_>> {
    let len = rest.iter().take_while(|byte| in_authority(**byte)).count();
    let authority = &rest[..len];
    let host = memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
    if let [b'[', ..] = host {
        let end = host.iter().position(|byte| *byte == b']')?;
        let inside = &host[1..end];
        let address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let is_address = !inside.is_empty() && inside.iter().all(address);
        return is_address.then_some(Host {
            text: &host[..=end],
            is_name: false,
        });
    }
    let text = trim_dots(&host[..name_len(host)]);
    let labels = text.split(|byte| *byte == b'.');
    let is_number = |label: &[u8]| !label.is_empty() && label.iter().all(u8::is_ascii_digit);
    let is_name = labels.clone().count() != 4 || !labels.clone().all(is_number);
    let well_formed = !text.is_empty() && labels.clone().all(|label| !label.is_empty());
    well_formed.then_some(Host { text, is_name })
}

/// Whether a byte can stand between the slashes and the path.
fn in_authority(byte: u8) -> bool {
    !matches!(
        byte,
        0..=b' '
            | 0x7F
            | b'/'
            | b'?'
            | b'#'
            | b'\\'
            | b'"'
            | b'<'
            | b'>'
            | b'^'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
    )
}

/// How many bytes of letters, digits and what else may be in a name there are at the front.
fn name_len(text: &[u8]) -> usize {
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let len = text.iter().take_while(in_name).count();
    match text.get(len) {
        Some(0x80..) => len + wide_name_len(&text[len..]),
        _ => len,
    }
}

/// The same where the text is not ASCII.
#[cold]
fn wide_name_len(text: &[u8]) -> usize {
    let well_formed = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let in_name = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    well_formed
        .chars()
        .take_while(in_name)
        .map(char::len_utf8)
        .sum()
}

fn trim_dots(text: &[u8]) -> &[u8] {
    let dots = text.iter().take_while(|byte| **byte == b'.').count();
    let text = &text[dots..];
    let dots = text.iter().rev().take_while(|byte| **byte == b'.').count();
    &text[..text.len() - dots]
}

impl<'a> Host<'a> {
    /// The last so many labels of a name; 0 is all.
    #[inline]
    pub(super) fn last_labels(self, labels: usize) -> Self {
        if labels == 0 || !self.is_name {
            return self;
        }
        let dots = self
            .text
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'.');
        let begin = dots.map(|(at, _)| at + 1).nth(labels - 1).unwrap_or(0);
        Self {
            text: &self.text[begin..],
            ..self
        }
    }

    /// In lower case: as it is, if it is so, or written to `lower`.
    #[inline]
    pub(super) fn lower_case(self, lower: &'a mut Vec<u8>) -> &'a [u8] {
        let is_lower = |byte: &u8| !byte.is_ascii_uppercase() && byte.is_ascii();
        if self.text.iter().all(is_lower) {
            return self.text;
        }
        crate::wordcount::lowercase(self.text, lower);
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, labels: usize, want: Option<&str>) {
        let mut lower = Vec::new();
        let host = of_url(url.as_bytes())
            .map(|host| host.last_labels(labels).lower_case(&mut lower).to_vec());
        assert_eq!(
            host.as_deref().map(String::from_utf8_lossy).as_deref(),
            want
        );
        // In a text a URL has its scheme, and text may follow.
        if !url.starts_with('/') {
            let text = format!("\"{url}\", \u{201c}{url}\u{201d}");
            let hosts: Vec<_> = hosts_in(text.as_bytes()).collect();
            assert_eq!(hosts.len(), if want.is_some() { 2 } else { 0 }, "{text}");
        }
    }

    #[test]
    fn hosts_are_found_in_urls() {
        check("http://example.com", 0, Some("example.com"));
        check(
            "HTTPS://WWW.Example.COM.:8080/a@b?c#d",
            0,
            Some("www.example.com"),
        );
        check("http://me:pass@word@example.com/", 0, Some("example.com"));
        check("git+ssh://a_b-c.d?x", 0, Some("a_b-c.d"));
        check("//example.com/x", 0, Some("example.com"));
        check("http://\u{c9}cole.fr/", 0, Some("\u{e9}cole.fr"));
        check("http://127.0.0.1:80/", 2, Some("127.0.0.1"));
        check("http://[2001:DB8::1]:80/", 2, Some("[2001:db8::1]"));
        check("http://localhost", 2, Some("localhost"));
        check("http://a.b.example.com", 2, Some("example.com"));
        check("http://example.com", 9, Some("example.com"));
        check("http://1.2.3.4.example.com", 2, Some("example.com"));
    }

    #[test]
    fn what_has_no_host_has_none() {
        for url in [
            "",
            "/a/b",
            "-",
            "mailto:a@b.c",
            "http:///x",
            "http://.",
            "http://a..b",
            "http://[::1",
            "http://[x]",
            "http://\u{2603}",
            "://a.b",
            "http:/a.b",
        ] {
            check(url, 0, None);
        }
        assert_eq!(of_url(b"http://\xff\xfe.com"), None);
    }
}
