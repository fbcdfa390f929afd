//! Bytes of records and keys as people read them.

use std::fmt::Write as _;

/// Text as it is, but for what a terminal would act on or nobody could see: line feeds, tabs and other control characters, marks that turn
/// the direction of writing, and bytes that are no UTF-8 come as escapes (`\n`, `\u{1b}`, `\xff`), a backslash as two. Quotes stay.
pub fn excerpt(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => shown.push_str("\\\\"),
                '\0' => shown.push_str("\\0"),
                letter if letter.is_control() || is_unseen(letter) => {
                    shown.extend(letter.escape_default());
                }
                letter => shown.push(letter),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Directions, joiners, ends of lines and paragraphs, the byte order mark.
fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_stays_as_it_is() {
        let check = |bytes: &[u8], want: &str| assert_eq!(excerpt(bytes), want);
        check(b"Gutenberg's \"Moby Dick\"", "Gutenberg's \"Moby Dick\"");
        check("Wörter, 言葉".as_bytes(), "Wörter, 言葉");
        check(b"a\tb\r\n\x1b[31m\0", "a\\tb\\r\\n\\u{1b}[31m\\0");
        check(b"C:\\x \xff\xc3", "C:\\\\x \\xff\\xc3");
        check("\u{202e}\u{85}".as_bytes(), "\\u{202e}\\u{85}");
    }
}
