//! Rows: key, separator and value, as Hadoop's text output has them.

use mapfold_job::{Field, Rows};

use crate::kind::{Kind, Kinds};

/// What rows look like.
#[derive(Clone, Debug)]
pub(crate) struct RowForm {
    separator: Vec<u8>,
    kinds: Kinds,
}

impl RowForm {
    /// Of such keys and values.
    pub(crate) fn new(separator: &str, kinds: Kinds) -> Self {
        Self {
            separator: separator.as_bytes().to_vec(),
            kinds,
        }
    }

    /// Writes one.
    #[inline]
    pub(crate) fn write(&self, key: &[u8], value: &[u8], rows: &mut Rows<'_>) {
        rows.raw(Row {
            form: self,
            key,
            value,
        });
    }
}

struct Row<'a> {
    form: &'a RowForm,
    key: &'a [u8],
    value: &'a [u8],
}

impl Field for Row<'_> {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let RowForm { separator, kinds } = self.form;
        kinds.key.put_shown(self.key, out);
        // Nothing is no empty text: it has no column.
        if kinds.value != Kind::Nothing {
            out.extend_from_slice(separator);
            kinds.value.put_shown(self.value, out);
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_separator_unless_there_is_no_value() {
        let row = |kinds, value| {
            let form = RowForm::new(" => ", kinds);
            let mut out = Vec::new();
            let row = Row {
                form: &form,
                key: b"k",
                value,
            };
            row.write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(row(Kinds::TEXTS, b"v"), "k => v\n");
        assert_eq!(row(Kinds::TEXTS, b""), "k => \n");
        let alone = Kinds {
            value: Kind::Nothing,
            ..Kinds::TEXTS
        };
        assert_eq!(row(alone, b""), "k\n");
    }
}
