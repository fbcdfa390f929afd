use std::path::Path;

use mapfold_terms::{Codec, Fingerprint, InputFile, RawPath};
use serde::Deserialize;

use super::*;

fn file() -> InputFile {
    let name = RawPath::from(Path::new("a"));
    InputFile {
        name: name.clone(),
        path: name,
        codec: Codec::Plain,
        fingerprint: Fingerprint {
            inode: 0,
            len: 0,
            modified_ns: 0,
            changed_ns: 0,
        },
        input: 0,
        format: None,
    }
}

fn record<'a>(file: &'a InputFile, bytes: &'a str, header: Option<&'a Header>) -> Record<'a> {
    Record {
        bytes: bytes.as_bytes(),
        offset: 0,
        file,
        header,
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Visit<'a> {
    page: &'a str,
    user: User,
    #[serde(default)]
    tags: Vec<u8>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct User {
    id: u64,
}

#[test]
fn json_becomes_what_the_author_declares() {
    let file = file();
    let text = r#"{"user":{"id":7},"page":"/a","more":[1,{"x":null}],"tags":[1,2]}"#;
    let visit: Visit<'_> = record(&file, text, None).json().unwrap();
    let want = Visit {
        page: "/a",
        user: User { id: 7 },
        tags: vec![1, 2],
    };
    assert_eq!(visit, want);
}

#[test]
fn what_is_wrong_in_json_is_named() {
    let file = file();
    let check = |text: &str, field: &str, want: &str| {
        let error = record(&file, text, None).json::<Visit<'_>>().unwrap_err();
        assert_eq!(error.field, field, "{text}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(want), "{text}: {source}");
    };
    check(
        r#"{"page":7,"user":{"id":7}}"#,
        "page",
        "invalid type: integer `7`",
    );
    check(
        r#"{"page":"a","user":{"id":"x"}}"#,
        "user.id",
        "invalid type: string",
    );
    check(
        r#"{"page":"a","user":{"id":-1}}"#,
        "user.id",
        "invalid value",
    );
    check(r#"{"page":"a","user":{}}"#, "user", "missing field `id`");
    check(r#"{"page":"a"}"#, "", "missing field `user`");
    check(
        r#"{"user":{"id":1},"page":"a","tags":[1,300]}"#,
        "tags[1]",
        "invalid value",
    );
    check(
        r#"{"a \"b\"":{"c":[{}, nil]}}"#,
        r#"a \"b\".c[1]"#,
        "expected",
    );
    check("", "", "EOF");
    check("page=7", "", "expected value");
    check(r#"{"page":"a""#, "page", "EOF");
}

#[derive(Debug, Deserialize, PartialEq)]
struct Row {
    name: String,
    age: Option<u8>,
}

fn row(name: &str, age: Option<u8>) -> Row {
    Row {
        name: name.to_owned(),
        age,
    }
}

#[test]
fn rows_become_what_the_author_declares() {
    let file = file();
    let header = Header::new(b"\xef\xbb\xbfage,city,\"name\"", b',').unwrap();
    assert_eq!(header.column("name"), Some(2));
    assert_eq!(
        header.column("age"),
        Some(0),
        "a byte order mark is no part of it"
    );
    let check = |text: &str, want: Row| {
        assert_eq!(
            record(&file, text, Some(&header)).csv::<Row>().unwrap(),
            want
        );
    };
    check("7,Rome,Ann", row("Ann", Some(7)));
    check(",\"Rome, Italy\",\"\"\"A\"\"\"", row("\"A\"", None));
    let plain = record(&file, "Ann,7", None);
    assert_eq!(plain.csv::<Row>().unwrap(), row("Ann", Some(7)));
    assert_eq!(plain.csv::<(String, u8)>().unwrap(), ("Ann".to_owned(), 7));
    let tabs = Header::new(b"name\tage", b'\t').unwrap();
    let got = record(&file, "A, B\t7", Some(&tabs)).csv::<Row>().unwrap();
    assert_eq!(got, row("A, B", Some(7)));
}

#[test]
fn what_is_wrong_in_a_row_is_named() {
    let file = file();
    let header = Header::new(b"name,age", b',').unwrap();
    let check = |text: &str, want: &str| {
        let error = record(&file, text, Some(&header)).csv::<Row>().unwrap_err();
        assert_eq!(error.to_string(), want, "{text}");
    };
    check("Ann,x", "field `age`: invalid digit found in string: `x`");
    check(
        "Ann,300",
        "field `age`: number too large to fit in target type: `300`",
    );
    check("Ann", "the row has 1 fields, and the header of its file 2");
    check(
        "Ann,7,8",
        "the row has 3 fields, and the header of its file 2",
    );
    check(
        "Ann,\"7",
        "the quotes of field 2 do not end on the line: line breaks within fields are not supported",
    );
    check(
        "An\"n,7",
        "field 1 has a quote within it: a field with quotes is quoted as a whole, and its quotes are doubled",
    );
    let other = Header::new(b"name,years", b',').unwrap();
    let error = record(&file, "Ann,7", Some(&other)).csv::<(String, u8, u8)>();
    assert!(matches!(
        error,
        Err(CsvError::Row { .. } | CsvError::Field { .. })
    ));
    #[derive(Debug, Deserialize)]
    struct Strict {
        #[expect(dead_code, reason = "it is missing")]
        age: u8,
    }
    let error = record(&file, "Ann,7", Some(&other))
        .csv::<Strict>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the row is not what the job reads: missing field `age`"
    );
}
